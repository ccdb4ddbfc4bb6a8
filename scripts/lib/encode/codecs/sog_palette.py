"""A palette of spherical harmonics: k-means over N points in 9, 24 or 45 dimensions, N and k large.

Plain k-means at 100 000 points and 65 536 entries costs 600 GFLOP a pass. Here a coarse k-means
splits the points into cells, every cell gets its share of the palette by how much error it holds,
k-means runs inside the cells, and a last pass lets points move to entries of neighbouring cells.

Everything repeats bit for bit: distances are computed on integers small enough that float32 sums
of them are exact, so the number of threads cannot change which entry is nearest. What is done to every
point is compiled (`palette_kernels`, imported on first use: programs that only read load no compiler).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from scripts.lib.core.threads import threads
from scripts.lib.splat.gaussians import Array

Labels = npt.NDArray[np.int64]
MOST_ENTRIES = 65536  # labels are two bytes
CELL_ENTRIES = 128  # palette entries a coarse cell holds on average
COARSE_ITERATIONS = 6
COARSE_SAMPLE = 48  # points per coarse cell that its k-means looks at
PROBES = 4  # neighbouring cells searched in the last pass
SHARE_POWER = 0.8  # of a cell's error in its share of entries; about d / (d + 2) for d = 8
PIECES = 8  # of the work for each thread: cells and points differ in how long they take


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
    entries = min(entries, MOST_ENTRIES)
    if at_most(points, entries):
        distinct, labels = np.unique(points, axis=0, return_inverse=True)
        if len(distinct) <= entries:
            return distinct.astype(np.float32), labels.reshape(len(points)).astype(np.int64)
    random = np.random.default_rng(seed)
    mass = np.maximum(weights.astype(np.float64), 1e-12)
    grid = on_grid(points)
    cells, home = coarse_cells(grid, max(1, entries // CELL_ENTRIES), random)
    shares = share_entries(grid, mass, cells, home, entries)
    palette = inside_cells(grid, mass, home, shares, iterations, random)
    for _ in range(2):
        labels = reassign(grid, cells, home, palette, shares)
        palette = centres(grid, mass, labels, palette)
    used, labels = np.unique(labels, return_inverse=True)
    found = weighted_means(points, mass, labels, len(used))
    return found.astype(np.float32), labels.astype(np.int64)


def at_most(points: Array, entries: int) -> bool:
    """Whether there may be so few different `points` (N, D): True when in doubt.

    Sorting whole rows takes seconds; sums of their bytes with factors drawn by chance tell at once that
    there are more.
    """
    bits = np.ascontiguousarray(points + np.float32(0)).view(np.uint32)  # -0 is 0
    factors = np.random.default_rng(0).integers(0, 2**64, bits.shape[1], np.uint64)
    return len(np.unique(bits.astype(np.uint64) @ factors)) <= entries


def shared(work: Callable[[int, int], None], count: int) -> None:
    """Call `work(first, last)` for pieces of `count`, on all threads."""
    pieces = min(count, PIECES * threads())
    ends = np.linspace(0, count, pieces + 1).astype(int).tolist()
    if threads() == 1 or pieces < 2:
        work(0, count)
        return
    with ThreadPoolExecutor(threads()) as pool:
        for done in [pool.submit(work, *span) for span in zip(ends[:-1], ends[1:], strict=True)]:
            done.result()


def on_grid(points: Array) -> Array:
    """Points as whole numbers in float32, so small that scalar products of them are exact.

    x.c - |c|^2 / 2 stays below 2^23, where float32 still holds halves. Values beyond the 99.95th
    percentile are clipped: it only concerns which entry is nearest, not what is stored.
    """
    dimensions = points.shape[1]
    top = int(np.sqrt(2**23 / (1.5 * dimensions)))
    reach = float(np.percentile(np.abs(points), 99.95)) or float(np.abs(points).max()) or 1.0
    found: Array = np.clip(np.rint(points * np.float32(top / reach)), -top, top).astype(np.float32)
    return found


def nearest(points: Array, centre: Array) -> Labels:
    """Index (N,) of the nearest of `centre` (k, D) for each point."""
    from scripts.lib.encode.codecs import palette_kernels

    labels = np.empty(len(points), np.int64)
    shared(lambda *span: palette_kernels.nearest(points, centre, labels, *span), len(points))
    return labels


def weighted_means(
    points: Array, mass: npt.NDArray[np.float64], labels: Labels, entries: int
) -> npt.NDArray[np.float64]:
    """Weighted mean (entries, D) of the points of each label; zero where there are none."""
    from scripts.lib.encode.codecs import palette_kernels

    found = np.empty((entries, points.shape[1]))
    palette_kernels.means(points, mass, labels, 0, len(points), found, np.empty(entries))
    return found


def centres(grid: Array, mass: npt.NDArray[np.float64], labels: Labels, before: Array) -> Array:
    """Weighted means on the grid; entries without points stay where they were."""
    moved = np.rint(weighted_means(grid, mass, labels, len(before))).astype(np.float32)
    empty = np.bincount(labels, minlength=len(before)) == 0
    moved[empty] = before[empty]
    return moved


def drawn(points: Array, entries: int, random: np.random.Generator) -> Array:
    """Some of the points, to begin k-means with."""
    return points[np.sort(random.permutation(len(points))[:entries])]


def coarse_cells(grid: Array, cells: int, random: np.random.Generator) -> tuple[Array, Labels]:
    """Centres (C, D) of a coarse split and the cell (N,) of each point; no cell is empty."""
    from scripts.lib.encode.codecs import palette_kernels

    sample = grid
    if len(grid) > cells * COARSE_SAMPLE:
        sample = grid[np.sort(random.permutation(len(grid))[: cells * COARSE_SAMPLE])]
    centre = drawn(sample, cells, random)
    labels, ends, begins = (
        np.empty(len(sample), np.int64),
        np.array([0, len(sample)]),
        np.array([0, cells]),
    )
    mass = np.ones(len(sample))
    palette_kernels.lloyd(sample, mass, ends, centre, begins, COARSE_ITERATIONS, labels, 0, 1)
    used, home = np.unique(nearest(grid, centre), return_inverse=True)
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
) -> Array:
    """k-means in every cell with its share of entries: palette (k, D), cell by cell."""
    from scripts.lib.encode.codecs import palette_kernels

    order = np.argsort(home, kind="stable")
    ends = _begins(np.bincount(home, minlength=len(shares)))
    begins = _begins(shares)
    points, weights = grid[order], mass[order]
    palette = np.concatenate(
        [
            drawn(points[ends[cell] : ends[cell + 1]], int(share), random)
            for cell, share in enumerate(shares)
        ]
    )
    labels = np.empty(len(grid), np.int64)
    data = (points, weights, ends, palette, begins, iterations, labels)
    shared(lambda *span: palette_kernels.lloyd(*data, *span), len(shares))
    return palette


def reassign(
    grid: Array, cells: Array, home: Labels, palette: Array, shares: npt.NDArray[np.int64]
) -> Labels:
    """Nearest entry (N,) among those of the few cells nearest to each point; `home` is its own cell."""
    from scripts.lib.encode.codecs import palette_kernels

    # Points of one cell look at the same entries, so they come one after the other.
    order = np.argsort(home, kind="stable")
    labels = np.empty(len(grid), np.int64)
    data = (grid, cells, palette, _begins(shares), min(PROBES, len(cells)), order, labels)
    shared(lambda *span: palette_kernels.reassign(*data, *span), len(grid))
    return labels


def _begins(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each of some runs of so many begins, and the end (C + 1,)."""
    return np.concatenate([[0], np.cumsum(counts)])
