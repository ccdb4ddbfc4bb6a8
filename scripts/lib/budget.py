"""How many Gaussians and SH bands a target's file needs, found by measuring the loss on views. Needs torch.

A reduced splat is rendered as it is before anything is encoded: that costs a moment and tells which
reductions are worth encoding. The files themselves are then decoded and measured again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.lib.gaussians import SH_COEFFICIENTS, Gaussians

KEEPS = (1.0, 0.75, 0.5, 0.35, 0.25)  # shares of the Gaussians, the most seen ones
# Bytes of a Gaussian in a SOG, for ranking only: 15 for place, shape and colour, and with harmonics
# 2 for its palette entry plus its share of the palette.
PLAIN_BYTES, LABEL_BYTES, PALETTE_BYTES = 15.0, 2.0, 0.25
EFFORTS = (1 / 64, 1 / 16, 1 / 4, 1.0)  # shares of the usual palette
MOST_ATTEMPTS = 6


@dataclass(frozen=True)
class Reduction:
    """A splat with fewer bands and Gaussians: SH `degree`, share `keep`; `loss_db` before encoding."""

    degree: int
    keep: float
    loss_db: float

    def weight(self, effort: float = 1.0) -> float:
        """About how large its file will be, in bytes for each Gaussian of the whole splat."""
        harmonics = LABEL_BYTES + effort * PALETTE_BYTES * 3 * SH_COEFFICIENTS[self.degree]
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


def attempts(front: list[Reduction], limit_db: float) -> Iterator[tuple[Reduction, float]]:
    """What to encode for a target, lightest first: (reduction, effort), until one is within the limit.

    Effort is the share of the usual palette, below 1, or the factor on palette and k-means passes above.
    Only reductions that leave a third of the limit to the encoder are worth encoding; at the end the
    least reduced one gets more and more effort.
    """
    able = [item for item in front if item.loss_db <= limit_db * 2 / 3] or front[-1:]
    every = [(item, effort) for item in able for effort in (EFFORTS if item.degree else (1.0,))]
    every.sort(key=lambda pair: pair[0].weight(pair[1]))
    # Some evenly chosen steps of a long list: each costs an encoding.
    places = np.unique(np.linspace(0, len(every) - 1, min(len(every), MOST_ATTEMPTS)).round())
    yield from (every[int(place)] for place in places)
    yield from ((able[-1], effort) for effort in (1.0, 2.0, 4.0))


def chosen_summary(item: Reduction, effort: float) -> dict[str, Any]:
    """A reduction and effort as JSON."""
    return {"sh_degree": item.degree, "keep": item.keep, "effort": effort}
