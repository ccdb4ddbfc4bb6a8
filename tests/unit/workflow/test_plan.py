"""Which scenes of the sheet a run builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.workflow.plan import Plan, read_plan
from tests.conftest import ROOT


def plan(folder: Path, only: str = "", **config: str) -> Plan:
    sheet = folder / "my.tsv"
    lines = ("scene\tsource", *(f"{name}\ts3://bucket/{name}" for name in ("yard", "mill", "roof")))
    sheet.write_text("\n".join(lines))
    return read_plan({"scenes": str(sheet), "only": only, **config}, ROOT, sources_here=True)


@pytest.mark.parametrize(
    ("only", "scenes"),
    [
        ("", ["yard", "mill", "roof"]),
        ("mill", ["mill"]),
        (" roof, yard,", ["yard", "roof"]),  # in the order of the sheet
    ],
)
def test_only_the_scenes_that_are_named(tmp_path: Path, only: str, scenes: list[str]) -> None:
    found = plan(tmp_path, only)
    assert list(found.scenes) == list(found.options) == list(found.devices) == scenes


@pytest.mark.parametrize(
    ("only", "hint"),
    [("yrad", "did you mean 'yard'?"), ("yard,castle", "it has: yard, mill, roof")],
)
def test_a_scene_that_is_not_there(tmp_path: Path, only: str, hint: str) -> None:
    name = only.split(",")[-1]
    with pytest.raises(
        UserError, match=f"^only names '{name}', which is not in .*my.tsv; "
    ) as told:
        plan(tmp_path, only)
    assert str(told.value).endswith(hint)


def test_who_asks_for_a_scene_that_was_left_out(tmp_path: Path) -> None:
    assert "scene 'yard' is not among those of only='mill'; add it" in plan(
        tmp_path, "mill"
    ).no_scene("yard")
    assert "scene 'castle' is not in" in plan(tmp_path, "").no_scene("castle")


def test_the_image_of_training_follows_from_the_device(tmp_path: Path) -> None:
    for device, name in (("auto", "train"), ("cuda", "train"), ("cpu", "train-cpu")):
        found = plan(tmp_path, device=device)
        assert found.train_image("yard") == found.images[name]
        assert found.images[name].startswith(f"docker://ghcr.io/splatmake/{name}:")
