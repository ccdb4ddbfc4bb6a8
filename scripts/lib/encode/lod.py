"""A splat in levels of detail, cut into parts that a viewer streams: lod-meta.json and a SOG for each part.

Written, and read back for measuring.

The layout is the one that splat-transform writes and PlayCanvas reads: a tree of boxes whose leaves say,
for each level, which rows of which SOG are theirs. Level 0 is the splat itself; each further level
merges neighbours, so that the place is whole from the first moment and sharpens while one looks.

A viewer shows nothing before it has the coarsest level of the whole place. So a large place gets more levels.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from scripts.lib.core.activations import logit, sigmoid
from scripts.lib.encode.codecs import sog
from scripts.lib.encode.codecs.values import morton_order
from scripts.lib.splat.gaussians import Gaussians
from scripts.lib.splat.occupancy import axes_of
from scripts.lib.splat.pieces import Pieces, Splat, Tree, halves, joined, whole

Rows = npt.NDArray[np.int64]

MERGES = (1, 4, 16)  # Gaussians that become one, level by level
COARSEST = (
    250_000  # Gaussians of the coarsest level at most: two megabytes, before anything is seen
)
HARMONICS = (
    16  # Gaussians that become one, from which on only the constant band of their colour is kept
)
LEAF = 24_000  # Gaussians of level 0 in a leaf of the tree
PART = 96_000  # Gaussians in one SOG: a few hundred kB up to some MB


@dataclass(frozen=True)
class Leaf:
    """A box of the tree with its rows of the splat, along a Morton curve."""

    rows: Rows


def leaves(means: npt.NDArray[np.float32], rows: Rows | None = None) -> Any:
    """A tree of median cuts along the longest side: a Leaf, or a pair of subtrees."""
    rows = np.arange(len(means)) if rows is None else rows
    if len(rows) <= LEAF:
        return Leaf(rows[morton_order(means[rows])])
    one, other = halves(means, rows)
    return leaves(means, one), leaves(means, other)


def merges(count: int) -> tuple[int, ...]:
    """Gaussians that become one, level by level, of a splat of `count`."""
    runs = list(MERGES)
    while count > COARSEST * runs[-1]:
        runs.append(4 * runs[-1])
    return tuple(runs)


def merged(gaussians: Gaussians, run: int, harmonics: bool) -> Gaussians:
    """Every `run` Gaussians in a row as one: same place and spread (first two moments), same cover.

    Weights are opacity times area; colours are averaged; without `harmonics` only the constant band
    stays. `gaussians` should lie along a Morton curve, so that those in a row are neighbours.
    """
    if run == 1:
        return gaussians
    sigma = np.exp(gaussians.scales.astype(np.float64))
    alpha = np.minimum(sigmoid(gaussians.opacities), 0.999)
    two = np.sort(sigma, axis=1)[:, 1:]
    cover = alpha * two[:, 0] * two[:, 1] + 1e-30
    starts = np.arange(0, len(gaussians), run)
    total = np.add.reduceat(cover, starts)
    group = np.arange(len(gaussians)) // run

    def mean(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        flat = values.reshape(len(values), -1).astype(np.float64)
        found = np.add.reduceat(flat * cover[:, None], starts) / total[:, None]
        return found.reshape(len(starts), *values.shape[1:])

    means = mean(gaussians.means)
    axes = axes_of(gaussians.quats)
    own = np.einsum("nij,nj,nkj->nik", axes, sigma**2, axes)
    away = gaussians.means - means[group]
    values, vectors = np.linalg.eigh(mean(own + away[:, :, None] * away[:, None, :]))
    spread = np.sqrt(np.maximum(values, 1e-16))
    vectors[:, :, 0] *= np.sign(np.linalg.det(vectors))[:, None]  # a rotation, not a reflection
    opacity = np.clip(total / (spread[:, 1] * spread[:, 2]), 0.0, 0.999)
    shN = mean(gaussians.shN).astype(np.float32)
    return Gaussians(
        means=means.astype(np.float32),
        quats=quaternions(vectors),
        scales=np.log(spread).astype(np.float32),
        opacities=logit(opacity),
        sh0=mean(gaussians.sh0).astype(np.float32),
        shN=shN if harmonics else np.zeros((len(starts), 0, 3), np.float32),
        antialiased=gaussians.antialiased,
    )


def quaternions(rotations: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Unit quaternions (N, 4) wxyz of rotation matrices (N, 3, 3)."""
    from scipy.spatial.transform import Rotation

    found: npt.NDArray[np.float32] = (
        Rotation.from_matrix(rotations).as_quat()[:, [3, 0, 1, 2]].astype(np.float32)
    )
    return found


def box_of(gaussians: Gaussians) -> dict[str, list[float]]:
    """The box around Gaussians, a standard deviation beyond their centres."""
    reach = np.sqrt(
        np.einsum("nij,nj->ni", axes_of(gaussians.quats) ** 2, np.exp(2.0 * gaussians.scales))
    )
    return {
        "min": (gaussians.means - reach).min(0).astype(float).tolist(),
        "max": (gaussians.means + reach).max(0).astype(float).tolist(),
    }


