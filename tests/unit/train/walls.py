"""Photos of a painted wall, from cameras that are known exactly, with things that move before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scripts.lib.scene.colmap_model import Model, View
from tests.unit.splat_scene import write_photos

WIDTH, HEIGHT, FOCAL = 72, 54, 67.5
COUNT = 14
Float = npt.NDArray[np.float64]


def paint(seed: int = 0) -> Float:
    """Colours (256, 256, 3) in 0..1 of a square of four by four metres: spots of several sizes."""
    random = np.random.default_rng(seed)
    spots = sum(
        ndimage.gaussian_filter(random.normal(size=(256, 256, 3)), (size, size, 0)) * size
        for size in (2, 5, 12)
    )
    assert isinstance(spots, np.ndarray)
    found: Float = np.clip(0.5 + 0.35 * spots / spots.std() / 2, 0, 1)
    return found


def cameras() -> list[View]:
    """A walk along the wall, which lies at z = 0, at two metres' distance."""
    K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    views = []
    for number in range(COUNT):
        pose = np.eye(4)
        pose[:3, 3] = -np.array([-0.6 + 0.08 * number, 0.15 * np.sin(number), -2.0])
        views.append(View(f"wall_{number:02d}.jpg", WIDTH, HEIGHT, K, pose))
    return views


def photograph(view: View, painted: Float) -> npt.NDArray[np.uint8]:
    """What `view` sees of the wall, (H, W, 3)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    distance = view.world_to_camera[2, 3]
    across = (x - WIDTH / 2) / FOCAL * distance - view.world_to_camera[0, 3]
    down = (y - HEIGHT / 2) / FOCAL * distance - view.world_to_camera[1, 3]
    place = np.stack([(down + 2) * 64 - 0.5, (across + 2) * 64 - 0.5])
    colours = [ndimage.map_coordinates(painted[..., c], place, order=1) for c in range(3)]
    return (np.stack(colours, axis=-1) * 255 + 0.5).astype(np.uint8)


def visit(photo: npt.NDArray[np.uint8], number: int) -> npt.NDArray[np.bool_]:
    """Put somebody into a photo, elsewhere in each; returns where, (H, W)."""
    random = np.random.default_rng(100 + number)
    top, left = random.integers(4, HEIGHT - 28), random.integers(4, WIDTH - 20)
    where = np.zeros(photo.shape[:2], bool)
    where[top : top + 24, left : left + 16] = True
    shirt = np.array([[230, 20, 20], [20, 20, 220], [250, 240, 20], [10, 10, 10]])[number % 4]
    photo[where] = shirt
    return where


def write_wall(
    path: Path, visited: bool, tracked: bool = False
) -> dict[int, npt.NDArray[np.bool_]]:
    """Write an `undistorted.zip` of the wall; returns where visitors stand, by photo. If the points
    are `tracked`, all photos show them, through the visitors."""
    views, painted = cameras(), paint()
    photos = [photograph(view, painted) for view in views]
    where = {}
    if visited:
        where = {number: visit(photos[number], number) for number in range(COUNT) if number % 3}
    random = np.random.default_rng(1)
    points = np.c_[random.uniform(-1.2, 1.2, (400, 2)), np.zeros(400)]
    colours = (
        painted[((points[:, 1] + 2) * 64).astype(int), ((points[:, 0] + 2) * 64).astype(int)] * 255
    )
    write_photos(path, Model(tuple(views), points, colours.astype(np.uint8)), photos, tracked)
    return where
