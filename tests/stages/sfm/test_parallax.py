"""Depth that the photos insist on is told from depth that a mapper made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.lib.sfm.mapping import Attempt, run_mapper
from scripts.lib.sfm.options import FeatureOptions, MapOptions, MatchOptions
from scripts.lib.sfm.parallax import measure_parallax
from scripts.lib.sfm.retries import Inputs, _with_gps
from tests.unit.sfm_scene import (
    FOCAL,
    Pose,
    entry,
    facing,
    looking,
    matched,
    own_matches,
    room_points,
    true_model,
    turning,
)

RANDOM = np.random.default_rng(5)


def around(count: int = 12, span: float = 70.0, radius: float = 2.0) -> list[Pose]:
    """Part of a ring around the middle of the room."""
    angles = np.radians(np.linspace(-span / 2, span / 2, count))
    return [looking([radius * np.cos(a), radius * np.sin(a), 0.3], [0, 0, -0.5]) for a in angles]


def along(count: int = 10) -> list[Pose]:
    """A walk straight ahead."""
    return [
        (np.array([-2.5, -0.5 + 0.05 * (i % 2), 0.2]) + [0.25 * i, 0, 0], facing(0, 3 * (i % 3)))
        for i in range(count)
    ]


def flight(relief: float) -> tuple[list[Pose], np.ndarray]:
    """A block of 3 x 4 photos straight down from 60 m, four fifths of overlap; heights vary by `relief`."""
    ground = RANDOM.uniform(-80, 80, (2500, 3)) * [1, 1, 0] + [0, 0, 1] * RANDOM.uniform(
        0, relief, (2500, 1)
    )
    down = facing(0, -90)
    return [
        (np.array([15.0 * x, 12.0 * y, 60.0]), down) for x in range(4) for y in range(3)
    ], ground


def poster() -> tuple[list[Pose], np.ndarray]:
    """A flat picture of 4 x 3 m, photographed from an arc at 3 m."""
    picture = RANDOM.uniform(-1, 1, (1500, 3)) * [0, 2, 1.5]
    angles = np.radians(np.linspace(-35, 35, 10))
    return [looking([3 * np.cos(a), 3 * np.sin(a), 0.2], [0, 0, 0]) for a in angles], picture


@pytest.mark.parametrize(
    ("poses", "points"),
    [
        pytest.param(around(), room_points(), id="around"),
        pytest.param(along(), room_points(), id="straight ahead"),
        pytest.param(around(3, 12.0), room_points(), id="three photos"),
        pytest.param(*flight(8.0), id="flight"),
        pytest.param(*flight(0.0), id="flight over a plain"),
        pytest.param(*poster(), id="flat poster"),
    ],
)
def test_depth_is_found_where_the_camera_moved(poses: list[Pose], points: np.ndarray) -> None:
    model = true_model(poses, points)
    found = measure_parallax(model, own_matches(model), {1: 1.1 * FOCAL})
    assert found is not None and found.found
    assert found.ratio > 5


def test_no_depth_is_found_where_it_only_turned() -> None:
    """A turned camera explains the photos up to their noise of half a pixel, so no model can do better."""
    model = true_model(turning(12, 60.0, 0.0), room_points(), noise=0.5)
    found = measure_parallax(model, own_matches(model))
    assert found is not None and not found.found
    assert found.turned_px == pytest.approx(0.5, rel=0.2)


@pytest.mark.parametrize("mapper", ["incremental", "global"])
def test_what_a_mapper_makes_of_a_turn_does_not_count(tmp_path: Path, mapper: str) -> None:
    """Both mappers place all 18 photos of this turn, with a focal length that is a tenth off."""
    matched(tmp_path / "m.db", turning(18, 150.0, 0.0), room_points(2000), 0.5, 700.0)
    attempt = run_mapper(mapper, tmp_path / "m.db", tmp_path, MapOptions(), 2)
    assert attempt.turned_photos > 9
    assert attempt.registered == 0 and attempt.models == []
    assert attempt.summary().turned == attempt.turned_photos


@pytest.mark.parametrize(
    ("metres", "accepted"),
    [pytest.param(0.5, True, id="flight"), pytest.param(None, False, id="spot")],
)
def test_gps_proves_a_flight_that_looks_like_a_turn(
    tmp_path: Path, metres: float | None, accepted: bool
) -> None:
    """GPS that is right to half a metre; against the scatter of a receiver that stood still."""
    poses, ground = flight(0.0)
    model = true_model(poses, ground)
    matched(tmp_path / "m.db", poses, ground, 0.5, FOCAL)
    random = np.random.default_rng(1)
    photos = []
    for number, (centre, _) in enumerate(poses, 1):
        east, north, up = random.normal(0, metres or 4.0, 3) + (centre if metres else 0.0)
        place = {"latitude": 50 + north / 111_230, "longitude": 14 + east / 71_700, "altitude": up}
        photos.append(entry(f"v{number:03d}.jpg", **place))
    climb = Inputs(
        photos, tmp_path, tmp_path, MapOptions(), FeatureOptions(), MatchOptions(), threads=1
    )
    attempt = Attempt("global", [], 0.0, tmp_path / "m.db", turned=[model])
    found = _with_gps(attempt, climb)
    assert (found.registered == 12) is accepted and (found.turned_photos == 12) is not accepted
    assert (found.parallax is not None) is accepted