class Node(TypedDict, total=False):
    """A node of lod-meta.json's tree: a leaf has `lods`, where its Gaussians lie, others `children`."""

    bound: dict[str, list[float]]  # corners `min` and `max`
    lods: dict[str, dict[str, int]]  # file, offset, count
    children: list[Node]


Files = Iterator[tuple[str, bytes]]  # name and content


def files(splat: Splat, options: sog.SogOptions) -> Files:
    """Name and bytes of every file, lod-meta.json last: parts are named before they are described.

    Of a splat in pieces no more than one and some parts are in memory; the bytes are the same.
    """
    some = splat if isinstance(splat, Pieces) else whole(splat)
    runs = merges(len(some))
    parts = _Parts(options, len(runs))
    root = yield from _branch(some, some.tree, runs, parts)
    for level in range(len(runs)):
        yield from parts.flush(level)
    meta = {
        "version": 1,
        "asset": {"generator": "splatmake"},
        "count": sum(parts.counts),
        "counts": parts.counts,
        "lodLevels": len(runs),
        "lodErrors": False,
        "filenames": parts.names,
        "tree": root,
    }
    yield "lod-meta.json", json.dumps(meta, separators=(",", ":")).encode()


class _Parts:
    """Files of each level as they fill up: Gaussians wait until there are PART of them."""

    def __init__(self, options: sog.SogOptions, levels: int) -> None:
        self.options = options
        self.names: list[str] = []  # of the files that are written
        self.counts = [0] * levels
        self._waiting: list[list[Gaussians]] = [[] for _ in range(levels)]
        self._entries: list[list[dict[str, int]]] = [
            [] for _ in range(levels)
        ]  # of those that wait
        self._written = [0] * levels

    def add(self, level: int, some: Gaussians, entry: dict[str, int]) -> Files:
        """Let `some` wait, and fill `entry`, which tells where they lie once they are written."""
        if sum(map(len, self._waiting[level])) >= PART:
            yield from self.flush(level)
        entry |= {"offset": sum(map(len, self._waiting[level])), "count": len(some)}
        self._waiting[level].append(some)
        self._entries[level].append(entry)
        self.counts[level] += len(some)

    def flush(self, level: int) -> Files:
        """Write what waits."""
        if not self._waiting[level]:
            return
        folder = f"{level}_{self._written[level]}"
        self._written[level] += 1
        for entry in self._entries[level]:
            entry["file"] = len(self.names)
        self.names.append(f"{folder}/meta.json")
        stacked = joined(self._waiting[level])
        self._waiting[level].clear()
        self._entries[level].clear()
        for name, data in sog.members(stacked, self.options)[0].items():
            yield f"{folder}/{name}", data


def _branch(
    pieces: Pieces, tree: Tree, runs: Sequence[int], parts: _Parts
) -> Generator[tuple[str, bytes], None, Node]:
    """`_node` of the pieces below a branch of their tree."""
    if isinstance(tree, int):
        inside = pieces.read(tree)
        return (yield from _node(inside, leaves(inside.means), runs, parts))
    children = []
    for side in tree:
        children.append((yield from _branch(pieces, side, runs, parts)))
    return _around(children)


def _node(
    gaussians: Gaussians, tree: Any, runs: Sequence[int], parts: _Parts
) -> Generator[tuple[str, bytes], None, Node]:
    """Files as they fill up; returns the description of this part of the tree."""
    if isinstance(tree, Leaf):
        inside = gaussians.take(tree.rows)
        node: Node = {"bound": box_of(inside), "lods": {}}
        for level, run in enumerate(runs):
            some = merged(inside, run, harmonics=run < HARMONICS)
            node["lods"][str(level)] = {}
            yield from parts.add(level, some, node["lods"][str(level)])
        return node
    children = []
    for half in tree:
        children.append((yield from _node(gaussians, half, runs, parts)))
    return _around(children)


def _around(children: list[Node]) -> Node:
    """The node that holds others."""
    low = np.min([child["bound"]["min"] for child in children], axis=0)
    high = np.max([child["bound"]["max"] for child in children], axis=0)
    return {"bound": {"min": low.tolist(), "max": high.tolist()}, "children": children}


def overview(splat: Splat, most: int, harmonics: bool = True) -> Gaussians:
    """A splat as at most about `most` Gaussians: neighbours in a row as one, as in the levels of detail."""
    run = -(-len(splat) // most)
    some = splat if isinstance(splat, Pieces) else whole(splat)
    made = []
    for _, part in some:
        for leaf in _flat(leaves(part.means)):
            made.append(merged(part.take(leaf.rows), run, harmonics))
    return joined(made)


def _flat(tree: Any) -> Iterator[Leaf]:
    """The leaves below a node of `leaves`."""
    if isinstance(tree, Leaf):
        yield tree
        return
    for half in tree:
        yield from _flat(half)
