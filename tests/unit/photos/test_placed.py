"""Cameras of photos that are turned to be upright."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pycolmap
import pytest
from scipy.spatial.transform import Rotation

from scripts.lib.contracts.photos import BroughtPose, Photo
from scripts.lib.photos.brought import BroughtCameras
from scripts.lib.photos.options import ImportOptions
from scripts.lib.photos.placed import PARAMS, Brought, BroughtFile, Lens
from scripts.lib.photos.posed import with_poses
from scripts.lib.photos.prepare import Item

WIDTH, HEIGHT = 800, 600
TERMS = (0.05, -0.02, 0.004, -0.003, 0.01, 0.002, -0.001, 0.003)
POINTS = np.random.default_rng(0).uniform([-1, -1, 4], [1, 1, 6], (20, 3))
# Where the pixel x, y of the stored picture is in the upright one, by EXIF orientation.
UPRIGHT = {
    3: lambda x, y: (WIDTH - x, HEIGHT - y),
    6: lambda x, y: (HEIGHT - y, x),
    8: lambda x, y: (y, WIDTH - x),
}


def lens_of(model: str) -> Lens:
    """A lens off the middle with all terms of its model."""
    count, pixels = PARAMS[model]
    start = (700.0, 410.0, 290.0) if pixels == 3 else (700.0, 690.0, 410.0, 290.0)
    return Lens(model, WIDTH, HEIGHT, (*start, *TERMS[: count - pixels]))


def pixels(
    model: str, size: tuple[int, int], params: tuple[float, ...], points: np.ndarray
) -> np.ndarray:
    """Where COLMAP's camera shows points of its own axes."""
    camera = pycolmap.Camera(model=model, width=size[0], height=size[1], params=params)
    return np.array([camera.img_from_cam(point) for point in points])


def posed(turn: int, entry: Brought, size: tuple[int, int]) -> BroughtPose | None:
    """The pose that a photo of 800 x 600 pixels gets, which is upright with another EXIF orientation."""
    plain = Brought("b.jpg", np.eye(3), np.zeros(3), lens_of("PINHOLE"))
    others = [replace(plain, name=name) for name in ("b.jpg", "c.jpg")]
    items = [
        Item(
            Photo(name, name, True, "usable", width=across, height=down),
            stored_size=(WIDTH, HEIGHT),
            turn=how,
        )
        for name, (across, down), how in (
            ("a.jpg", size, turn),
            ("b.jpg", (WIDTH, HEIGHT), 1),
            ("c.jpg", (WIDTH, HEIGHT), 1),
        )
    ]
    told = BroughtFile([entry, *others])
    done, *_ = with_poses(items, BroughtCameras("cameras.xml", told), ImportOptions())
    return done[0].photo.brought


@pytest.mark.parametrize("model", PARAMS)
@pytest.mark.parametrize("turn", UPRIGHT)
def test_cameras_turn_with_their_pictures(turn: int, model: str) -> None:
    """A point is seen where the import has turned its pixel to."""
    rotation, translation = (
        Rotation.from_rotvec([0.1, -0.2, 0.3]).as_matrix(),
        np.array([0.1, 0.2, 0.3]),
    )
    lens = lens_of(model)
    size = (WIDTH, HEIGHT) if turn == 3 else (HEIGHT, WIDTH)
    before = pixels(model, (WIDTH, HEIGHT), lens.params, POINTS @ rotation.T + translation)
    found = posed(turn, Brought("a.jpg", rotation, translation, lens), size)
    assert found is not None
    pose = Rotation.from_quat(found.world_to_camera[:4], scalar_first=True).as_matrix()
    after = pixels(found.model, size, found.params, POINTS @ pose.T + found.world_to_camera[4:])
    expected = np.array([UPRIGHT[turn](x, y) for x, y in before])
    assert after == pytest.approx(expected, abs=1e-6)


def test_cameras_of_upright_pictures_stay() -> None:
    lens = Lens("PINHOLE", HEIGHT, WIDTH, (700.0, 700.0, 300.0, 400.0))
    found = posed(6, Brought("a.jpg", np.eye(3), np.zeros(3), lens), (HEIGHT, WIDTH))
    assert found == BroughtPose((1, 0, 0, 0, 0, 0, 0), "PINHOLE", lens.params)


@pytest.mark.parametrize("turn", [2, 4])
def test_mirrored_pictures_have_no_camera(turn: int) -> None:
    entry = Brought("a.jpg", np.eye(3), np.zeros(3), lens_of("PINHOLE"))
    assert posed(turn, entry, (WIDTH, HEIGHT)) is None


def test_a_lens_of_another_shape_is_not_used() -> None:
    lens = Lens("PINHOLE", 500, 500, (400.0, 400.0, 250.0, 250.0))
    assert posed(1, Brought("a.jpg", np.eye(3), np.zeros(3), lens), (WIDTH, HEIGHT)) is None
