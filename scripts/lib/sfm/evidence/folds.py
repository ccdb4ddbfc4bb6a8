"""Photos that a model has at one place although they show different things: a repeated structure, folded.

A mapper that takes two like facades for one puts the photos of both before one of them. Every match that it
used fits; what it never looks at is that the things beside the facade, which photos of one group see, are
missing in those of the other. After Heinly, Dunn and Frahm, "Correcting for Duplicate Scene Structure in
Sparse 3D Reconstruction", 2014, where unique points of one group are projected into the photos of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from scripts.lib.core.geo import Array
from scripts.lib.sfm.evidence.sides import Pair, two_sides
from scripts.lib.sfm.evidence.views import Cells, View, compare

LOOKED_AT, NEAREST = 120, 20  # photos around each, and those of them that it is compared with
AXES_DEG = 30.0  # between their viewing directions
MIN_EXPECTED = 30  # points of each photo that the other should see
# Of the cells that say something, so many and such a share show different things: of 900 pairs of good
# captures two.
MIN_CELLS, MIN_SHARE = 4, 0.1
MIN_PAIRS, MIN_SIDE = 3, 2  # of a fold, and photos on each side of it
MOST_PAIRS = 0.6  # of the pairs across, where an error of the model affects all
# A photo shows again this share of what it should, with its better neighbours: the upper quarter.
USUAL = 0.75
LEAST_USUAL = 0.05  # without any common point, no number of missing ones would say something


@dataclass(frozen=True)
class Fold:
    """Two groups of photos, and the share of the cells of `pairs` between them that are unlike."""

    first: list[int]
    second: list[int]
    pairs: int
    share: float


def find_folds(views: Sequence[View]) -> list[Fold]:
    """Groups of photos (numbers of `views`) that stand at one place and show different things."""
    compared = {}
    for a, b in _near(views):
        cells = compare(views[a], views[b])
        if min(part.expected.sum() for part in cells) >= MIN_EXPECTED:
            compared[a, b] = cells
    usual = _usual(len(views), compared)
    unlike = {}
    for (a, b), cells in compared.items():
        share = min(usual[a], usual[b])
        different = sum(part.unlike(share) for part in cells)
        same = sum(part.alike(share) for part in cells)
        if different >= MIN_CELLS and different >= MIN_SHARE * (different + same):
            unlike[a, b] = different / (different + same)
    folds = []
    for first, second, pairs in two_sides(list(unlike)):
        sides = {**dict.fromkeys(first, 1), **dict.fromkeys(second, 2)}
        across = sum(sides.get(a, 0) + sides.get(b, 0) == 3 for a, b in compared)
        if (
            len(pairs) >= max(MIN_PAIRS, MOST_PAIRS * across)
            and min(len(first), len(second)) >= MIN_SIDE
        ):
            share = float(np.median([unlike[pair] for pair in pairs]))
            folds.append(Fold(first, second, len(pairs), share))
    return folds


def _near(views: Sequence[View]) -> list[Pair]:
    """Pairs of photos that stand close and look the same way."""
    if len(views) < 2:
        return []
    centres = np.array([view.centre for view in views])
    forward = np.array([view.forward for view in views])
    # More than are compared: photos of a panorama stand at one place and look to all sides.
    _, near = cKDTree(centres).query(centres, min(LOOKED_AT, len(views)))
    found = set()
    for a, row in enumerate(near):
        same_way = row[(forward[row] @ forward[a] > np.cos(np.radians(AXES_DEG))) & (row != a)]
        found |= {(min(a, int(b)), max(a, int(b))) for b in same_way[:NEAREST]}
    return sorted(found)


def _usual(count: int, compared: dict[Pair, tuple[Cells, Cells]]) -> Array:
    """The share (V,) of expected points that each photo usually shares with one that looks the same way."""
    shares: list[list[float]] = [[] for _ in range(count)]
    for (a, b), cells in compared.items():
        least = min(part.expected.sum() for part in cells)
        share = min(float(cells[0].seen.sum() / least), 1.0)
        shares[a].append(share)
        shares[b].append(share)
    return np.array([max(np.quantile(s, USUAL), LEAST_USUAL) if s else 1.0 for s in shares])
