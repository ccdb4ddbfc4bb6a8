"""Which photos are mapped together: groups of neighbours of about equal size, cut where few matches lie.

Normalised cuts (Shi and Malik, "Normalized Cuts and Image Segmentation", PAMI 2000), one after the other.
For structure from motion: Bhowmick et al., "Divide and Conquer: Efficient Large-Scale Structure from Motion
Using Graph Partitioning", ACCV 2014.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh

Index = npt.NDArray[np.int64]
Pair = tuple[int, int]

# Photos of a part, at most; halves of a larger one have at least half as many.
LARGEST = 150
# Photos of each neighbouring part that a part has in common with it, and how many more it gets by that.
SHARED, MOST_SHARED = 5, 0.5
# A half has at least this share of the photos.
LEAST_SHARE = 0.35
DENSE_UP_TO = 60  # nodes of a graph whose eigenvectors are found from the dense matrix
# A pair with more matches holds no better.
FULL_LINK = 100


@dataclass(frozen=True)
class Part:
    """Photos (COLMAP's numbers) that are mapped together.

    own: those that belong to no other part. around: photos of other parts, to hold it to them.
    """

    own: tuple[int, ...]
    around: tuple[int, ...] = ()

    @property
    def photos(self) -> tuple[int, ...]:
        """All of them, ascending."""
        return tuple(sorted((*self.own, *self.around)))


def divided(
    links: Mapping[Pair, int], frame_of: Mapping[int, int], largest: int = LARGEST
) -> list[Part]:
    """Parts of the photos that `links` (matches of each pair of photos) join.

    frame_of: photos of one frame of a rig stay together. largest: photos of a part, at most, without
    those that it shares with its neighbours. Photos without a link are in none. The same links give the same
    parts.
    """
    photos = sorted({photo for pair in links for photo in pair})
    frames = sorted({frame_of[photo] for photo in photos})
    row = {frame: number for number, frame in enumerate(frames)}
    graph = _graph(links, frame_of, row)
    size = np.bincount([row[frame_of[photo]] for photo in photos], minlength=len(frames))
    label = np.full(len(frames), -1)
    count, whole = connected_components(graph, directed=False)
    waiting = [np.flatnonzero(whole == number) for number in range(count)]
    made = 0
    while waiting:
        rows = waiting.pop()
        if size[rows].sum() <= largest or len(rows) < 2:
            label[rows] = made
            made += 1
            continue
        waiting += _halves(graph[rows][:, rows], size[rows], rows)
    label = _without_islands(graph, label, size)
    around = _around(graph, label, size)
    members: dict[int, list[int]] = {}
    for photo in photos:
        members.setdefault(row[frame_of[photo]], []).append(photo)

    def photos_of(rows: Sequence[int] | Index) -> tuple[int, ...]:
        return tuple(sorted(photo for frame in rows for photo in members[int(frame)]))

    parts = [
        Part(photos_of(np.flatnonzero(label == number)), photos_of(around[number]))
        for number in np.unique(label).tolist()
    ]
    return sorted(parts, key=lambda part: part.own)


def _graph(
    links: Mapping[Pair, int], frame_of: Mapping[int, int], row: Mapping[int, int]
) -> sparse.csr_array:
    """Symmetric weights (frames, frames): matches, up to `FULL_LINK` of each pair of photos."""
    ends = np.array([(row[frame_of[a]], row[frame_of[b]]) for a, b in links], np.int64)
    weight = np.minimum(np.array(list(links.values()), float), FULL_LINK)
    other = ends[:, 0] != ends[:, 1]
    ends, weight = ends[other], weight[other]
    both = np.concatenate([ends, ends[:, ::-1]])
    shape = (len(row), len(row))
    return sparse.csr_array(
        sparse.coo_array((np.concatenate([weight, weight]), tuple(both.T)), shape=shape)
    )


def _halves(graph: sparse.csr_array, size: Index, rows: Index) -> list[Index]:
    """Two sets of `rows`, of the connected or unconnected `graph` among them, that few weights join."""
    count, label = connected_components(graph, directed=False)
    if count > 1:
        return [rows[label == number] for number in range(count)]
    order = np.argsort(_second_eigenvector(graph), kind="stable")
    within = sparse.csr_array(graph[order][:, order])
    entries = within.tocoo()
    first, second = entries.coords
    # A cut behind position k goes through the weights that begin at or before k, and end after it.
    forward = first < second
    steps = np.zeros(len(rows) + 1)
    np.add.at(steps, first[forward], entries.data[forward])
    np.add.at(steps, second[forward], -entries.data[forward])
    cut = np.cumsum(steps)[: len(rows) - 1]
    volume = np.cumsum(within.sum(axis=1))
    left, total = volume[:-1], volume[-1]
    cost = cut / left + cut / np.maximum(total - left, 1e-12)
    share = np.cumsum(size[order])[:-1] / size.sum()
    allowed = (share >= LEAST_SHARE) & (share <= 1 - LEAST_SHARE)
    if not allowed.any():  # one frame is larger than that
        allowed = np.arange(len(share)) == np.argmin(np.abs(share - 0.5))
    best = int(np.argmin(np.where(allowed, cost, np.inf)))
    return [np.sort(rows[order[: best + 1]]), np.sort(rows[order[best + 1 :]])]


def _second_eigenvector(graph: sparse.csr_array) -> npt.NDArray[np.float64]:
    """Of the normalised Laplacian of a connected graph, for the second smallest eigenvalue, as positions."""
    root = 1 / np.sqrt(graph.sum(axis=1))
    scaled = sparse.diags_array(root) @ graph @ sparse.diags_array(root)
    laplacian = sparse.eye_array(len(root)) - scaled
    if len(root) <= DENSE_UP_TO:
        _, vectors = np.linalg.eigh(laplacian.toarray())
        vector = vectors[:, 1]
    else:
        # Shifted a little below zero, where the inverse exists; begun in the same way each time.
        begin = np.random.default_rng(0).normal(size=len(root))
        values, vectors = eigsh(sparse.csc_array(laplacian), k=2, sigma=-1e-4, v0=begin)
        vector = vectors[:, int(np.argmax(values))]
    positions: npt.NDArray[np.float64] = vector * root
    largest = float(positions[int(np.argmax(np.abs(positions)))])
    return positions if largest > 0 else -positions


def _without_islands(graph: sparse.csr_array, label: Index, size: Index) -> Index:
    """Labels in which what a cut left apart from its part goes to the part that it is joined with most."""
    label = label.copy()
    for part in np.unique(label).tolist():
        rows = np.flatnonzero(label == part)
        count, piece = connected_components(graph[rows][:, rows], directed=False)
        sizes = np.bincount(piece, weights=size[rows], minlength=count)
        for number in np.flatnonzero(sizes < sizes.max()).tolist():
            island = rows[piece == number]
            joined = np.zeros(int(label.max()) + 1)
            entries = graph[island].tocoo()
            np.add.at(joined, label[entries.coords[1]], entries.data)
            joined[part] = 0
            if joined.max() > 0:
                label[island] = int(np.argmax(joined))
    return label


def _around(graph: sparse.csr_array, label: Index, size: Index) -> dict[int, list[int]]:
    """For each label the frames of other parts that are joined with it most, some of each neighbour."""
    found: dict[int, list[int]] = {}
    for part in np.unique(label).tolist():
        rows = np.flatnonzero(label == part)
        weight = np.asarray(graph[rows].sum(axis=0)).ravel()
        weight[rows] = 0
        outside = np.flatnonzero(weight)
        outside = outside[np.argsort(-weight[outside], kind="stable")]
        taken: dict[int, int] = {}
        left = MOST_SHARED * size[rows].sum()
        found[part] = []
        for frame in outside.tolist():
            home = int(label[frame])
            if taken.get(home, 0) < SHARED and size[frame] <= left:
                taken[home] = taken.get(home, 0) + 1
                left -= size[frame]
                found[part].append(frame)
    return found
