"""Poses against truth with both mappers, and which one comes first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.lib.core.console import UserError
from scripts.lib.sfm.mapping import mapper_order, run_mapper
from scripts.lib.sfm.options import MapOptions
from tests.bench.sfm_world import world
from tests.unit.sfm_scene import centres, position_errors, synthetic


@pytest.mark.parametrize("mapper", ["incremental", "global"])
def test_poses_are_right(tmp_path: Path, mapper: str) -> None:
    truth, _ = synthetic(tmp_path / "m.db", track_length=8)
    attempt = run_mapper(mapper, tmp_path / "m.db", tmp_path, MapOptions(), 2)
    assert attempt.registered == 12 and attempt.mapper == mapper
    assert position_errors(centres(attempt.models[0]), centres(truth)).max() < 0.004
    assert attempt.models[0].compute_mean_reprojection_error() < 1.0


@pytest.fixture(scope="module", params=["flight", "street"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, np.ndarray]]:
    """A database of 40 photos of which none sees all of the place, and where they were taken."""
    database = tmp_path_factory.mktemp("place") / "m.db"
    return database, world(request.param, 40, database)[0]


@pytest.mark.parametrize("mapper", ["incremental", "global"])
def test_poses_of_a_place_larger_than_a_view(
    place: tuple[Path, dict[str, np.ndarray]], tmp_path: Path, mapper: str
) -> None:
    """Half a pixel of noise, a seventh of the matches wrong, and the focal length two percent off."""
    database, truth = place
    attempt = run_mapper(mapper, database, tmp_path, MapOptions(), 2)
    assert attempt.registered >= 38
    assert position_errors(centres(attempt.models[0]), truth).max() < 0.002


def test_a_flight_is_not_left_bent(tmp_path: Path) -> None:
    """The tracks it grew with are adjusted until slow bends are gone: twice the error where they are not."""
    truth, _ = world("flight", 60, tmp_path / "m.db")
    attempt = run_mapper("incremental", tmp_path / "m.db", tmp_path, MapOptions(), 2)
    assert position_errors(centres(attempt.models[0]), truth).max() < 0.00035


def test_the_same_matches_give_the_same_model(tmp_path: Path) -> None:
    synthetic(tmp_path / "m.db")
    first, second = (
        centres(run_mapper("incremental", tmp_path / "m.db", tmp_path, MapOptions(), 1).models[0])
        for _ in range(2)
    )
    assert all(abs(first[name] - second[name]).max() < 1e-6 for name in first)


def test_the_mapper_is_chosen_by_size() -> None:
    options = MapOptions(global_mapper_min_photos=100)
    assert mapper_order(options, 20) == ["incremental", "global"]
    assert mapper_order(options, 100) == ["global", "incremental"]
    assert mapper_order(MapOptions(mapper="global"), 20) == ["global"]
    with pytest.raises(UserError, match="telepathic"):
        mapper_order(MapOptions(mapper="telepathic"), 20)
