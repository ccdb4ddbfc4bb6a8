"""Where a picture lies between black bars: letterbox, pillarbox, or both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels, as Pillow has them

BLACK = 24  # of 255: black, with what the compression adds to it
LEAST_BAR = 0.01  # of the side
LEAST_PICTURE = (
    0.2  # of the side: less than this between bars is a dark film, not a picture with bars
)


def picture_box(brightest: Grey) -> Box:
    """The part of the picture between black bars, of the brightest value that each pixel (H, W) ever had.

    A pixel of the copy is given up at each bar, so that nothing of it is left; without bars it is all.
    """
    height, width = brightest.shape
    left, right = _between(brightest.max(axis=0))
    top, bottom = _between(brightest.max(axis=1))
    if right - left < LEAST_PICTURE * width or bottom - top < LEAST_PICTURE * height:
        return 0, 0, width, height
    return left, top, right, bottom


def _between(brightest: Grey) -> tuple[int, int]:
    """Where the picture begins and ends along one side; bars are alike at both ends, dark corners are not."""
    size = len(brightest)
    lit = np.flatnonzero(brightest > BLACK)
    if not len(lit):
        return 0, 0
    before, after = int(lit[0]), size - 1 - int(lit[-1])
    bar = max(before, after) + 1
    if min(before, after) < max(LEAST_BAR * size, 2) or abs(before - after) > max(0.01 * size, 2):
        return 0, size
    return bar, size - bar
