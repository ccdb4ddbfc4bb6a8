"""Two captures of a made-up place: the similarity between them, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pycolmap
import pytest

from scripts.lib.contracts.georef import Georef, Origin
from scripts.lib.contracts.record import write
from scripts.lib.core.console import UserError
from scripts.lib.core.geo import Sim3
from scripts.lib.sfm.joint.cross import Capture, alike, cross_votes, match_captures
from scripts.lib.sfm.joint.fit import fit_captures, point_pairs
from scripts.lib.sfm.joint.register import CaptureFiles, register_captures, required, sentence
from scripts.lib.sfm.options import MatchOptions, RegisterOptions
from tests.unit.sfm.joint import places

SAME = Sim3(1.0, np.eye(3), np.zeros(3))
COUNT, MOVED = 500, 90
MATCHING = MatchOptions(min_inliers=15)
ROW = (1.0, 0.0, 0.0, 0.0)
FREE = Georef(georeferenced=False, reason="", scale=1.0, world_from_sfm=(ROW, ROW, ROW, ROW))


def files(folder: Path, scene: str, georef: Georef = FREE) -> CaptureFiles:
    write(folder / f"{scene}.json", georef)
    return CaptureFiles(scene, folder / "sparse", folder / "features.db", folder / f"{scene}.json")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """before/ and after/ of one place, in which a group of points has moved by a metre."""
    folder = tmp_path_factory.mktemp("two")
    xyz, described = places.points(COUNT), places.descriptors(COUNT)
    places.capture(folder / "before", "before", xyz, described, 8, 0.0, SAME)
    later = xyz.copy()
    later[:MOVED] += [1.0, 0.3, 0]
    places.capture(folder / "after", "after", later, described, 7, 0.03, places.other_frame())
    return folder


def test_second_capture_comes_into_the_frame_of_the_first(two: Path) -> None:
    metric = replace(FREE, units="metres", scale_from="lidar")
    found = register_captures(
        files(two / "before", "before", metric),
        files(two / "after", "after"),
        RegisterOptions(),
        MATCHING,
        two,
        1,
    )
    sim3 = np.array(found.reference_from_scene)
    true = places.other_frame().inverse().matrix()
    error = sim3 @ np.linalg.inv(true)
    scale = np.cbrt(np.linalg.det(error[:3, :3]))
    turn = np.degrees(np.arccos(np.clip((np.trace(error[:3, :3] / scale) - 1) / 2, -1, 1)))
    assert abs(scale - 1) < 2e-4 and turn < 0.02
    corners = np.array([[x, y, z, 1.0] for x in (-4, 4) for y in (-4, 4) for z in (0, 3)])
    assert np.abs(corners @ error.T - corners).max() < 0.003  # metres of a yard of 8
    assert found.scale == pytest.approx(2.5, rel=2e-4) and found.metres == 1.0
    # The moved points are matched too, and do not agree.
    assert 0.7 * (COUNT - MOVED) < found.common <= COUNT - MOVED
    assert found.points - found.common > 0.6 * MOVED
    assert found.residual_m is not None and found.residual_m.median < 0.01
    assert 0.2 < found.residual_px.median < 0.8
    assert "common points in 7 and 8 photos" in sentence(found) and found.gps_apart_m is None


def test_the_metre_of_the_second_capture_where_the_first_has_none(two: Path) -> None:
    metric = replace(FREE, units="metres", scale_from="lidar")
    one, other = files(two / "before", "before"), files(two / "after", "after", metric)
    found = register_captures(one, other, RegisterOptions(), MATCHING, two, 1)
    assert found.metres == pytest.approx(0.4, rel=1e-3)


def test_gps_apart_is_told_where_both_have_it(two: Path) -> None:
    """A similarity of free scale stands for nothing on the Earth; here only the arithmetic is looked at."""
    placed = replace(FREE, georeferenced=True, units="metres")
    north = 3.0 / 111_132  # degrees of three metres
    one = replace(placed, origin=Origin(48.0, 11.0, 500.0))
    two_ = replace(placed, origin=Origin(48.0 + north, 11.0, 480.0))
    found = register_captures(
        files(two / "before", "before", one),
        files(two / "before", "again", two_),
        RegisterOptions(),
        MATCHING,
        two,
        1,
    )
    assert found.gps_apart_m == pytest.approx(3.0, abs=0.02)
    assert any("3.0 m apart" in note for note in found.notes)


def test_another_place_is_refused(two: Path) -> None:
    places.capture(
        two / "else", "else", places.points(COUNT, 5), places.descriptors(COUNT, 5), 6, 0.0, SAME
    )
    with pytest.raises(UserError, match="have only 0 points in common .* and 30 are needed"):
        register_captures(
            files(two / "before", "before"),
            files(two / "else", "else"),
            RegisterOptions(),
            MATCHING,
            two,
            1,
        )


def test_what_cannot_be_relied_on_is_refused_with_numbers(two: Path) -> None:
    captures = [
        Capture(
            name, pycolmap.Reconstruction(str(two / name / "sparse")), two / name / "features.db"
        )
        for name in ("before", "after")
    ]
    with TemporaryDirectory(dir=two) as folder:
        common = match_captures(captures[0], captures[1], Path(folder), MATCHING, 100, 2, 1)
    fit = fit_captures(common.reference, common.other, 0)
    with pytest.raises(UserError, match=r"only [1-9]\d\d points in common .* 100000 are needed"):
        required(fit, common, "before", "after", RegisterOptions(least_common=100_000))
    with pytest.raises(UserError, match="scale between scenes 'after' and 'before' cannot be told"):
        required(fit, common, "before", "after", RegisterOptions(most_scale_percent=1e-9))
    assert required(fit, common, "before", "after", RegisterOptions()) is fit


def test_features_of_another_run_are_refused(two: Path, tmp_path: Path) -> None:
    few = places.capture(
        tmp_path / "few", "few", places.points(50), places.descriptors(50), 2, 0.0, SAME
    )
    mixed = replace(files(two / "before", "before"), database=few.database)
    with pytest.raises(UserError, match="lacks 6 of the 8 photos of before; run extract_features"):
        register_captures(
            mixed, files(two / "after", "after"), RegisterOptions(), MATCHING, tmp_path, 1
        )


def test_only_photos_that_look_alike_are_compared_when_there_are_many(
    two: Path, tmp_path: Path
) -> None:
    xyz, described = places.points(COUNT), places.descriptors(COUNT)
    one = places.capture(tmp_path / "a", "a", xyz, described, 6, 0.0, SAME)
    other = places.capture(tmp_path / "b", "b", xyz, described, 6, 0.01, SAME)
    common = match_captures(one, other, tmp_path, MATCHING, 1, 2, 1)
    assert 0 < common.verified <= common.tried < 36
    fit = fit_captures(common.reference, common.other, 0)
    assert fit is not None and np.abs(fit.sim3.matrix() - np.eye(4)).max() < 0.005
    assert cross_votes(one, other, 1).shape == (6, 6)


def test_alike_takes_the_best_of_both_sides() -> None:
    votes = np.array([[9, 5, 0], [8, 0, 0], [0, 4, 1]])
    assert alike(votes, ["a", "b", "c"], ["x", "y", "z"], 1) == [
        ("a", "x"),
        ("a", "y"),
        ("b", "x"),
        ("c", "y"),
    ]


def test_points_of_many_matches_count_once(tmp_path: Path) -> None:
    xyz, described = places.points(60), places.descriptors(60)
    one = places.capture(tmp_path / "a", "a", xyz, described, 4, 0.0, SAME)
    other = places.capture(tmp_path / "b", "b", xyz, described, 4, 0.02, SAME)
    common = match_captures(one, other, tmp_path, MATCHING, 100, 2, 1)
    pairs = point_pairs(common.reference, common.other)
    assert len(common.photos) > 3 * len(pairs) and len(pairs) <= 60
