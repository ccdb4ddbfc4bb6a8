"""The page of the cut-down run in a real browser: Chromium draws what its photos became."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from scripts.lib.encode import codecs
from scripts.lib.measure.metrics import psnr
from scripts.lib.visit.poster import render
from tests.web import browser
from tests.workflow.conftest import Checkout

SIZE = (960, 640)


def test_chromium_draws_what_ships(finished: Checkout, chromium: Any) -> None:
    """At the start view, against our own render of the decoded file; at another pose that fails.

    The file and not the PLY: what a draft's file leaves out (here a quarter of the Gaussians) is measured
    by check_codecs. The rest of the difference is the viewer's coarse sort of large Gaussians.
    """
    results = finished.path / "results" / "cut"
    pose = np.array(json.loads((results / "view.json").read_text())["world_to_camera"])
    gaussians = codecs.decode(results / "web" / "scene.sog")
    wanted = render(gaussians, pose, browser.intrinsics(SIZE), SIZE, browser.BACKGROUND)
    elsewhere = pose.copy()
    elsewhere[0, 3] += 2.0  # two metres to the side
    pictures, complaints = [], []
    with browser.served(results / "web") as address:
        for each in (pose, elsewhere):
            width, height = SIZE
            page = chromium.new_page(viewport={"width": width, "height": height})
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(address + browser.posed(each))
            page.wait_for_selector(
                browser.SETTLED, state="attached", timeout=browser.SECONDS * 1000
            )
            assert page.evaluate("document.documentElement.dataset.state") == "ready"
            pictures.append(browser.drawn(page))
            page.close()
    assert complaints == []
    assert psnr(pictures[0], wanted) > 30 > psnr(pictures[1], wanted)
