"""From photos to a verdict through the scripts: what passes, what is repaired, and what is refused why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.sfm.options import FeatureOptions
from scripts.lib.sfm.retries import finer
from tests.unit.photo_files import encoded, exif, imported, picture
from tests.unit.room import FOCAL, FOCAL_35MM, SIZE, Shot, arc, photo, spin, write_room
from tests.unit.sfm_stages import read, run
from tests.unit.video_files import write_video


def strategies(report: dict[str, Any]) -> list[str]:
    return [attempt["strategy"] for attempt in report["attempts"]]


def two_rooms(folder: Path, first: int, second: int) -> None:
    write_room(folder, arc(first, 60.0), seed=0, prefix="kitchen")
    write_room(folder, arc(second, 50.0), seed=1, prefix="attic")


def test_a_good_scene_needs_one_attempt(tmp_path: Path) -> None:
    names = write_room(tmp_path / "in", arc(7, 60.0))
    report = run(tmp_path)
    assert strategies(report) == ["as matched"] and report["verdict"] == "passed"
    assert report["registered"] == 7 and report["unregistered"] == []
    assert [line["file"] for line in report["per_photo"]] == names
    first = report["per_photo"][0]
    assert first["registered"] and first["component"] == 0 and first["residual_px"] < 1
    assert first["neighbours"][0]["file"] == names[1] and first["points"] > 50
    assert report["tracks"]["mean"] == pytest.approx(report["track_length"], abs=0.01)
    assert report["triangulation_angle_deg"] > 3
    assert [part["photos"] for part in report["components"]] == [names]


def test_wider_pairs_join_what_the_order_missed(tmp_path: Path) -> None:
    """Names in an order that is not that of the walk, matched as if they were."""
    shots = arc(8, 70.0)
    write_room(tmp_path / "in", [shots[i] for i in (0, 6, 2, 4, 7, 1, 5, 3)])
    report = run(tmp_path, matching={"strategy": "sequential", "overlap": 1}, retry_below=1.0)
    assert report["registered"] == 8
    if report["attempts"][0]["registered"] < 8:
        assert strategies(report)[1] == "wider pairs"


def test_more_features_help_when_there_were_too_few(tmp_path: Path) -> None:
    write_room(tmp_path / "in", arc(6, 60.0))
    report = run(tmp_path, features={"first_octave": 2, "max_features": 60})
    assert report["registered"] == 6
    assert "more features" in strategies(report)
    assert report["attempts"][0]["registered"] < 6


def test_two_rooms_are_refused_as_two_groups(tmp_path: Path) -> None:
    two_rooms(tmp_path / "in", 6, 5)
    with pytest.raises(UserError) as stop:
        run(tmp_path, retries=False, mapper="incremental")
    assert "2 groups" in str(stop.value) and "a scene of each" in str(stop.value)
    parts = read(tmp_path)["components"]
    assert [part["registered"] for part in parts] == [6, 5]
    assert all(name.startswith("kitchen") for name in parts[0]["photos"])
    assert all(name.startswith("attic") for name in parts[1]["photos"])


def test_force_keeps_the_larger_group_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_rooms(tmp_path / "in", 6, 5)
    report = run(tmp_path, retries=False, mapper="incremental", force=True)
    assert report["registered"] == 6 and report["verdict"] == "forced"
    assert "2 groups" in capsys.readouterr().out
    assert (tmp_path / "sparse" / "images.bin").exists()


def test_a_camera_that_only_turned_is_refused(tmp_path: Path) -> None:
    write_room(tmp_path / "in", spin(7, 70.0))
    with pytest.raises(UserError) as stop:
        run(tmp_path, retries=False)
    assert "the camera only turned" in str(stop.value) or "on the spot" in str(stop.value)


def test_a_stranger_is_named(tmp_path: Path) -> None:
    write_room(tmp_path / "in", arc(7, 60.0))
    (tmp_path / "in" / "zebra.jpg").write_bytes(encoded(picture(99, *SIZE)))
    report = run(tmp_path, retry_below=0.8)
    assert report["alone"] == report["unregistered"] == ["zebra.jpg"]
    assert any("zebra.jpg matches no other photo" in sentence for sentence in report["advice"])


def test_copies_of_one_view_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nine photos of eleven from one spot, saved at different qualities."""
    folder = tmp_path / "in"
    write_room(folder, arc(3, 20.0))
    still = photo(Shot((2.0, 0.0, 1.3), (-0.5, 0.0, 1.2)))
    for number in range(8):
        (folder / f"still{number}.jpg").write_bytes(encoded(still, quality=80 + 2 * number))
    found = imported(folder, tmp_path)
    twins = [line for line in found.report["photos"] if line["twin"]]
    assert len(twins) == 8 and len(found.kept) == 3
    assert "the same picture as" in twins[0]["reason"]


def test_from_a_video_to_poses(tmp_path: Path) -> None:
    """A walk on an arc, filmed: no EXIF, frames in order, the focal length found by itself."""
    write_video(tmp_path / "in" / "walk.mp4", (photo(shot) for shot in arc(36, 100.0)))
    report = run(tmp_path, features={"first_octave": 0, "max_features": 2000})
    assert report["registered"] == report["photos"] >= 8
    assert report["focal_px"] == pytest.approx(FOCAL, rel=0.1)


def test_from_heic_to_poses(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, shot in enumerate(arc(7, 60.0)):
        told = exif(make="Apple", model="iPhone 15", focal_35mm=FOCAL_35MM).tobytes()
        data = encoded(photo(shot), "HEIF", quality=90, exif=told)
        (tmp_path / "in" / f"{number}.heic").write_bytes(data)
    report = run(tmp_path)
    assert report["registered"] == 7
    assert report["cameras"][0]["prior"] and report["focal_px"] == pytest.approx(FOCAL, rel=0.05)


def test_finer_features_stay_within_what_options_allow() -> None:
    usual, most = FeatureOptions(), FeatureOptions(max_side=65_500, max_features=100_000)
    assert finer(usual).max_side == 1.5 * usual.max_side and finer(usual).max_orientations == 2
    assert finer(most).max_side == 65_500 and finer(most).max_features == 100_000
    assert finer(FeatureOptions(max_side=0)).max_side == 0
