"""Cameras that stand together: their poses to each other become common, and the model more exact."""

from __future__ import annotations

import numpy as np
import pycolmap
import pytest

from scripts.lib.contracts.photos import Photo, RigView
from scripts.lib.sfm.adjust import free_adjustment
from scripts.lib.sfm.lens_rigs import with_lens_rigs
from scripts.lib.sfm.map import aligned_model
from scripts.lib.sfm.options import MapOptions
from scripts.lib.sfm.rigs import has_rigs
from scripts.lib.sfm.tables import tables, with_points
from tests.unit.sfm_scene import centres, entry, residuals, synthetic

FRAMES = 10


@pytest.fixture(scope="module")
def rig(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[pycolmap.Reconstruction, pycolmap.Reconstruction, list[Photo]]:
    """The truth, photos of two cameras mapped one by one, and the lines of photos.json."""
    truth, _ = synthetic(
        tmp_path_factory.mktemp("rig") / "m.db",
        frames=FRAMES,
        num_cameras_per_rig=2,
        sensor_from_rig_rotation_stddev=20.0,
        sensor_from_rig_translation_stddev=0.2,
    )
    found = tables(truth)
    flat = with_points(truth, found, found.points)
    assert free_adjustment(flat, False, frozenset())
    photos = [
        entry(
            truth.image(data.id).name,
            rig=RigView("r", str(frame.frame_id), str(truth.image(data.id).camera_id), False),
        )
        for frame in truth.frames.values()
        for data in sorted(frame.data_ids, key=lambda data: truth.image(data.id).camera_id)
    ]
    return truth, flat, photos


def error(model: pycolmap.Reconstruction, truth: pycolmap.Reconstruction) -> float:
    return float(np.sqrt((residuals(centres(model), centres(truth)) ** 2).mean()))


def test_cameras_that_stand_together_are_held_together(
    rig: tuple[pycolmap.Reconstruction, pycolmap.Reconstruction, list[Photo]],
) -> None:
    truth, flat, photos = rig
    assert not has_rigs(flat)
    joined = with_lens_rigs(flat, photos)
    assert has_rigs(joined) and joined.num_reg_frames() == FRAMES
    assert joined.num_reg_images() == 2 * FRAMES and joined.num_points3D() == flat.num_points3D()
    assert free_adjustment(joined, False, frozenset())
    assert error(joined, truth) < error(flat, truth)
    images = {image.name: image for image in joined.images.values()}
    between = [
        (images[second.file].cam_from_world() * images[first.file].cam_from_world().inverse())
        for first, second in zip(photos[::2], photos[1::2], strict=True)
    ]
    turns = np.array([pose.rotation.matrix() for pose in between])
    assert np.abs(turns - turns[0]).max() < 1e-9
    aligned, certain, _ = aligned_model(joined, photos, (), MapOptions())
    assert has_rigs(aligned.model) and certain.cameras is not None
    assert error(aligned.model, truth) < 1.5 * error(joined, truth)


def test_cameras_that_moved_apart_stay_by_themselves(
    rig: tuple[pycolmap.Reconstruction, pycolmap.Reconstruction, list[Photo]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, flat, photos = rig
    frames = [photo.rig.frame for photo in photos[1::2] if photo.rig]
    mixed = [
        entry(photo.file, rig=RigView("r", frame, "other", False))
        for photo, frame in zip(photos[1::2], frames[3:] + frames[:3], strict=True)
    ]
    assert with_lens_rigs(flat, [*photos[::2], *mixed]) is flat
    assert "did not stand together" in capsys.readouterr().out
    assert with_lens_rigs(flat, [entry(photo.file) for photo in photos]) is flat
