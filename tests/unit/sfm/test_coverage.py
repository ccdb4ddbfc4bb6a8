"""Ground that a flight covers well, thinly or in vain, on made-up flights with known gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest

from scripts.lib.sfm.coverage import ground_coverage
from tests.unit.sfm_scene import synthetic

HEIGHT, STEP, ROWS = 50.0, 15.0, 6


def flight(points: np.ndarray, tilt: float = 0.0) -> pycolmap.Reconstruction:
    """ROWS x ROWS photos of 60 x 60 m each from 50 m up, 15 m apart, and points on the ground."""
    model = pycolmap.Reconstruction()
    camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_PINHOLE", 1000.0, 1200, 1200)
    model.add_camera_with_trivial_rig(camera)
    down = np.array(
        [[1, 0, 0], [0, -np.cos(tilt), np.sin(tilt)], [0, -np.sin(tilt), -np.cos(tilt)]]
    )
    for number in range(ROWS * ROWS):
        centre = np.array([STEP * (number % ROWS), STEP * (number // ROWS), HEIGHT])
        image = pycolmap.Image(name=f"{number:02d}.jpg", camera_id=1, image_id=number + 1)
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(down), -down @ centre)
        model.add_image_with_trivial_frame(image, pose)
    for point in points:
        model.add_point3D(point, pycolmap.Track(), np.zeros(3, np.uint8))
    return model


def lawn(low: tuple[float, float], high: tuple[float, float], seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    flat = random.uniform(low, high, (4000, 2))
    return np.column_stack([flat, random.normal(0, 0.2, 4000)])


def test_a_whole_lawn_frays_only_at_its_rim() -> None:
    """Photographed: 135 x 135 m; by three photos: all but a rim."""
    found = ground_coverage(flight(lawn((-30, -30), (105, 105))), True)
    assert found is not None
    assert found.photographed == pytest.approx(135**2, rel=0.08)
    assert 0.05 < found.thin.share < 0.3 and found.thin.side == ""
    assert found.bare.share < 0.03


def test_a_forest_in_the_north_east_is_named_with_its_photos() -> None:
    points = lawn((-30, -30), (105, 105))
    forest = (points[:, 0] > 55) & (points[:, 1] > 55)
    found = ground_coverage(flight(points[~forest]), True)
    assert found is not None
    assert found.bare.side == "north-east" and found.bare.share > 0.05
    assert "35.jpg" in found.bare.photos and "00.jpg" not in found.bare.photos
    nameless = ground_coverage(flight(points[~forest]), False)
    assert nameless is not None and nameless.bare.side == ""
    assert nameless.bare.share == found.bare.share


def test_photos_that_look_ahead_tell_nothing_of_the_ground(tmp_path: Path) -> None:
    assert ground_coverage(flight(lawn((-30, -30), (105, 105)), tilt=np.radians(70)), True) is None
    truth, _ = synthetic(tmp_path / "m.db", frames=6)
    ground_coverage(truth, True)  # a ring of cameras that looks every way: no error
