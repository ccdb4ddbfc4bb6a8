"""A panorama that shows all around as six flat views of ideal pinhole cameras that stand together.

The panorama's own axes are those of a camera that looks at the middle of the picture: x right, y down,
z forward. Rows of the picture are latitudes and columns longitudes (equirectangular projection). Each view
spans 90 degrees and its middle has the panorama's resolution along the horizon, so nothing is lost.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]

# Where each view looks in the panorama's axes, and what is right in it.
_LOOKS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "front": ((0, 0, 1), (1, 0, 0)),
    "right": ((1, 0, 0), (0, 0, -1)),
    "back": ((0, 0, -1), (-1, 0, 0)),
    "left": ((-1, 0, 0), (0, 0, 1)),
    "up": ((0, -1, 0), (1, 0, 0)),
    "down": ((0, 1, 0), (1, 0, 0)),
}
FACES = tuple(_LOOKS)
BORDER = 8  # pixels that the picture is continued by at its edges, for the interpolation
MULTIPLE = 8  # pixels: a JPEG's blocks


def face_rotation(face: str) -> Array:
    """Rotation (3, 3) from the panorama's axes to those of the view's camera (OpenCV: x right, y down)."""
    forward, right = (np.array(axis, float) for axis in _LOOKS[face])
    return np.stack([right, np.cross(forward, right), forward])


def face_quaternion(face: str) -> tuple[float, float, float, float]:
    """The same rotation as a unit quaternion w, x, y, z."""
    x, y, z, w = Rotation.from_matrix(face_rotation(face)).as_quat(canonical=True).tolist()
    return w, x, y, z


def face_side(width: int, most: int = 0) -> int:
    """Pixels of the side of a view cut from a panorama `width` pixels wide; `most` (0: none) limits it."""
    side = math.ceil(width / math.pi / MULTIPLE) * MULTIPLE
    return min(side, most // MULTIPLE * MULTIPLE) if most else side


def face_rays(face: str, side: int) -> Array:
    """Directions (side, side, 3), not of unit length, of the view's pixels in the panorama's axes."""
    steps = (np.arange(side) + 0.5) / (side / 2) - 1
    x, y = np.meshgrid(steps, steps)
    rays: Array = np.stack([x, y, np.ones_like(x)], axis=-1) @ face_rotation(face)
    return rays


def cut_faces(panorama: Image.Image, side: int) -> dict[str, Image.Image]:
    """The six views (RGB or L, `side` pixels square) of an equirectangular picture, by their names.

    Interpolated with cubic splines where the picture is RGB, by the nearest pixel where it is a mask (L).
    """
    smooth = panorama.mode != "L"
    planes = np.atleast_3d(np.asarray(panorama))
    around = _continued(planes)
    height, width = planes.shape[:2]
    order = 3 if smooth else 0
    channels = [np.ascontiguousarray(around[..., k], np.float32) for k in range(planes.shape[2])]
    if smooth:
        channels = [ndimage.spline_filter(plane, order, np.float32) for plane in channels]
    faces = {}
    for face in FACES:
        x, y, z = np.moveaxis(face_rays(face, side), 2, 0)
        column = (np.arctan2(x, z) / (2 * np.pi) + 0.5) * width - 0.5 + BORDER
        row = (np.arctan2(y, np.hypot(x, z)) / np.pi + 0.5) * height - 0.5 + BORDER
        found = [
            ndimage.map_coordinates(plane, [row, column], np.float32, order, prefilter=False)
            for plane in channels
        ]
        pixels = np.stack(found, -1).round().clip(0, 255).astype(np.uint8)
        faces[face] = Image.fromarray(pixels if smooth else pixels[..., 0])
    return faces


def _continued(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with BORDER more pixels on each side: around the back, and over the poles."""
    half = planes.shape[1] // 2
    over = np.roll(planes, half, axis=1)
    tall = np.concatenate([over[:BORDER][::-1], planes, over[-BORDER:][::-1]])
    return np.concatenate([tall[:, -BORDER:], tall, tall[:, :BORDER]], axis=1)


def nadir_mask(face: str, side: int, angle: float) -> Image.Image | None:
    """What of a view lies less than `angle` degrees from straight down as a mask (0 there), None: nothing."""
    rays = face_rays(face, side)
    down = rays[..., 1] / np.linalg.norm(rays, axis=-1)
    hidden = down > math.cos(math.radians(angle))
    if angle <= 0 or not hidden.any():
        return None
    return Image.fromarray(np.where(hidden, 0, 255).astype(np.uint8))


def on_face(x: float, y: float, width: int, side: int) -> tuple[str, float, float]:
    """The view that shows the pixel (x, y) of a panorama `width` pixels wide nearest to its middle, and
    where: name and pixels from its left and upper edge."""
    longitude = (x / width - 0.5) * 2 * math.pi
    latitude = (y / (width / 2) - 0.5) * math.pi
    ray = np.array(
        [
            math.cos(latitude) * math.sin(longitude),
            math.sin(latitude),
            math.cos(latitude) * math.cos(longitude),
        ]
    )
    face = max(FACES, key=lambda name: float(ray @ np.array(_LOOKS[name][0])))
    across, down, depth = (face_rotation(face) @ ray).tolist()
    half = side / 2
    return face, half * (1 + across / depth), half * (1 + down / depth)
