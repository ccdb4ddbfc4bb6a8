"""What the page does to options, in Node: another quality leaves the stages up to the cameras alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from scripts.lib.core.checkout import ROOT
from scripts.lib.core.deliverables import DELIVERABLES
from scripts.lib.studio.pages import PAGE
from scripts.lib.workflow.settings import scene_settings, workflow_settings

CAMERAS = ("extract_features", "match_photos", "map_scene", "undistort", "import_photos")


def in_node(code: str) -> Any:
    """What a module of the page's scripts prints as JSON."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    made = subprocess.run(
        [node, "--input-type=module"], input=code, capture_output=True, text=True, check=True
    )
    return json.loads(made.stdout)


def settings(options: dict[str, Any]) -> dict[str, Any]:
    """The settings of a scene of a run with these options."""
    filled = workflow_settings({**options, "scenes": "x.tsv"}, ROOT)
    return scene_settings(filled, options, {"scene": "yard", "source": "x"}, ROOT)


def test_the_form_offers_what_can_be_delivered() -> None:
    # No part of a browser is there in Node, and none is needed for a table.
    code = (PAGE / "js" / "form.js").read_text()
    table = code[code.index("export const DELIVERABLES") : code.index("];") + 2]
    offered = in_node(f"{table.removeprefix('export ')} console.log(JSON.stringify(DELIVERABLES))")
    assert offered == [[name, one.file, one.placed] for name, one in DELIVERABLES.items()]


@pytest.mark.parametrize("before", ["draft", "standard", "high"])
@pytest.mark.parametrize("after", ["draft", "standard", "high"])
def test_cameras_keep_their_options(before: str, after: str) -> None:
    own = {"preset": before, "map_scene": {"force": True}, "bundle_web": {"title": "The yard"}}
    code = f"""import {{ withQuality }} from '{PAGE / "js" / "quality.js"}';
        console.log(JSON.stringify(withQuality({json.dumps(own)}, '{after}', true)))"""
    made = in_node(code)
    old, new = settings(own), settings(made)
    for section in CAMERAS:
        assert new[section] == old[section], section
    assert new["train_splat"]["preset"] == after
