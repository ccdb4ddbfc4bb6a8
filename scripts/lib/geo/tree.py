"""The tree of tiles: Gaussians cut at medians, up to eight parts a node, and coarser ones above."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scripts.lib.encode import lod
from scripts.lib.encode.codecs.values import morton_order
from scripts.lib.splat.gaussians import Array, Gaussians
from scripts.lib.splat.occupancy import axes_of

Rows = npt.NDArray[np.int64]
CUTS = 3  # medians one after the other: eight children, as an octree has
REACH = 3.0  # standard deviations that a box holds: where the format cuts Gaussians off


@dataclass(frozen=True)
class Node:
    """A leaf with a number, or a node with children; `name` spells the way from the root."""

    name: str
    leaf: int | None = None
    children: tuple[Node, ...] = field(default=())


def plan(means: Array, most: int) -> tuple[Node, npt.NDArray[np.int32]]:
    """The tree over means (N, 3) with at most `most` in a leaf, and each one's leaf (N,).

    Medians, and not the middles of boxes, because a splat has some Gaussians very far away.
    """
    groups = np.zeros(len(means), np.int32)
    count = 0

    def node(name: str, rows: Rows) -> Node:
        nonlocal count
        if len(rows) <= most:
            groups[rows] = count
            count += 1
            return Node(name, leaf=count - 1)
        parts = [rows]
        for _ in range(CUTS):
            parts = [half for part in parts for half in _halves(means, part, most)]
        return Node(name, children=tuple(node(f"{name}{n}", p) for n, p in enumerate(parts)))

    return node("r", np.arange(len(means))), groups


def _halves(means: Array, rows: Rows, most: int) -> list[Rows]:
    """`rows` on both sides of their median along their longer side; as they are where they fit in a leaf."""
    if len(rows) <= most:
        return [rows]
    here = means[rows]
    # Not by the farthest ones, which would always win.
    low, high = np.percentile(here, [2, 98], axis=0)
    axis = int((high - low).argmax())
    half = len(rows) // 2
    order = np.argpartition(here[:, axis], half)
    return [np.sort(rows[order[:half]]), np.sort(rows[order[half:]])]


def coarser(gaussians: Gaussians, run: int) -> tuple[Gaussians, float]:
    """Every `run` neighbours as one, and how far that moved them: the median distance, in units."""
    along = gaussians.take(morton_order(gaussians.means))
    fewer = lod.merged(along, run, harmonics=True)
    group = np.arange(len(along)) // run
    away = np.linalg.norm(along.means - fewer.means[group], axis=1)
    return fewer, float(np.median(away))


@dataclass(frozen=True)
class Box:
    """A box along the axes by its corners (3,)."""

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]

    def joined(self, other: Box) -> Box:
        """The box around both."""
        return Box(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def tiles(self) -> list[float]:
        """As 3D Tiles write it: the middle, then three half axes."""
        half = np.diag((self.high - self.low) / 2)
        return [float(v) for v in ((self.low + self.high) / 2, *half) for v in v]


def box_of(gaussians: Gaussians) -> Box:
    """The box that holds the Gaussians to where the format cuts them off."""
    axes = axes_of(gaussians.quats) ** 2
    spread = np.sqrt(
        np.einsum("nij,nj->ni", axes, np.exp(2.0 * gaussians.scales.astype(np.float64)))
    )
    return Box((gaussians.means - REACH * spread).min(0), (gaussians.means + REACH * spread).max(0))
