"""The page of two captures: one camera on both sides, a slider for keys and fingers, and what changed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scripts.lib.core.console import UserError
from scripts.lib.core.geo import Sim3
from scripts.lib.encode.codecs import sog
from scripts.lib.splat.rotation import carried
from scripts.lib.web.bundle import WebOptions
from scripts.lib.web.compare import CaptureParts, compare_page
from scripts.lib.web.node import install
from scripts.lib.web.verify import problems
from tests.unit.comparison import write_comparison
from tests.unit.stage_files import stage_values
from tests.web import browser

Opened = Any
# Where the second capture's own frame has the place.
FRAME = Sim3(
    0.4,
    Rotation.from_euler("xyz", [25, -40, 130], degrees=True).as_matrix(),
    np.array([2.0, 1, -3]),
)


def make_page(folder: Path, first: Path) -> None:
    """compare.html of a courtyard and the same again in a frame of its own, of which the tower has gone.

    first: a folder with splat.sog and view.json of the whole courtyard.
    """
    gaussians = browser.courtyard()
    tower = (
        (gaussians.means[:, 0] > 0.4) & (gaussians.means[:, 1] < 0) & (gaussians.means[:, 2] > 0.1)
    )
    later = carried(gaussians.take(np.flatnonzero(~tower)), FRAME)
    (folder / "after.sog").write_bytes(sog.encode(later).data)
    for name, day in (("before", "2026-05-14"), ("after", "2026-11-03")):
        photos = stage_values(12)["photos"]
        for photo in photos["photos"]:
            photo["time"] = f"{day}T10:00:00"
        (folder / f"{name}.json").write_text(json.dumps(photos))
    write_comparison(folder, FRAME.inverse())
    parts = [
        CaptureParts(name, file, folder / f"{name}.json", WebOptions(title="A <small> yard"))
        for name, file in (("before", first / "splat.sog"), ("after", folder / "after.sog"))
    ]
    page = compare_page(
        *parts, first / "view.json", folder / "registration.json", folder / "changes.json",
        folder / "changes.zip", browser.modules(),
    )  # fmt: skip
    (folder / "compare.html").write_bytes(page)


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core. Skips when it cannot be installed (no network)."""
    try:
        folder = install(Path(__file__).with_name("axe"), Path("build") / "axe")
    except UserError as error:
        pytest.skip(f"axe-core is not here: {error}")
    return (folder / "axe-core" / "axe.min.js").read_text()


@pytest.fixture(scope="module")
def address(bundle: Path, made_once: Callable[[str, Callable[[Path], Any]], Path]) -> str:
    """The page's address on the disk, from which people open it."""
    folder = made_once("compare", lambda folder: make_page(folder, bundle.parent))
    return (folder / "compare.html").as_uri()


def view(page: Opened) -> np.ndarray:
    """What the window shows, without what lies over the scenes."""
    page.add_style_tag(content="#names, #slide, #changes, #dots, #divider { visibility: hidden }")
    return browser.drawn(page)


def test_both_sides_show_one_camera(address: str, show: Callable[..., Opened]) -> None:
    """Away from the tower, the second capture, turned and shrunk, looks as the first does."""
    page = show(address)
    assert browser.state(page) == "ready" and page.complaints == []
    page.evaluate("splatmake.wipeTo(100)")
    before = view(page)
    page.evaluate("splatmake.wipeTo(0)")
    after = browser.drawn(page)
    differs = np.abs(before - after).max(axis=2)
    assert (differs > 0.2).mean() > 0.005  # the tower
    left = differs[:, : differs.shape[1] // 3]
    assert (left > 0.1).mean() < 0.01 and (before[:, : left.shape[1]].std() > 0.05)
    # Half of each, cut at the middle.
    page.evaluate("splatmake.wipeTo(50)")
    both = browser.drawn(page)
    middle = both.shape[1] // 2
    assert np.abs(both[:, : middle - 4] - before[:, : middle - 4]).mean() < 0.01
    assert np.abs(both[:, middle + 4 :] - after[:, middle + 4 :]).mean() < 0.01
    # And after the visitor has moved.
    page.mouse.move(150, 200)
    page.mouse.down()
    page.mouse.move(230, 180, steps=4)
    page.mouse.up()
    page.wait_for_timeout(1500)
    one, other = page.evaluate("splatmake.poses()")
    assert one == pytest.approx(other, abs=1e-6)
    assert page.hosts <= {""}  # nothing is asked of a server


def test_slider_by_keys_fingers_and_buttons(address: str, show: Callable[..., Opened]) -> None:
    page = show(address)
    wipe = page.locator("#wipe")
    wipe.focus()
    page.keyboard.press("ArrowRight")
    assert wipe.input_value() == "51"
    assert wipe.get_attribute("aria-valuetext") == "51 % before, 49 % after"
    page.keyboard.press("Home")
    assert wipe.input_value() == "0"
    assert page.locator("#show-after").get_attribute("aria-pressed") == "true"
    page.locator("#show-before").click()
    assert wipe.input_value() == "100"
    page.locator("#show-before").click()
    assert wipe.input_value() == "50"
    width = browser.SIZE[0]
    page.mouse.move(width / 2, 160)
    page.mouse.down()
    page.mouse.move(width / 4, 160, steps=3)
    page.mouse.up()
    assert wipe.input_value() == "25"
    clip = page.evaluate("getComputedStyle(document.getElementById('later')).clipPath")
    assert "25%" in clip
    assert page.locator("#names").inner_text().count("2026") == 2


def test_what_changed_is_listed_and_flown_to(address: str, show: Callable[..., Opened]) -> None:
    page = show(address)
    page.locator("#changes-open").click()
    entries = page.locator("#places button")
    assert entries.count() == 2 and "1. Gone" in entries.nth(0).inner_text()
    assert "about 2.0 m long" in entries.nth(0).inner_text()
    assert page.locator(".dot").count() == 2
    before = page.evaluate("splatmake.poses()[0]")
    entries.nth(1).click()
    page.wait_for_timeout(2500)
    assert page.evaluate("splatmake.poses()[0]") != before
    assert entries.nth(1).get_attribute("aria-current") == "true"


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_no_barriers(
    address: str, axe: str, show: Callable[..., Opened], size: tuple[int, int]
) -> None:
    """axe-core finds nothing, and nothing is wider than the window."""
    page = show(address, size, bypass_csp=True)
    page.locator("#changes-open").click()
    page.add_script_tag(content=axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(one["id"], [n["html"] for n in one["nodes"]][:2]) for one in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for canvas in page.locator("canvas").all():
        box = canvas.bounding_box()
        assert box and (box["width"], box["height"]) == size


def test_it_travels_with_the_page(tmp_path: Path) -> None:
    """The page links to it, the manifest keeps its hash, and the zip for hosts has it."""
    (tmp_path / "compare.html").write_text("before and after")
    small = browser.courtyard().take(np.arange(0, 2200, 8))
    folder = browser.make_bundle(tmp_path, small, [tmp_path / "compare.html"])
    assert 'href="../compare.html"' in (folder / "index.html").read_text()
    with zipfile.ZipFile(tmp_path / "site.zip") as site:
        assert site.read("compare.html") == b"before and after"
        assert 'href="compare.html"' in site.read("index.html").decode()
    assert problems(folder) == []
    (tmp_path / "compare.html").write_text("something else !")
    assert problems(folder) == ["../compare.html was changed: same size, different bytes"]
