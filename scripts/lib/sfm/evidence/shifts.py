"""A part of the photos whose positions are off together: the receiver was wrong there, or the model is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.lib.core.geo import Array

MIN_PART = 4  # photos that are off together, and that are not
# Metres. Consumer GPS wanders by some metres within minutes, between houses by ten.
WANDERS_M, OF_CLAIM = 10.0, 3.0
OF_SCATTER = 4.0  # of the other differences, so much is no chance


@dataclass(frozen=True)
class Shift:
    """Photos that follow each other and whose positions are off the model by `metres` together, compared with
    all others; `scatter`: how far single ones usually are."""

    photos: list[str]
    metres: float
    scatter: float


def find_shift(
    residuals: Mapping[str, Sequence[float | None]],
    order: Sequence[str],
    claims: Mapping[str, float | None],
) -> Shift | None:
    """The run of photos whose horizontal residuals differ most from those of all others, if that is no
    chance.

    residuals: east, north (and up) in metres, the finished model less the position, by photo; order: the
    photos as they were taken; claims: horizontal accuracy in metres that the receiver states.
    """
    names = [name for name in order if name in residuals]
    if len(names) < 2 * MIN_PART:
        return None
    misses = np.array([[residuals[name][0], residuals[name][1]] for name in names], float)
    begin, end = _largest_step(misses)
    inside = np.zeros(len(names), bool)
    inside[begin:end] = True
    if inside.sum() > len(names) / 2:  # most of them are right
        inside = ~inside
    # A single position that is far off moves no median.
    step = np.median(misses[inside], axis=0) - np.median(misses[~inside], axis=0)
    centred = np.concatenate(
        [part - np.median(part, axis=0) for part in (misses[inside], misses[~inside])]
    )
    scatter = 1.4826 * float(np.median(np.linalg.norm(centred, axis=1)))
    part = [name for name, off in zip(names, inside, strict=True) if off]
    claimed = [claims.get(name) for name in part]
    known = [value for value in claimed if value is not None]
    allowed = OF_CLAIM * float(np.median(known)) if len(known) == len(part) else WANDERS_M
    metres = float(np.linalg.norm(step))
    return Shift(part, metres, scatter) if metres > max(allowed, OF_SCATTER * scatter) else None


def _largest_step(misses: Array) -> tuple[int, int]:
    """Begin and end of the run of (N, 2) whose mean differs most surely from that of the rest."""
    count = len(misses)
    sums = np.concatenate([np.zeros((1, 2)), np.cumsum(misses, axis=0)])
    best, found = -1.0, (0, MIN_PART)
    for begin in range(count - MIN_PART + 1):
        ends = np.arange(begin + MIN_PART, count + 1)
        size = ends - begin
        ends, size = ends[count - size >= MIN_PART], size[count - size >= MIN_PART]
        if not len(ends):
            continue
        run = (sums[ends] - sums[begin]) / size[:, None]
        rest = (sums[-1] - sums[ends] + sums[begin]) / (count - size)[:, None]
        # As a t test weighs it: a few photos have to be off further.
        score = np.linalg.norm(run - rest, axis=1) * np.sqrt(size * (count - size) / count)
        if score.max() > best:
            best, found = float(score.max()), (begin, int(ends[score.argmax()]))
    return found
