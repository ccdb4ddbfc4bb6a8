"""Photos of a burst that show the same picture from the same place: one of them is enough.

A burst is short and has a pause before and after it. Photos that a camera took without a pause, all the way
round an object, are none, however little it moved between two of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from scripts.lib.photos.judge import THUMB, ImageStats

PAUSE_S = 0.7  # a longer one ends a burst: slower cameras are released by hand or by a timer
LONGEST_S, MOST = 5.0, 30  # of one burst; what goes on for longer is a capture by itself
MOVED = 0.01  # of the picture's width: within a burst, a camera that moves on moves more
APART_M = 1.0  # positions of one place: GPS does not jump within a second
WORSE = 0.05  # share of white and black pixels by which a bracketed exposure is worse than another


@dataclass(frozen=True)
class Shot:
    """A photo of a group that one camera took: when (seconds), where (degrees), and what was measured."""

    seconds: float
    exact: bool  # the seconds have a fraction
    place: tuple[float, float] | None
    stats: ImageStats


@dataclass(frozen=True)
class Repetition:
    """A photo of a burst that is not needed: which one shows the same, and how far apart they are."""

    kept: int
    seconds: float
    moved: float  # share of the width


def seconds_of(time: str, fraction: float | None) -> float:
    """Seconds on the camera's clock of an ISO 8601 time and EXIF's fraction of a second."""
    since = datetime.fromisoformat(time) - datetime(1970, 1, 1)
    return since.total_seconds() + (fraction or 0.0)


def repetitions(shots: Sequence[Shot]) -> dict[int, Repetition]:
    """The photos of bursts that a sharper one replaces, by their index in `shots`."""
    found: dict[int, Repetition] = {}
    for run in _bursts(shots):
        usual = min(_lost(shots[i]) for i in run)
        left = sorted(
            run, key=lambda i: (_lost(shots[i]) > usual + WORSE, -shots[i].stats.sharpness, i)
        )
        while left:
            kept, *others = left
            left = []
            for other in others:
                moved = _moved(shots[kept], shots[other])
                if moved is None:
                    left.append(other)
                else:
                    apart = abs(shots[kept].seconds - shots[other].seconds)
                    found[other] = Repetition(kept, apart, moved)
    return found


def _bursts(shots: Sequence[Shot]) -> list[list[int]]:
    """Runs of photos without a pause that are short enough for bursts, in the order of time."""
    order = sorted(range(len(shots)), key=lambda i: (shots[i].seconds, i))
    runs: list[list[int]] = []
    for number in order:
        if runs and _follows(shots[runs[-1][-1]], shots[number]):
            runs[-1].append(number)
        else:
            runs.append([number])
    return [
        run
        for run in runs
        if 1 < len(run) <= MOST and shots[run[-1]].seconds - shots[run[0]].seconds <= LONGEST_S
    ]


def _follows(first: Shot, second: Shot) -> bool:
    """Whether nothing but the camera's speed lies between two photos; without fractions: one second."""
    gap = second.seconds - first.seconds
    return gap < PAUSE_S if first.exact and second.exact else gap == 0


def _lost(shot: Shot) -> float:
    return shot.stats.clipped + shot.stats.dark


def _moved(first: Shot, second: Shot) -> float | None:
    """How far the picture moved, a share of its width; None where the photos are not of one picture."""
    if first.place is not None and second.place is not None:
        north = second.place[0] - first.place[0]
        east = (second.place[1] - first.place[1]) * math.cos(math.radians(first.place[0]))
        if math.radians(math.hypot(north, east)) * 6_371_000 > APART_M:
            return None
    # To first order: second = gain * first + shift * gradient; true for shifts below a pixel.
    a, b = first.stats.thumb.astype(float), second.stats.thumb.astype(float)
    down, across = np.gradient(a)
    inside = (slice(1, -1), slice(1, -1))
    columns = np.stack([x[inside].ravel() for x in (a, across, down)], axis=1)
    solved = np.linalg.lstsq(columns, b[inside].ravel(), rcond=None)[0]
    left = b[inside].ravel() - columns @ solved
    moved = math.hypot(solved[1], solved[2]) / THUMB[0]
    same = float(np.sqrt((left**2).mean())) < min(
        first.stats.shift_tolerance, second.stats.shift_tolerance
    )
    return moved if same and moved < MOVED else None
