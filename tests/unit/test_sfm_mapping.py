"""Poses against truth: both mappers, and the choice between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.console import UserError
from scripts.lib.sfm.mapping import MapOptions, map_photos
from tests.unit.sfm_scene import centres, position_errors, synthetic


@pytest.mark.parametrize("mapper", ["incremental", "global"])
def test_poses_are_right(tmp_path: Path, mapper: str) -> None:
    truth, _ = synthetic(tmp_path / "m.db")
    best, attempts = map_photos(tmp_path / "m.db", tmp_path, MapOptions(mapper=mapper), 2)
    assert best.registered == 12 and [a.mapper for a in attempts] == [mapper]
    assert position_errors(centres(best.models[0]), centres(truth)).max() < 0.002
    assert best.models[0].compute_mean_reprojection_error() < 1.0


def test_auto_stops_at_the_first_good_model(tmp_path: Path) -> None:
    synthetic(tmp_path / "m.db")
    best, attempts = map_photos(tmp_path / "m.db", tmp_path, MapOptions(), 2)
    assert len(attempts) == 1 and best.mapper == "incremental"


def test_an_unknown_mapper_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="telepathic"):
        map_photos(tmp_path / "m.db", tmp_path, MapOptions(mapper="telepathic"), 2)
