"""How many Gaussians and SH bands a target's file needs, found by measuring the loss on views. Needs torch.

A reduced splat is rendered as it is before anything is encoded: that costs a moment and tells which
reductions are worth encoding. The files themselves are then decoded and measured again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scripts.lib.splat.gaussians import SH_COEFFICIENTS, Gaussians

KEEPS = (1.0, 0.9, 0.75, 0.6, 0.5, 0.35, 0.25)  # shares of the Gaussians, the most seen ones
# Bytes of a Gaussian in a SOG, for ranking only, as measured on real scenes: 13 for place, shape and
# colour, and with harmonics its palette entry and its share of the palette, which grows less than its size.
PLAIN_BYTES, LABEL_BYTES, PALETTE_BYTES, PALETTE_POWER = 13.3, 0.5, 0.47, 0.6
ROUNDING_SAVES = (0.0, 2.7, 3.6)  # of those 13
EFFORTS = (1 / 64, 1 / 16, 1 / 4, 1.0)  # shares of the usual palette
RICHER = (2.0, 4.0)  # where that misses the limit
# What each loses, as a share of what the smallest does.
PALETTE_LOSS = {1 / 64: 1.0, 1 / 16: 0.65, 1 / 4: 0.35, 1.0: 0.1}
MOST_TRIES = 6  # for one target: each costs an encoding
TIGHTER = 0.9  # aimed below a budget that was missed: what a file has beside its Gaussians stays
LEAST_LOSS, MOST_OFF = 0.005, 4.0  # dB that say nothing of the next try; how wrong a guess may be


@dataclass(frozen=True)
class Reduction:
    """A splat with fewer bands and Gaussians: SH `degree`, share `keep`; `loss_db` before encoding."""

    degree: int
    keep: float
    loss_db: float

    def weight(self, effort: float = 1.0) -> float:
        """About how large its file will be, in bytes for each Gaussian of the whole splat."""
        share = PALETTE_BYTES * effort**PALETTE_POWER
        harmonics = LABEL_BYTES + share * 3 * SH_COEFFICIENTS[self.degree]
        return self.keep * (PLAIN_BYTES + (harmonics if self.degree else 0.0))


def reduced(
    gaussians: Gaussians, importance: npt.NDArray[np.float64], degree: int, keep: float
) -> Gaussians:
    """The most important share `keep` of the Gaussians, with at most `degree` bands."""
    some = gaussians
    if keep < 1:
        count = max(1, round(keep * len(gaussians)))
        chosen = np.sort(np.argsort(-importance, kind="stable")[:count])
        some = gaussians.take(chosen)
    bands = SH_COEFFICIENTS[min(degree, some.sh_degree)]
    return replace(some, shN=np.ascontiguousarray(some.shN[:, :bands]))


def explore(
    gaussians: Gaussians,
    importance: npt.NDArray[np.float64],
    loss_of: Callable[[Gaussians], float],
) -> list[Reduction]:
    """Every reduction (bands x KEEPS) with its loss in dB, lightest first; one that is heavier and
    worse than another is left out. `loss_of` gives the dB that a splat loses against the whole one.
    """
    degrees = range(gaussians.sh_degree, -1, -1)
    every = []
    for degree, keep in itertools.product(degrees, KEEPS):
        if degree == gaussians.sh_degree and keep == 1:
            loss = 0.0
        else:
            loss = loss_of(reduced(gaussians, importance, degree, keep))
        every.append(Reduction(degree, keep, float(loss)))
    every.sort(key=lambda item: (item.weight(), item.loss_db))
    front: list[Reduction] = []
    for item in every:
        if not front or item.loss_db < front[-1].loss_db:
            front.append(item)
    return front


def spread(front: list[Reduction], count: int) -> list[Reduction]:
    """At most `count` of the front for a curve of bytes against dB: its ends and steps between."""
    if len(front) <= count:
        return front
    places = np.unique(np.linspace(0, len(front) - 1, count).round().astype(int))
    return [front[place] for place in places]


@dataclass(frozen=True)
class Try:
    """A reduction and how its file is written: `effort` on the palette, `rounding` of the other numbers."""

    item: Reduction
    effort: float = 1.0
    rounding: int = 0

    def weight(self) -> float:
        """About how large its file will be, like `Reduction.weight`."""
        return self.item.weight(self.effort) - self.item.keep * ROUNDING_SAVES[self.rounding]

    @property
    def name(self) -> str:
        """A file's name that tells it from all others."""
        values = (self.item.degree, self.item.keep, self.effort, self.rounding)
        return "_".join(f"{value:g}" for value in values)


