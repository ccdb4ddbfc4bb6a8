"""Which of a film's pictures are worth keeping, judged on small grey copies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scripts.lib.photos.bars import Box, Grey
from scripts.lib.photos.motion import Motion, motion_between

# Shares of the width. What a person who stands still moves a camera by is no reason for another picture,
# but where near things move against far ones the camera really went somewhere, and far less will do (0.6
# pixels of a copy of 288, five times what noise makes of a camera on a tripod).
STANDING, LEAST_MOTION = 0.01, 0.002
PARALLAX = (
    0.002  # that shows a camera that went somewhere; noise and trembling make a quarter of it
)
FINER = 1.4  # steps by which the distance is reduced until there are enough pictures
SHARPER = 1.2  # times: what the noise of a sensor does to the sharpness is less
LOOK_BACK = 8  # pictures that a new one must differ from: a trembling hand returns to where it was


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


def sharpest(
    chosen: Sequence[int], greys: Sequence[Grey], sharpness: Sequence[float], box: Box
) -> list[int]:
    """For each of the `chosen` pictures the clearly sharpest of those after it that show the same.

    A camera comes to rest with a blurred picture; in a pause, a hand trembles by less than STANDING.
    """
    found = []
    for first, end in zip(chosen, [*chosen[1:], len(greys)], strict=True):
        best = first
        for other in range(first + 1, end):
            if _motion(greys[first], greys[other], box).shift >= STANDING:
                break
            if sharpness[other] > max(SHARPER * sharpness[first], sharpness[best]):
                best = other
        found.append(best)
    return found


def thin(ways: Sequence[float], most: int) -> list[int]:
    """Indices of at most `most` pictures, evenly along the way the picture moved."""
    if len(ways) <= most:
        return list(range(len(ways)))
    marks = np.linspace(ways[0], ways[-1], most)
    return sorted({int(np.argmin(np.abs(np.asarray(ways) - mark))) for mark in marks})


def _motion(first: Grey, second: Grey, box: Box) -> Motion:
    """Between the parts of two pictures; a film that changes its size shows something else."""
    if first.shape != second.shape:
        return Motion(1.0, 1.0)
    left, top, right, bottom = box
    a, b = (grey[top:bottom, left:right].astype(np.float32) for grey in (first, second))
    return motion_between(a, b)
