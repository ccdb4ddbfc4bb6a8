"""Sightings and points read from COLMAP's files are those that its bindings hand out one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap

from scripts.lib.sfm.projection import seen_by
from scripts.lib.sfm.tables import tables, with_points
from tests.unit.sfm_scene import synthetic


def test_tables_hold_what_the_model_does(tmp_path: Path) -> None:
    model, _ = synthetic(tmp_path / "m.db", frames=6, points=120)
    for number in sorted(model.point3D_ids())[::7]:
        model.delete_point3D(number)  # leaves features without a point, and gaps between numbers
    model.deregister_frame(model.image(3).frame_id)
    found = tables(model)
    assert set(found.seen) == set(model.reg_image_ids()) and 3 not in found.seen
    for number in model.reg_image_ids():
        image = model.image(number)
        rows = image.get_observation_point2D_idxs()
        assert found.features[number].tolist() == list(rows) and len(rows)
        for at, row in enumerate(rows):
            assert found.seen[number][at] == image.points2D[row].point3D_id
            assert np.array_equal(found.pixels[number][at], image.points2D[row].xy)
    assert found.points.tolist() == sorted(model.point3D_ids())
    for row, number in enumerate(found.points.tolist()):
        point = model.point3D(number)
        assert np.array_equal(found.xyz[row], point.xyz)
        assert found.lengths[row] == point.track.length()


def test_a_model_without_anything_has_empty_tables() -> None:
    found = tables(pycolmap.Reconstruction())
    assert not found.seen and not len(found.points) and found.xyz.shape == (0, 3)


def test_a_model_with_some_of_its_points(tmp_path: Path) -> None:
    """What is kept is the same to the last digit, with the same numbers; features of other points go."""
    model, _ = synthetic(tmp_path / "m.db", frames=6, points=120)
    model.deregister_frame(model.image(3).frame_id)
    kept = np.array(sorted(model.point3D_ids())[::3], np.int64)
    some = with_points(model, tables(model), kept)
    assert sorted(some.reg_image_ids()) == sorted(model.reg_image_ids())
    assert sorted(some.point3D_ids()) == kept.tolist()
    assert some.cameras[1].params.tolist() == model.cameras[1].params.tolist()
    before, after = seen_by(model, frozenset(kept.tolist())), seen_by(some)
    for field in ("photo", "point", "pixel", "local", "projected"):
        assert np.array_equal(getattr(before, field), getattr(after, field))
    assert some.image(2).num_points2D() == (before.photo == before.images.index(2)).sum()
    assert not list(with_points(model, tables(model), kept[:0]).point3D_ids())
