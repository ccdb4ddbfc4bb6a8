"""The gate: a hopeless scene stops with a paragraph that tells what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scripts.lib.contracts.photos import Photo
from scripts.lib.contracts.sfm import Component, Parallax, Sfm
from scripts.lib.core.console import UserError
from scripts.lib.sfm.gate import judge_scene, require_scene
from scripts.lib.sfm.options import MapOptions
from tests.photo_lines import line


def report(registered: int, total: int, **facts: Any) -> Sfm:
    missing = tuple(f"m{number:02d}.jpg" for number in range(total - registered))
    made = Sfm(
        photos=total,
        registered=registered,
        models=(registered,) if registered else (),
        mapper="incremental",
        points=900,
        unregistered=missing,
        pair_kinds={"general": 10},
        triangulation_angle_deg=12.0,
        reprojection_error_px=0.6,
        track_length=4.0,
        parallax=None,
        seconds=1.0,
    )
    return replace(made, **facts)


def part(letter: str, count: int, points: int) -> Component:
    return Component(count, points, tuple(f"{letter}{n}.jpg" for n in range(count)))


def passed(found: Sfm, force: bool = False) -> Sfm:
    judgement = judge_scene(found, [], MapOptions(force=force))
    require_scene(judgement)
    return judgement.report


def refusal(found: Sfm, dropped: list[Photo] | None = None) -> str:
    judgement = judge_scene(found, dropped or [], MapOptions())
    with pytest.raises(UserError) as stop:
        require_scene(judgement)
    assert judgement.report.verdict == "refused"
    something = bool(found.registered or found.turned)
    assert ("map_scene.force" in str(stop.value)) is something
    return str(stop.value)


def test_a_good_scene_passes() -> None:
    found = passed(report(10, 10))
    assert found.verdict == "passed" and found.advice == ()


def test_too_few_stop_with_names_and_advice() -> None:
    message = refusal(report(5, 10))
    assert "only 5 of 10 photos" in message and "6 are needed" in message
    assert "m00.jpg" in message and "overlap" in message


def test_two_places_are_told_with_their_photos() -> None:
    parts = (part("a", 8, 900), part("b", 6, 700))
    message = refusal(report(8, 14, components=parts))
    assert "2 groups" in message and "8 photos (a0.jpg to a7.jpg)" in message
    assert "a scene of each" in message


def test_two_places_are_told_even_when_the_larger_passes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parts = (part("a", 9, 900), part("b", 3, 700))
    found = passed(report(9, 12, components=parts))
    assert "2 groups" in capsys.readouterr().out and found.verdict == "passed"


def test_photos_that_stand_alone_are_named() -> None:
    message = refusal(report(5, 10, alone=("m00.jpg", "m01.jpg")))
    assert "m00.jpg, m01.jpg match no other photo" in message


def test_a_camera_that_only_turned() -> None:
    message = refusal(report(0, 10, pair_kinds={"flat_or_turned": 9, "general": 1}))
    assert "the camera only turned" in message and "none of the 10" in message
    message = refusal(
        report(10, 10, triangulation_angle_deg=0.4, pair_kinds={"turned": 9, "general": 1})
    )
    assert "one position" in message and "sideways" in message


def test_a_model_that_a_turned_camera_explains_is_refused_as_one() -> None:
    found = report(0, 10, turned=10, parallax=None, pair_kinds={"general": 9})
    message = refusal(found)
    assert "10 of 10 photos could also come from a camera that only turned" in message
    assert "steps to the side" in message
    assert "none of the 10" not in message


def test_force_goes_on_with_a_turned_camera_but_not_without_a_model() -> None:
    found = report(10, 10, turned=10, parallax=None)
    assert passed(found, force=True).verdict == "forced"
    found = report(0, 10, turned=0, parallax=None)
    assert judge_scene(found, [], MapOptions(force=True)).report.verdict == "refused"
    with pytest.raises(UserError, match="none of the 10") as stop:
        passed(found, force=True)
    assert "map_scene.force" not in str(stop.value)


def test_some_turned_photos_beside_a_model_do_no_harm() -> None:
    found = report(10, 12, turned=10, parallax=Parallax(9, 0.5, 20.0, 20.0, 40.0))
    assert passed(found).verdict == "passed"


def test_a_flat_scene_is_no_turned_camera() -> None:
    passed(report(10, 10, pair_kinds={"flat_or_turned": 9, "general": 1}))
    assert "the camera only turned" not in refusal(report(4, 10, pair_kinds={"flat_or_turned": 9}))


def test_the_same_view_again_and_again() -> None:
    dropped = [line("b.jpg", twin="a.jpg")] * 9 + [line("c.jpg", reason="blurred: 10 %")]
    message = refusal(report(4, 11), dropped)
    assert "9 of 20 photos repeat the view" in message and "1 blurred" in message


@pytest.mark.parametrize(
    ("facts", "words"),
    [({"reprojection_error_px": 7.5}, "7.5 px"), ({"track_length": 2.02}, "2.02 photos")],
)
def test_a_bad_fit_is_refused(facts: dict[str, Any], words: str) -> None:
    assert words in refusal(report(10, 10, **facts))


def test_force_goes_on_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert passed(report(3, 20), force=True).verdict == "forced"
    assert "only 3 of 20" in capsys.readouterr().out
