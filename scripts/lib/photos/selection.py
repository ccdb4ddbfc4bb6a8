"""Which of a film's pictures are worth keeping, judged on small grey copies, and where its black bars are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scripts.lib.photos.motion import Motion, motion_between

Grey = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels, as Pillow has them

# Shares of the width. What a person who stands still moves a camera by is no reason for another picture,
# but where near things move against far ones the camera really went somewhere, and far less will do (0.6
# pixels of a copy of 288, five times what noise makes of a camera on a tripod).
STANDING, LEAST_MOTION = 0.01, 0.002
PARALLAX = (
    0.002  # that shows a camera that went somewhere; noise and trembling make a quarter of it
)
FINER = 1.4  # steps by which the distance is reduced until there are enough pictures
LOOK_BACK = 8  # pictures that a new one must differ from: a trembling hand returns to where it was
BLACK = 24  # of 255: black, with what the compression adds to it
LEAST_BAR = 0.01  # of the side
LEAST_PICTURE = (
    0.2  # of the side: less than this between bars is a dark film, not a picture with bars
)


def is_new(grey: Grey, taken: Sequence[Grey], box: Box, distance: float) -> tuple[bool, float]:
    """Whether `grey` moved by `distance` (share of the width) from each of the last of `taken`, and by how
    much from the very last one (1 when there is none, or nothing in common)."""
    shift = 1.0
    for back, other in enumerate(reversed(taken[-LOOK_BACK:])):
        moved = _motion(other, grey, box).shift
        if back == 0:
            shift = moved
        if moved < distance:
            return False, shift
    return True, shift


def choose(greys: Sequence[Grey], box: Box, distance: float, enough: int) -> list[int]:
    """Indices of pictures that lie `distance` of their width apart.

    Where that gives fewer than `enough` of them, the camera moved slowly: the distance is reduced, to
    STANDING at most, or to LEAST_MOTION where pictures show parallax.
    """
    known: dict[tuple[int, int], Motion] = {}

    def motion(a: int, b: int) -> Motion:
        if (a, b) not in known:
            known[a, b] = _motion(greys[a], greys[b], box)
        return known[a, b]

    def apart(least: float) -> list[int]:
        chosen: list[int] = []
        for i in range(len(greys)):
            if all(motion(j, i).shift >= least for j in reversed(chosen[-LOOK_BACK:])):
                chosen.append(i)
        return chosen

    chosen = apart(distance)
    for least in (STANDING, LEAST_MOTION):
        if least == LEAST_MOTION and not any(
            PARALLAX <= motion(0, i).parallax < 1 for i in range(1, len(greys))
        ):
            break
        while len(chosen) < min(enough, len(greys)) and distance > least:
            distance = max(distance / FINER, least)
            chosen = apart(distance)
    return chosen


def thin(ways: Sequence[float], most: int) -> list[int]:
    """Indices of at most `most` pictures, evenly along the way the picture moved."""
    if len(ways) <= most:
        return list(range(len(ways)))
    marks = np.linspace(ways[0], ways[-1], most)
    return sorted({int(np.argmin(np.abs(np.asarray(ways) - mark))) for mark in marks})


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


def _motion(first: Grey, second: Grey, box: Box) -> Motion:
    """Between the parts of two pictures; a film that changes its size shows something else."""
    if first.shape != second.shape:
        return Motion(1.0, 1.0)
    left, top, right, bottom = box
    a, b = (grey[top:bottom, left:right].astype(np.float32) for grey in (first, second))
    return motion_between(a, b)
