"""The unit of brought poses: against GPS, and as the scale of a scene without GPS."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pycolmap
import pytest

from scripts.lib.contracts.georef import Georef, PlaceCertainty
from scripts.lib.contracts.photos import BroughtFrame, Photo
from scripts.lib.sfm.brought_scale import brought_unit, scale_note
from scripts.lib.sfm.frame import align_calibrated
from scripts.lib.sfm.free_frame import MEDIAN_DISTANCE, Unit

EYE = tuple(tuple(row) for row in np.eye(4).tolist())
PLACED = Georef(
    georeferenced=True,
    reason="36 of 36 GPS positions agree",
    scale=1.0,
    world_from_sfm=EYE,  # type: ignore[arg-type]
    units="metres",
)


def _certain(scale_percent: float) -> PlaceCertainty:
    ones = (1.0, 1.0, 1.0)
    return PlaceCertainty(ones, ones, ones, scale_percent, 20, ())


@pytest.mark.parametrize(
    ("metres", "claimed", "sure", "said"),
    [
        (1.02, 1.0, 3.0, None),
        (
            0.0101,
            1.0,
            3.0,
            "are in centimetres, not in metres, as the file has it: the scale of GPS",
        ),
        (0.00099, 1.0, 3.0, "are in millimetres, not in metres"),
        (1.0, 0.01, 3.0, "are in metres, not in centimetres, as the file"),
        (
            0.0102,
            None,
            3.0,
            "the camera poses of cameras.xml are in centimetres; the scene",
        ),
        (0.305, None, 3.0, "are in feet;"),
        (1.01, None, 3.0, None),
        (3.7, None, 3.0, None),
        (3.7, 1.0, 3.0, "are in units of 3.7 m, not in metres"),
        (1.2, 1.0, 25.0, None),  # GPS is no better
        (0.01, 1.0, 80.0, None),  # GPS tells no scale at all
    ],
)
def test_gps_tells_wrong_units(
    metres: float, claimed: float | None, sure: float, said: str | None
) -> None:
    georef = replace(PLACED, scale=metres, certainty=_certain(sure))
    note = scale_note(georef, BroughtFrame("cameras.xml", claimed, claimed and "the file"))  # type: ignore[arg-type]
    assert (note is None) if said is None else (note is not None and said in note)


def test_without_gps_or_poses_nothing_is_said() -> None:
    brought = BroughtFrame("cameras.xml", 1.0, "the file")
    assert scale_note(replace(PLACED, georeferenced=False), brought) is None
    assert scale_note(replace(PLACED, scale=0.01), None) is None
    assert brought_unit(None) is None
    assert brought_unit(BroughtFrame("a", None, None)) is None
    unit = brought_unit(brought)
    assert unit is not None and unit.source == "cameras.xml (the file)"


def _model() -> tuple[pycolmap.Reconstruction, list[Photo]]:
    pycolmap.set_random_seed(3)
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_cameras_per_rig, options.num_frames_per_rig = 1, 1, 6
    options.num_points3D = 60
    model = pycolmap.synthesize_dataset(options)
    images = [model.image(number) for number in model.reg_image_ids()]
    return model, [Photo(image.name, image.name, True, "usable") for image in images]


def _distances(model: pycolmap.Reconstruction) -> np.ndarray:
    centres = np.array([model.image(n).projection_center() for n in sorted(model.images)])
    return np.asarray(np.linalg.norm(centres[:, None] - centres[None], axis=2))


def test_a_scene_without_gps_is_in_metres_where_the_poses_are() -> None:
    model, photos = _model()
    before = _distances(model)
    unit = Unit(0.01, "cameras.xml (the references of Metashape)")
    aligned, _ = align_calibrated(model, photos, calibration=False, unit=unit)
    assert np.allclose(_distances(aligned.model), 0.01 * before, rtol=1e-4)
    georef = aligned.georef
    assert georef.metric and not georef.georeferenced
    assert georef.scale == pytest.approx(0.01, rel=1e-4)
    assert georef.scale_from == "cameras.xml (the references of Metashape)"


def test_without_a_unit_the_scale_is_comfortable() -> None:
    model, photos = _model()
    aligned, _ = align_calibrated(model, photos, calibration=False)
    assert not aligned.georef.metric and aligned.georef.scale_from is None
    far = [
        np.median(
            [
                np.linalg.norm(p.xyz - image.projection_center())
                for p in aligned.model.points3D.values()
            ]
        )
        for image in aligned.model.images.values()
    ]
    assert np.median(far) == pytest.approx(MEDIAN_DISTANCE, rel=0.05)
