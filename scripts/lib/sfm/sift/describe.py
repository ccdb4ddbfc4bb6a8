"""Directions and descriptors of points (Lowe 2004, sections 5 and 6), from a small turned patch of each.

A level that is blurred by sigma holds nothing finer than that, so samples 0.75 sigma apart lose
nothing (at their Nyquist frequency the blur leaves a ten-thousandth), and a patch has as many of
them at every scale. The place of each sample within the 4 x 4 cells is the same in all patches, so
that its weights are known beforehand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scripts.lib.core.jit import compiled, inlined
from scripts.lib.core.lanes import (
    between,
    least,
    load,
    magnitude,
    most,
    root,
    select,
    spread,
    steps,
    store,
    total,
)
from scripts.lib.sfm.sift.pyramid import Plane

SPACING = 0.75  # of two samples, in sigmas
CELL = 3.0  # side of a cell, in sigmas
SAMPLES = 20  # a side: 4 cells and half a cell on either side
ROW = 24  # the same, and the neighbours that gradients need, in whole vectors
CELLS, DIRECTIONS = 4, 8
LENGTH = CELLS * CELLS * DIRECTIONS
MOST_OF_ONE = 0.2  # of a descriptor's norm, so that one edge does not make it all
BINS = 36  # of directions, for the main one
AROUND = 6  # samples to either side for the main direction: 4.5 sigmas
WINDOW = 1.5  # sigma of their weights, in sigmas of the point
AROUND_ROW = 16
SMOOTHED = 6  # times
SECOND = 0.8  # of the highest peak: other directions as likely


def _cell_weights() -> Plane:
    """Weight (20, 4) of each sample in each cell of one axis: linear between cells, less far out."""
    place = (np.arange(SAMPLES) - (SAMPLES - 1) / 2) * SPACING / CELL
    centres = np.arange(CELLS) - (CELLS - 1) / 2
    linear = np.maximum(0, 1 - np.abs(place[:, None] - centres[None]))
    found: Plane = (linear * np.exp(-0.5 * (place[:, None] / (CELLS / 2)) ** 2)).astype(np.float32)
    return found


def _around_weights() -> Plane:
    """Weight (13, 16) of each sample for the main direction: a disc."""
    place = np.arange(2 * AROUND + 1) - AROUND
    far = place[:, None] ** 2 + place[None] ** 2
    weights = np.zeros((2 * AROUND + 1, AROUND_ROW), np.float32)
    weights[:, : 2 * AROUND + 1] = np.where(
        far <= AROUND**2 + 0.6, np.exp(-0.5 * far * (SPACING / WINDOW) ** 2), 0
    )
    return weights


CELL_WEIGHTS = _cell_weights()
AROUND_WEIGHTS = _around_weights().reshape(-1)


@inlined
def _sample(
    flat: Plane,
    start: int,
    height: int,
    width: int,
    x: np.float32,
    y: np.float32,
    ux: np.float32,
    uy: np.float32,
    side: int,
    row: int,
    patch: Plane,
) -> bool:
    """Fill `patch` with `side` rows of `row` values, those `side` x `side` around (x, y); edges repeat.

    (ux, uy) is one step along a row. Returns whether the patch lies inside the picture.
    """
    half = np.float32(0.5 * (side - 1))
    right, bottom = np.float32(width) - np.float32(1.01), np.float32(height) - np.float32(1.01)
    # Columns up to `row` are read as well.
    reach = np.float32(row) * max(abs(ux), abs(uy)) + half * max(abs(ux), abs(uy))
    inside = reach < x < right - reach and reach < y < bottom - reach
    for i in range(side):
        v = np.float32(i) - half
        sx, sy = x - v * uy - half * ux, y + v * ux - half * uy
        for j in range(0, row, 8):
            along = steps() + np.float32(j)
            px, py = along * ux + sx, along * uy + sy
            if not inside:
                px = least(most(px, np.float32(0)), right)
                py = least(most(py, np.float32(0)), bottom)
            store(patch, i * row + j, between(flat, start, width, px, py))
    return bool(inside)


@inlined
def _gradient(patch: Plane, at: int, row: int):  # type: ignore[no-untyped-def]
    """Lengths and directions of eight gradients, in turns from 0 to 1, right to a ten-thousandth radian."""
    gx = load(patch, at + 1) - load(patch, at - 1)
    gy = load(patch, at + row) - load(patch, at - row)
    ax, ay = magnitude(gx), magnitude(gy)
    a = least(ax, ay) / (most(ax, ay) + np.float32(1e-20))
    s = a * a
    odd = (s * np.float32(-0.0464964749) + np.float32(0.15931422)) * s - np.float32(0.327622764)
    r = odd * s * a + a
    r = select(ay > ax, np.float32(1.5707963) - r, r)
    r = select(gx < np.float32(0), np.float32(3.1415927) - r, r)
    r = select(gy < np.float32(0), np.float32(6.2831853) - r, r)
    return root(gx * gx + gy * gy), r * np.float32(0.15915494)


@inlined
def _drop_outside(strength, i, middle, count, x, y, ux, uy, height, width):  # type: ignore[no-untyped-def]
    """Set to 0 what row i of a square of samples around (x, y) has outside of the picture.

    Samples of a row are (ux, uy) apart, rows (-uy, ux), and number `middle` of both is at the point.
    """
    v = np.float32(i) - np.float32(middle)
    for j in range(count):
        u = np.float32(j) - np.float32(middle)
        px, py = x + u * ux - v * uy, y + u * uy + v * ux
        if px < 0 or py < 0 or px > width - 1 or py > height - 1:
            strength[j] = 0


@inlined
def _smoothed(histogram, smooth):  # type: ignore[no-untyped-def]
    """The histogram after SMOOTHED means of three bins, around in a circle, and the other array."""
    third = np.float32(1 / 3)
    histogram[1] += histogram[BINS + 1]
    histogram[BINS] += histogram[0]
    for _ in range(SMOOTHED):
        histogram[0], histogram[BINS + 1] = histogram[BINS], histogram[1]
        for b in range(1, BINS + 1):
            smooth[b] = (histogram[b - 1] + histogram[b] + histogram[b + 1]) * third
        histogram, smooth = smooth, histogram
    histogram[0], histogram[BINS + 1] = histogram[BINS], histogram[1]
    return histogram, smooth


@inlined
def _highest_peak(histogram, taken, count: int, enough):  # type: ignore[no-untyped-def]
    """The highest bin above `enough` and its neighbours, and its height; 0 for none that is not `taken`."""
    best, top = 0, enough
    for b in range(1, BINS + 1):
        value = histogram[b]
        if value > top and value > histogram[b - 1] and value >= histogram[b + 1]:
            fresh = True
            for k in range(count):
                fresh = fresh and taken[k] != b
            if fresh:
                best, top = b, value
    return best, top


@inlined
def _peaks(histogram, taken, angles):  # type: ignore[no-untyped-def]
    """Fill `angles` (M,) with the directions of peaks, strongest first; returns how many there are."""
    enough = np.float32(0)
    for rank in range(len(angles)):
        best, top = _highest_peak(histogram, taken, rank, enough)
        if best == 0:
            return rank
        taken[rank] = best
        if rank == 0:
            enough = np.float32(SECOND) * top
        before, after = histogram[best - 1], histogram[best + 1]
        shift = 0.5 * (before - after) / (before + after - 2 * top)
        angles[rank] = 2 * np.pi * (best - 0.5 + shift) / BINS
    return len(angles)


@compiled
def main_directions(
    levels: Plane, height: int, width: int, points: Plane, angles: Plane
) -> NDArray[np.int64]:
    """Directions of points in radians, strongest first: fills `angles` (N, M); how many each has (N).

    `levels` is flat; `points` (N, 4): x and y in the octave's pixels, sigma in those, level to look at.
    """
    side = 2 * AROUND + 3
    patch = np.zeros(side * AROUND_ROW + 16, np.float32)
    strength, turn = np.zeros(AROUND_ROW, np.float32), np.zeros(AROUND_ROW, np.float32)
    row = strength.size  # no constant to numba, which would compile what is inlined once for each
    histogram, smooth = np.zeros(BINS + 2, np.float32), np.zeros(BINS + 2, np.float32)
    counts = np.zeros(len(points), np.int64)
    for n in range(len(points)):
        x, y, spacing = points[n, 0], points[n, 1], np.float32(SPACING) * points[n, 2]
        start = int(points[n, 3]) * height * width
        inside = _sample(
            levels, start, height, width, x, y, spacing, np.float32(0), side, row, patch
        )
        histogram[:] = 0
        for i in range(side - 2):
            for j in range(0, AROUND_ROW, 8):
                length, direction = _gradient(patch, (i + 1) * row + j + 1, row)
                store(strength, j, length * load(AROUND_WEIGHTS, i * AROUND_ROW + j))
                store(turn, j, direction * np.float32(BINS) + np.float32(0.5))
            if not inside:
                _drop_outside(
                    strength, i, AROUND, side - 2, x, y, spacing, np.float32(0), height, width
                )
            for j in range(side - 2):
                low = int(turn[j])
                part = turn[j] - np.float32(low)
                # Bin b of the histogram stands at b + 1, and is repeated at either end below.
                histogram[low] += (np.float32(1) - part) * strength[j]
                histogram[low + 1] += part * strength[j]
        histogram, smooth = _smoothed(histogram, smooth)
        counts[n] = _peaks(histogram, smooth, angles[n])
    return counts


@inlined
def _add_row(strength, turn, i, vector):  # type: ignore[no-untyped-def]
    """Share out row i of the samples to the cells and directions of a descriptor."""
    eight, one, none = np.float32(DIRECTIONS), np.float32(1), np.float32(0)
    a, b, c, d = spread(none), spread(none), spread(none), spread(none)
    for j in range(SAMPLES):
        off = magnitude(steps() - turn[j])
        off = least(off, eight - off)
        part = most(one - off, none) * strength[j]
        a += part * CELL_WEIGHTS[j, 0]
        b += part * CELL_WEIGHTS[j, 1]
        c += part * CELL_WEIGHTS[j, 2]
        d += part * CELL_WEIGHTS[j, 3]
    for cell in range(CELLS):
        weight = CELL_WEIGHTS[i, cell]
        if weight > 0:
            at = cell * CELLS * DIRECTIONS
            store(vector, at, load(vector, at) + a * weight)
            store(vector, at + 8, load(vector, at + 8) + b * weight)
            store(vector, at + 16, load(vector, at + 16) + c * weight)
            store(vector, at + 24, load(vector, at + 24) + d * weight)


@inlined
def _normalise(vector):  # type: ignore[no-untyped-def]
    """Turn sums into square roots of shares, after no direction has more than MOST_OF_ONE of the length."""
    norm = spread(np.float32(0))
    for k in range(0, LENGTH, 8):
        norm += load(vector, k) * load(vector, k)
    top = np.float32(MOST_OF_ONE) * np.sqrt(total(norm))
    whole = spread(np.float32(0))
    for k in range(0, LENGTH, 8):
        cut = least(load(vector, k), top)
        store(vector, k, cut)
        whole += cut
    unit = np.float32(512 * 512) / (total(whole) + np.float32(1e-20))
    for k in range(0, LENGTH, 8):
        store(vector, k, least(root(load(vector, k) * unit) + np.float32(0.5), np.float32(255)))


@compiled
def descriptors(
    levels: Plane, height: int, width: int, points: Plane, angles: Plane, out: NDArray[np.uint8]
) -> None:
    """Fill `out` (N, 128): 4 x 4 cells by rows, 8 directions each, as square roots of their shares.

    Directions run against the angles, as in COLMAP's databases.

    Levels and points as for `main_directions`, one row for each of `angles` (N). The square roots
    make the Euclidean distance of two descriptors the Hellinger distance of their histograms
    (Arandjelovic and Zisserman 2012); 512 stands for one, as in COLMAP.
    """
    side = SAMPLES + 2
    patch = np.zeros(side * ROW + 16, np.float32)
    strength, turn = np.zeros(ROW, np.float32), np.zeros(ROW, np.float32)
    row = strength.size
    vector, eight = np.zeros(LENGTH, np.float32), np.float32(DIRECTIONS)
    for n in range(len(points)):
        spacing = np.float32(SPACING) * points[n, 2]
        ux, uy = spacing * np.float32(np.cos(angles[n])), spacing * np.float32(np.sin(angles[n]))
        x, y, start = points[n, 0], points[n, 1], int(points[n, 3]) * height * width
        inside = _sample(levels, start, height, width, x, y, ux, uy, side, row, patch)
        vector[:] = 0
        for i in range(SAMPLES):
            for j in range(0, ROW, 8):
                length, direction = _gradient(patch, (i + 1) * row + j + 1, row)
                store(strength, j, length)
                store(turn, j, eight - direction * eight)
            if not inside:
                middle = 0.5 * (SAMPLES - 1)
                _drop_outside(strength, i, middle, SAMPLES, x, y, ux, uy, height, width)
            _add_row(strength, turn, i, vector)
        _normalise(vector)
        for k in range(LENGTH):
            out[n, k] = np.uint8(vector[k])
