"""Scenes that are a further group of another scene's photos."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.workflow.groups import Group, further_groups, rules_of
from scripts.lib.workflow.plan import Plan, read_plan

ROOT = Path(__file__).parents[3]


def plan(folder: Path, sheet: str, **config: object) -> Plan:
    """The plan of a sheet whose sources are not looked at."""
    (folder / "s.tsv").write_text(sheet)
    return read_plan({"scenes": str(folder / "s.tsv"), **config}, ROOT, False)


def test_each_group_is_a_scene_after_its_own(tmp_path: Path) -> None:
    """With the options of its scene, and a title and an address of its own."""
    sheet = (
        "scene\tsource\tcomponents\tbundle_web.title\tpublish_web.name\tdevice\n"
        "yard\ta\t3\tThe yard\tours\tcpu\nroof\tb\t\t\t\t\n"
    )
    made = plan(tmp_path, sheet, publish_web={"to": "public"})
    assert list(made.scenes) == ["yard", "yard_2", "yard_3", "roof"]
    assert made.further == {"yard_2": Group("yard", 2), "yard_3": Group("yard", 3)}
    assert made.devices["yard_3"] == "cpu" and made.scenes["yard_2"]["scene"] == "yard_2"
    assert [made.options[name]["bundle_web"]["title"] for name in made.scenes] == [
        *("The yard", "The yard 2", "The yard 3", "")
    ]
    assert made.options["yard_2"]["publish_web"]["name"] == "ours_2"
    whole = made.options["yard"]["train_splat"]
    assert made.options["yard_2"]["train_splat"] == whole | {"blocks": 1}
    assert plan(tmp_path, "scene\tsource\nyard\ta\n").further == {}
    assert list(plan(tmp_path, "scene\tsource\nyard\ta\n", components=2).scenes) == [
        "yard",
        "yard_2",
    ]


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 2 .*'yard_2', but there is a scene of that name"):
        plan(tmp_path, "scene\tsource\tcomponents\nyard\ta\t2\nyard_2\tb\t\n")
    with pytest.raises(UserError, match="a_2_2"):
        further_groups({"a": 1, "a_2": 2, "a_2_2": 1}, {"a_2": {"scene": "a_2"}, "a_2_2": {}})
    with pytest.raises(UserError, match="the least is 1"):
        plan(tmp_path, "scene\tsource\tcomponents\nyard\ta\t0\n")


def test_a_group_shares_all_rules_until_mapping() -> None:
    rules = ["import_photos", "match_photos", "map_scene", "take_component", "undistort"]
    assert rules_of(rules, False) == ["import_photos", "match_photos", "map_scene", "undistort"]
    assert rules_of(rules, True) == ["take_component", "undistort"]
    assert rules_of(["train_splat"], True) == ["train_splat"] and rules_of([], True) == []
