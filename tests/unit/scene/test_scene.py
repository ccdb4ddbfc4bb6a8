"""Scenes: cameras follow the photos' size, held-out photos are every n-th."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.lib.core.console import UserError
from scripts.lib.core.files import add_to_zip, writing_zip
from scripts.lib.scene.colmap_model import Model, View, model_members
from scripts.lib.scene.scene import fit, load_scene


def write(path: Path, photo: bytes | None = None) -> Path:
    """One photo of 80 x 60 whose left half is white."""
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[:, :40] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    K = np.array([[100.0, 0, 40], [0, 100.0, 30], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, 3] = [1, 2, 3]
    model = Model((View("a.png", 80, 60, K, pose),), np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    with writing_zip(path) as archive:
        add_to_zip(archive, "images/a.png", buffer.getvalue() if photo is None else photo)
        for member, data in model_members(model).items():
            add_to_zip(archive, member, data)
    return path


def test_photo_and_camera_shrink_together(tmp_path: Path) -> None:
    scene = load_scene(write(tmp_path / "s.zip"), 40)
    photo = scene.photos([0])[0]
    assert photo.shape == (30, 40, 3) and photo[:, :20].min() == 255 and photo[:, 20:].max() == 0
    assert np.allclose(scene.K[0], [[50, 0, 20], [0, 50, 15], [0, 0, 1]])
    assert np.allclose(scene.centres, [[-1, -2, -3]])


def test_zero_resolution_keeps_the_size(tmp_path: Path) -> None:
    scene = load_scene(write(tmp_path / "s.zip"), 0)
    assert scene.photos([0])[0].shape == (60, 80, 3)


def test_unreadable_photo_is_named(tmp_path: Path) -> None:
    scene = load_scene(write(tmp_path / "s.zip", b"no picture"))
    with pytest.raises(UserError, match="images/a.png"):
        scene.photos([0])


def test_missing_zip_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none.zip"):
        load_scene(tmp_path / "none.zip")


def test_fit_never_enlarges() -> None:
    assert fit(4000, 3000, 480) == (480, 360)
    assert fit(100, 300, 480) == (100, 300)
    assert fit(100, 300, 0) == (100, 300)
