"""A palette of spherical harmonics: k-means over N points in 9, 24 or 45 dimensions, N and k large.

Plain k-means at 100 000 points and 65 536 entries costs 600 GFLOP a pass. Here a coarse k-means
splits the points into cells, every cell gets its share of the palette by how much error it holds,
k-means runs inside the cells, and a last pass lets points move to entries of neighbouring cells.

Everything repeats bit for bit: distances are computed on integers small enough that float32 sums
of them are exact, so neither threads nor the BLAS in use can change which entry is nearest.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scripts.lib.splat.gaussians import Array

Labels = npt.NDArray[np.int64]
MOST_ENTRIES = 65536  # labels are two bytes
CELL_ENTRIES = 128  # palette entries a coarse cell holds on average
COARSE_ITERATIONS = 6
COARSE_SAMPLE = 48  # points per coarse cell that its k-means looks at
PROBES = 4  # neighbouring cells searched in the last pass
SHARE_POWER = 0.8  # of a cell's error in its share of entries; about d / (d + 2) for d = 8
ROWS = 16384  # rows of a distance table at once


def automatic_size(count: int) -> int:
    """Palette size that splat-transform takes: the power of two below the count, 64k at most."""
    if count <= 1024:
        return max(count, 1)
    return int(min(MOST_ENTRIES, 1 << (count.bit_length() - 1)))


def build(
    points: Array,
    weights: npt.NDArray[np.floating],
    entries: int,
    *,
    iterations: int = 10,
    seed: int = 0,
) -> tuple[Array, Labels]:
    """Palette (k, D), k <= `entries`, and the entry (N,) of each of `points` (N, D).

    `weights` (N,) say how much each point's error counts. Every entry is used by some point.
    """
    count = len(points)
    entries = min(entries, MOST_ENTRIES)
    distinct, labels = np.unique(points, axis=0, return_inverse=True)
    if len(distinct) <= entries:
        return distinct.astype(np.float32), labels.reshape(count).astype(np.int64)
    random = np.random.default_rng(seed)
    mass = np.maximum(weights.astype(np.float64), 1e-12)
    grid = on_grid(points)
    cells, home = coarse_cells(grid, max(1, entries // CELL_ENTRIES), random)
    shares = share_entries(grid, mass, cells, home, entries)
    palette, labels = inside_cells(grid, mass, home, shares, iterations, random)
    owner = np.repeat(np.arange(len(shares)), shares)
    for _ in range(2):
        labels = reassign(grid, cells, palette, owner)
        palette = centres(grid, mass, labels, palette)
    used, labels = np.unique(labels, return_inverse=True)
    found = weighted_means(points.astype(np.float64), mass, labels, len(used))
    return found.astype(np.float32), labels.astype(np.int64)


def on_grid(points: Array) -> Array:
    """Points as whole numbers in float32, so small that scalar products of them are exact.

    x.c - |c|^2 / 2 stays below 2^23, where float32 still holds halves. Values beyond the 99.95th
    percentile are clipped: it only concerns which entry is nearest, not what is stored.
    """
    dimensions = points.shape[1]
    top = int(np.sqrt(2**23 / (1.5 * dimensions)))
    reach = float(np.percentile(np.abs(points), 99.95)) or float(np.abs(points).max()) or 1.0
    return np.clip(np.rint(points * np.float32(top / reach)), -top, top).astype(np.float32)


def nearest(points: Array, centre: Array) -> tuple[Labels, Array]:
    """Index (N,) of the nearest of `centre` (k, D) for each point, and x.c - |c|^2 / 2 of it."""
    half = (centre.astype(np.float64) ** 2).sum(1).astype(np.float32) * np.float32(0.5)
    best = np.empty(len(points), np.int64)
    score = np.empty(len(points), np.float32)
    rows = max(256, ROWS * 256 // max(len(centre), 1))
    for start in range(0, len(points), rows):
        part = slice(start, start + rows)
        table = points[part] @ centre.T
        table -= half
        best[part] = table.argmax(1)
        score[part] = np.take_along_axis(table, best[part, None], 1)[:, 0]
    return best, score


def weighted_means(
    points: npt.NDArray[np.floating], mass: npt.NDArray[np.float64], labels: Labels, entries: int
) -> npt.NDArray[np.float64]:
    """Weighted mean (entries, D) of the points of each label; zero where there are none."""
    total = np.bincount(labels, mass, entries)
    sums = np.stack([np.bincount(labels, mass * column, entries) for column in points.T], axis=1)
    return sums / np.where(total > 0, total, 1.0)[:, None]


def centres(grid: Array, mass: npt.NDArray[np.float64], labels: Labels, before: Array) -> Array:
    """Weighted means on the grid; entries without points stay where they were."""
    moved = np.rint(weighted_means(grid, mass, labels, len(before))).astype(np.float32)
    empty = np.bincount(labels, minlength=len(before)) == 0
    moved[empty] = before[empty]
    return moved


def squared_error(points: Array, score: Array) -> npt.NDArray[np.float64]:
    """Squared distance (N,) to the nearest entry, from what `nearest` returned."""
    return (points.astype(np.float64) ** 2).sum(1) - 2.0 * score


def lloyd(
    points: Array,
    mass: npt.NDArray[np.float64],
    entries: int,
    iterations: int,
    random: np.random.Generator,
) -> tuple[Array, Labels]:
    """k-means from random points; entries left empty move to the points that are served worst."""
    centre = points[np.sort(random.permutation(len(points))[:entries])]
    labels, score = nearest(points, centre)
    for _ in range(iterations):
        centre = centres(points, mass, labels, centre)
        empty = np.flatnonzero(np.bincount(labels, minlength=entries) == 0)
        if len(empty):
            worst = np.argsort(-mass * squared_error(points, score), kind="stable")
            centre[empty] = points[worst[: len(empty)]]
        before = labels
        labels, score = nearest(points, centre)
        if not len(empty) and np.array_equal(before, labels):
            break
    return centre, labels


def coarse_cells(grid: Array, cells: int, random: np.random.Generator) -> tuple[Array, Labels]:
    """Centres (C, D) of a coarse split and the cell (N,) of each point; no cell is empty."""
    sample = grid
    if len(grid) > cells * COARSE_SAMPLE:
        sample = grid[np.sort(random.permutation(len(grid))[: cells * COARSE_SAMPLE])]
    centre, _ = lloyd(sample, np.ones(len(sample)), cells, COARSE_ITERATIONS, random)
    home, _ = nearest(grid, centre)
    used, home = np.unique(home, return_inverse=True)
    return centre[used], home


def share_entries(
    grid: Array, mass: npt.NDArray[np.float64], cells: Array, home: Labels, entries: int
) -> npt.NDArray[np.int64]:
    """Palette entries (C,) of each cell: by its share of the error, at most one per point."""
    away = ((grid - cells[home]).astype(np.float64) ** 2).sum(1)
    held = np.bincount(home, mass * away, len(cells)) + 1e-9 * mass.sum()
    points = np.bincount(home, minlength=len(cells))
    shares = np.ones(len(cells), np.int64)
    open_cells = points > shares
    while (left := entries - shares.sum()) > 0 and open_cells.any():
        demand = np.where(open_cells, held**SHARE_POWER, 0.0)
        more = np.floor(left * demand / demand.sum()).astype(np.int64)
        if more.sum() == 0:  # fewer than one each: the neediest get what is left
            neediest = np.argsort(-demand, kind="stable")[:left]
            more[neediest[open_cells[neediest]]] = 1
        shares = np.minimum(shares + more, points)
        open_cells = points > shares
    return shares


def inside_cells(
    grid: Array,
    mass: npt.NDArray[np.float64],
    home: Labels,
    shares: npt.NDArray[np.int64],
    iterations: int,
    random: np.random.Generator,
) -> tuple[Array, Labels]:
    """k-means in every cell with its share of entries: palette (k, D), cell by cell, and labels."""
    order = np.argsort(home, kind="stable")
    ends = np.cumsum(np.bincount(home, minlength=len(shares)))
    palette = np.empty((int(shares.sum()), grid.shape[1]), np.float32)
    labels = np.empty(len(grid), np.int64)
    offset = 0
    for members, share in zip(np.split(order, ends[:-1]), shares, strict=True):
        centre, local = lloyd(grid[members], mass[members], int(share), iterations, random)
        palette[offset : offset + share] = centre
        labels[members] = offset + local
        offset += int(share)
    return palette, labels


def reassign(grid: Array, cells: Array, palette: Array, owner: npt.NDArray[np.int64]) -> Labels:
    """Nearest entry (N,) among those of the few cells nearest to each point."""
    probes = min(PROBES, len(cells))
    close = nearest_cells(grid, cells, probes)
    best = np.full(len(grid), -np.inf, np.float32)
    labels = np.zeros(len(grid), np.int64)
    rows, which = np.divmod(np.argsort(close.ravel(), kind="stable"), probes)
    ends = np.cumsum(np.bincount(close.ravel(), minlength=len(cells)))
    starts = np.searchsorted(owner, np.arange(len(cells) + 1))
    del which
    for cell, members in enumerate(np.split(rows, ends[:-1])):
        if not len(members):
            continue
        local, score = nearest(grid[members], palette[starts[cell] : starts[cell + 1]])
        better = score > best[members]
        best[members[better]] = score[better]
        labels[members[better]] = starts[cell] + local[better]
    return labels


def nearest_cells(grid: Array, cells: Array, probes: int) -> Labels:
    """Indices (N, probes) of the cells nearest to each point, in no order."""
    half = (cells.astype(np.float64) ** 2).sum(1).astype(np.float32) * np.float32(0.5)
    close = np.empty((len(grid), probes), np.int64)
    for start in range(0, len(grid), ROWS):
        table = half - grid[start : start + ROWS] @ cells.T
        if probes < len(cells):
            close[start : start + ROWS] = np.argpartition(table, probes - 1, axis=1)[:, :probes]
        else:
            close[start : start + ROWS] = np.arange(len(cells))
    return close
