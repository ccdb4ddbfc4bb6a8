"""A table of at most 256 numbers that stands for many: one-dimensional k-means (Lloyd, 1982)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scripts.lib.splat.gaussians import Array

ENTRIES = 256
ITERATIONS = 100
# Lloyd alone leaves rare values to whatever entry is nearest, and a rare scale can be the one huge
# Gaussian behind everything. An even layer of this share of the mass keeps entries in the tails.
EVEN_SHARE = 0.001
EVEN_POINTS = 4096


def build(
    values: npt.NDArray[np.floating],
    weights: npt.NDArray[np.floating] | None = None,
    entries: int = ENTRIES,
) -> Array:
    """Ascending table (256,) that keeps the weighted squared error of `values` (any shape) small.

    With fewer `entries` the last is repeated to fill it. Values with at most `entries` distinct numbers
    come back exactly. Sorting once and summing by prefix
    makes a Lloyd step cost 256 searches, however many values there are; the start places entries
    by the cube root of the density, which is the optimum for a fine table (Panter and Dite, 1951).
    """
    flat = values.ravel().astype(np.float32)
    if flat.size == 0:
        return np.zeros(ENTRIES, np.float32)
    order = np.argsort(flat, kind="stable")
    ordered = flat[order].astype(np.float64)
    distinct = ordered[np.concatenate([[True], np.diff(ordered) > 0])]
    if len(distinct) <= entries:
        return padded(distinct)
    mass = np.ones_like(ordered)
    if weights is not None:
        mass = np.maximum(weights.ravel()[order].astype(np.float64), 1e-12)
    even = np.linspace(ordered[0], ordered[-1], EVEN_POINTS)
    places = np.searchsorted(ordered, even)
    mass = np.insert(mass, places, mass.sum() * EVEN_SHARE / EVEN_POINTS)
    ordered = np.insert(ordered, places, even)
    count = np.concatenate([[0.0], np.cumsum(mass)])
    total = np.concatenate([[0.0], np.cumsum(mass * ordered)])
    table = first_guess(ordered, mass, entries)
    for _ in range(ITERATIONS):
        edges = np.searchsorted(ordered, 0.5 * (table[1:] + table[:-1]))
        edges = np.concatenate([[0], edges, [len(ordered)]])
        inside = np.diff(count[edges])
        sums = np.diff(total[edges])
        moved = np.where(inside > 0, sums / np.maximum(inside, 1e-300), table)
        moved = np.sort(moved)
        if np.abs(moved - table).max() <= 1e-7 * (ordered[-1] - ordered[0]):
            break
        table = moved
    return padded(table)


def first_guess(
    ordered: npt.NDArray[np.float64], mass: npt.NDArray[np.float64], entries: int
) -> npt.NDArray[np.float64]:
    """Starting table: quantiles of the cube root of the density, from a histogram."""
    bins = 4096
    density, edges = np.histogram(ordered, bins, weights=mass)
    # A floor of one part in a million of the mean keeps entries in sparse tails.
    root = np.cbrt(density + density.mean() * 1e-6)
    cumulative = np.concatenate([[0.0], np.cumsum(root)])
    places = (np.arange(entries) + 0.5) / entries * cumulative[-1]
    found: npt.NDArray[np.float64] = np.interp(places, cumulative, edges)
    return found


def padded(table: npt.NDArray[np.float64]) -> Array:
    """The table as 256 float32 numbers, the last repeated to fill it."""
    return np.pad(table, (0, ENTRIES - len(table)), mode="edge").astype(np.float32)


def nearest(table: Array, values: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Index of the nearest entry of the ascending `table` for each value, in the values' shape."""
    middle = 0.5 * (table[1:].astype(np.float64) + table[:-1])
    return np.searchsorted(middle, values.ravel()).astype(np.uint8).reshape(values.shape)