@dataclass(frozen=True)
class Costs:
    """What writing the whole splat costs in dB: rounding alone, by its number, and the smallest palette."""

    rounding: Sequence[float]
    palette: float

    def of_writing(self, one: Try) -> float:
        """The loss of writing alone, as if its parts added up; a larger palette loses less and less."""
        share = PALETTE_LOSS[one.effort] if one.item.degree else 0.0
        return self.rounding[one.rounding] + share * self.palette


def _every(front: Sequence[Reduction], costs: Costs) -> list[Try]:
    """All ways to write the reductions of the front, lightest first."""
    every = [
        Try(item, effort, rounding)
        for item in front
        for effort in (EFFORTS if item.degree else (1.0,))
        for rounding in range(len(costs.rounding))
    ]
    return sorted(every, key=lambda one: one.weight())


def search(
    front: list[Reduction],
    costs: Costs,
    limit_db: float,
    encode: Callable[[Try], float],
    richer: Sequence[float] = RICHER,
) -> None:
    """Encode lighter and lighter files for a target; `encode` writes a try and returns its loss in dB.

    The least reduced splat comes first: when that misses the limit, so does everything lighter, and it is
    written with more and more effort, `richer`. Each measured loss corrects what is expected of the next
    try, up or down. Effort is a factor on the usual palette.
    """
    every = _every(front, costs)
    one = Try(front[-1])
    factor, tried, best = 1.0, set[Try](), None
    for _ in range(MOST_TRIES):
        tried.add(one)
        lost = encode(one)
        if lost <= limit_db:
            best = one
        elif len(tried) == 1:
            break
        expected = costs.of_writing(one)
        if expected > LEAST_LOSS:
            factor = min(max((lost - one.item.loss_db) / expected, 1 / MOST_OFF), MOST_OFF)
        able = (
            one
            for one in every
            if one not in tried
            and (best is None or one.weight() < best.weight())
            and one.item.loss_db + factor * costs.of_writing(one) <= limit_db
        )
        found = next(able, None)
        if found is None:
            break
        one = found
    if best is None:
        for effort in richer:
            if encode(Try(front[-1], effort)) <= limit_db:
                break


def search_bytes(
    front: list[Reduction],
    costs: Costs,
    count: int,
    most_bytes: int,
    encode: Callable[[Try], int],
    factor: float = 1.0,
) -> None:
    """Encode files of at most `most_bytes`, those that should lose least; `encode` returns a file's bytes.

    count: Gaussians of the whole splat. factor: what a file was larger than its weight says, until now; each
    try corrects it. Where every reduction of the front is too large, fewer and fewer Gaussians are kept,
    without harmonics.
    """

    def loss(one: Try) -> float:
        return one.item.loss_db + costs.of_writing(one)

    tried, best = set[Try](), None
    for _ in range(MOST_TRIES):
        able = [
            one
            for one in _every(front, costs)
            if one not in tried
            and factor * one.weight() * count <= most_bytes
            and (best is None or loss(one) < loss(best))
        ]
        if not able:
            break
        one = min(able, key=loss)
        tried.add(one)
        size = encode(one)
        factor = size / (one.weight() * count)
        if size <= most_bytes:
            best = one
    rounding = len(costs.rounding) - 1
    keep = most_bytes / (factor * Try(Reduction(0, 1.0, 0.0), 1.0, rounding).weight() * count)
    for _ in range(MOST_TRIES if best is None else 0):
        keep = min(keep, 1.0)
        size = encode(Try(Reduction(0, keep, 0.0), 1.0, rounding))
        if size <= most_bytes or round(keep * count) <= 1:
            break
        keep *= TIGHTER * most_bytes / size
