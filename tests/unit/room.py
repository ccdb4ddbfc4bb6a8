"""A textured room ray-cast exactly: photos with known poses, without a renderer's error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from tests.unit.photo_files import encoded, exif, picture

HALF, HEIGHT = 3.0, 3.0  # metres: the room is 6 x 6 m and 3 m high, z up
SIZE, FOCAL = (400, 300), 300.0  # pixels; 300 px of a 500 px diagonal are 26 mm on a full frame
FOCAL_35MM = 26


@dataclass(frozen=True)
class Shot:
    """Where a photo was taken: centre (3,) metres, and what it looks at (3,)."""

    centre: tuple[float, float, float]
    target: tuple[float, float, float]

    @property
    def world_to_camera(self) -> np.ndarray:
        """Rotation (3, 3), x right, y down, z forward."""
        forward = np.subtract(self.target, self.centre)
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(forward, right), forward])


@cache
def _texture(seed: int) -> np.ndarray:
    return np.asarray(picture(1000 + seed, 512, 512), np.float32)


def photo(shot: Shot, seed: int = 0, size: tuple[int, int] = SIZE) -> Image.Image:
    """The room as seen from `shot`; another seed papers the walls anew."""
    width, height = size
    focal = FOCAL * width / SIZE[0]
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack([(u - width / 2) / focal, (v - height / 2) / focal, np.ones_like(u)], -1)
    rays = rays @ shot.world_to_camera
    centre = np.asarray(shot.centre)
    best, colours = np.full((height, width), np.inf), np.zeros((height, width, 3))
    walls = [(0, -HALF), (0, HALF), (1, -HALF), (1, HALF), (2, 0.0), (2, HEIGHT)]
    for number, (axis, place) in enumerate(walls):
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = (place - centre[axis]) / rays[..., axis]
        hit = (depth > 1e-6) & (depth < best)
        best = np.where(hit, depth, best)
        across = [i for i in range(3) if i != axis]
        where = (centre + rays * np.where(hit, depth, 0.0)[..., None])[..., across]
        colours[hit] = _sample(_texture(6 * seed + number), (where[hit] + HALF) / (2 * HALF))
    return Image.fromarray(colours.round().astype(np.uint8))


def _sample(texture: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Bilinear values (N, 3) of `texture` at `where` (N, 2) between 0 and 1."""
    place = np.clip(where * (len(texture) - 1), 0, len(texture) - 1.001)
    low = place.astype(int)
    x, y = (place - low).T[..., None]
    i, j = low.T
    top = texture[j, i] * (1 - x) + texture[j, i + 1] * x
    bottom = texture[j + 1, i] * (1 - x) + texture[j + 1, i + 1] * x
    return top * (1 - y) + bottom * y


def arc(count: int, degrees: float = 120.0, radius: float = 2.0) -> list[Shot]:
    """`count` shots on an arc about the middle of the room, looking across it."""
    shots = []
    for number, angle in enumerate(np.radians(np.linspace(0, degrees, count))):
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        shots.append(Shot((x, y, 1.3 + 0.3 * (number % 2)), (-x / 4, -y / 4, 1.2)))
    return shots


def spin(count: int, degrees: float = 100.0) -> list[Shot]:
    """`count` shots from one spot, turning on it."""
    angles = np.radians(np.linspace(0, degrees, count))
    return [Shot((0.3, 0.2, 1.4), (0.3 + np.cos(a), 0.2 + np.sin(a), 1.35)) for a in angles]


def write_room(
    folder: Path, shots: Sequence[Shot], *, seed: int = 0, prefix: str = "room", focal: bool = True
) -> list[str]:
    """JPEGs of the room in `folder`; returns their names in the order of the shots."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number, shot in enumerate(shots):
        name = f"{prefix}{number:02d}.jpg"
        data = exif(make="Test", model="Room", focal_35mm=FOCAL_35MM) if focal else exif()
        (folder / name).write_bytes(encoded(photo(shot, seed), exif=data))
        names.append(name)
    return names
