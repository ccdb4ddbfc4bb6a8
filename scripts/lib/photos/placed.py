"""A photo's pose and lens as another program has them, in one convention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# How many of the parameters of COLMAP's models are pixels, focal lengths before the principal point.
PARAMS = {
    "SIMPLE_PINHOLE": (3, 3),
    "PINHOLE": (4, 4),
    "SIMPLE_RADIAL": (4, 3),
    "RADIAL": (5, 3),
    "OPENCV": (8, 4),
    "OPENCV_FISHEYE": (8, 4),
    "FULL_OPENCV": (12, 4),
    "SIMPLE_RADIAL_FISHEYE": (4, 3),
    "RADIAL_FISHEYE": (5, 3),
    "THIN_PRISM_FISHEYE": (12, 4),
}
# Pairs of parameters that turn as vectors do, (x, y): the tangential terms p2, p1, and those of a thin prism.
VECTORS = {
    "OPENCV": ((7, 6),),
    "FULL_OPENCV": ((7, 6),),
    "THIN_PRISM_FISHEYE": ((7, 6), (10, 11)),
}
QUARTER = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # a picture's, clockwise
MIRROR = np.diag([1.0, 1.0, -1.0])
LARGEST = 1e9  # of any number in a file of cameras: beyond it a file is damaged


class CamerasError(Exception):
    """A file of cameras that cannot be used; the message says why."""


@dataclass(frozen=True)
class Lens:
    """A lens of COLMAP: `params` in its order.

    A width and height of 0 mean those of the photo; pixels are then shares of its longer side, or its width
    (`by_width`), and the principal point counts from its middle.
    """

    model: str
    width: int
    height: int
    params: tuple[float, ...]
    by_width: bool = False

    def sized(self, width: int, height: int) -> Lens:
        """In pixels of a photo of this size, where the file did not know it."""
        if self.width and self.height:
            return self
        side = width if self.by_width else max(width, height)
        pixels = PARAMS[self.model][1]
        middle = [0.0] * (pixels - 2) + [width / 2, height / 2]
        params = tuple(
            value * side + middle[i] if i < pixels else value for i, value in enumerate(self.params)
        )
        return Lens(self.model, width, height, params)

    def scaled(self, width: int, height: int) -> Lens:
        """For the same picture at another size."""
        across, down = width / self.width, height / self.height
        _, pixels = PARAMS[self.model]
        factors = [across, across, down] if pixels == 3 else [across, down, across, down]
        params = tuple(
            value * (factors[i] if i < pixels else 1.0) for i, value in enumerate(self.params)
        )
        return Lens(self.model, width, height, params)

    def turned(self) -> Lens:
        """For the picture turned by a quarter, clockwise."""
        params = list(self.params)
        if PARAMS[self.model][1] == 4:
            params[:4] = params[1], params[0], self.height - params[3], params[2]
        else:
            params[1:3] = self.height - params[2], params[1]
        for x, y in VECTORS.get(self.model, ()):
            params[x], params[y] = -params[y], params[x]
        return Lens(self.model, self.height, self.width, tuple(params))


@dataclass(frozen=True)
class Brought:
    """A photo's name as written, rotation (3, 3) and translation (3,) from world to camera, and lens."""

    name: str
    rotation: Array
    translation: Array
    lens: Lens
    mirrored: bool = (
        False  # as written the axes were left-handed; the world was mirrored to mend it
    )

    def turned(self) -> Brought:
        """The camera of the picture turned by a quarter, clockwise."""
        rotation, translation = QUARTER @ self.rotation, QUARTER @ self.translation
        return replace(self, rotation=rotation, translation=translation, lens=self.lens.turned())


@dataclass(frozen=True)
class BroughtFile:
    """What a file of cameras holds: its poses, in metres where it says so, and what is odd about it.

    `metres` is how many there are in one unit of its positions, None where nothing tells it; `metres_from`
    says what does. Each remark continues a sentence that begins with the file's name.
    """

    entries: Sequence[Brought]
    metres: float | None = None
    metres_from: str | None = None
    remarks: tuple[str, ...] = ()
    points: Array | None = None  # (N, 3), a sample of those that it holds
    points_file: str | None = None  # that has its points
    points_from: Array | None = None  # (4, 4): into the poses' world from that of `points_file`


def checked(name: str, rotation: Array, translation: Array, lens: Lens) -> Brought:
    """The entry, with its rotation made exact and right-handed.

    Raises CamerasError where the numbers are no pose or lens.
    """
    values = [*rotation.ravel(), *translation.ravel(), *lens.params]
    if not np.isfinite(values).all() or max(map(abs, values)) > LARGEST:
        raise CamerasError(f"the numbers of {name} are no camera")
    if lens.model not in PARAMS:
        raise CamerasError(f"the lens model {lens.model} of {name} is not supported")
    if len(lens.params) != PARAMS[lens.model][0] or lens.params[0] <= 0:
        raise CamerasError(f"the lens of {name} has wrong numbers")
    left, stretch, right = np.linalg.svd(rotation)
    if stretch[2] < 1e-9 or stretch[0] / stretch[2] > 1.01:
        raise CamerasError(f"the rotation of {name} is no rotation")
    exact = left @ right
    # The camera's axes in a mirrored world: the same camera, and the same distances.
    mirrored = bool(np.linalg.det(exact) < 0)
    return Brought(name, exact @ MIRROR if mirrored else exact, translation, lens, mirrored)


def opencv_lens(
    width: int, height: int, focal: tuple[float, float], centre: tuple[float, float], **terms: float
) -> Lens:
    """The plainest lens of COLMAP with these terms of OpenCV: k1 to k6, p1, p2."""
    k = [terms.get(f"k{i}", 0.0) for i in range(1, 7)]
    p = [terms.get("p1", 0.0), terms.get("p2", 0.0)]
    start = (*focal, *centre)
    if any(k[2:]):
        return Lens("FULL_OPENCV", width, height, (*start, *k[:2], *p, *k[2:]))
    if any(k) or any(p):
        return Lens("OPENCV", width, height, (*start, *k[:2], *p))
    return Lens("PINHOLE", width, height, start)
