"""Captures mapped in parts: as many photos, as well placed, as when mapped whole."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from scripts.lib.core.console import UserError
from scripts.lib.sfm.divided import divided_models, submaps
from scripts.lib.sfm.divided.submaps import PAIR
from scripts.lib.sfm.mapping import mapper_order
from scripts.lib.sfm.matching import verified_matches
from scripts.lib.sfm.options import MapOptions
from tests.bench.sfm_world import world
from tests.unit.sfm_scene import centres, position_errors

PHOTOS, PART = 40, 18


@pytest.fixture(scope="module")
def flight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """A database of a flight whose second half was flown behind the first, and where photos were taken."""
    database = tmp_path_factory.mktemp("flight") / "m.db"
    return database, world("flight", PHOTOS, database)[0]


def cut(database: Path, output: Path) -> Path:
    """A copy of the database without the pairs of a photo of the first half and one of the second."""
    output.write_bytes(database.read_bytes())
    with closing(sqlite3.connect(output)) as link:
        for table in ("matches", "two_view_geometries"):
            link.execute(
                f"DELETE FROM {table} WHERE (pair_id / {PAIR} <= {PHOTOS // 2}) "
                f"!= (pair_id % {PAIR} <= {PHOTOS // 2})"
            )
        link.commit()
    return output


def test_parts_are_joined_to_the_whole(
    flight: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    """Half a pixel of noise, a seventh of the matches wrong, and the focal length two percent off."""
    database, truth = flight
    matches = verified_matches(database)
    models, unjoined = divided_models(database, matches, tmp_path, MapOptions(), 2, PART)
    assert [model.num_reg_images() for model in models] == [PHOTOS] and not unjoined
    assert position_errors(centres(models[0]), truth).max() < 0.0005
    assert len(list(tmp_path.glob("part*"))) >= 3


def test_a_capture_of_two_places_gives_two_models(
    flight: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    database = cut(flight[0], tmp_path / "cut.db")
    matches = verified_matches(database)
    models, unjoined = divided_models(database, matches, tmp_path, MapOptions(), 1, PART)
    assert [model.num_reg_images() for model in models] == [PHOTOS // 2] * 2 and not unjoined
    for model in models:
        assert position_errors(centres(model), flight[1]).max() < 0.001


def test_a_killed_process_is_told(
    flight: tuple[Path, dict[str, np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submaps, "_map", _killed)
    matches = verified_matches(flight[0])
    with pytest.raises(UserError, match="fewer threads"):
        divided_models(flight[0], matches, tmp_path, MapOptions(), 2, PART)


def _killed(task: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_large_captures_are_mapped_in_parts() -> None:
    options = MapOptions(divided_mapper_min_photos=100, global_mapper_min_photos=200)
    assert mapper_order(options, 99) == ["incremental", "global"]
    assert mapper_order(options, 100) == ["divided", "incremental"]
    assert mapper_order(options, 200) == ["divided", "global"]
