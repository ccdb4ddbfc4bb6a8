"""Which ellipses touch which tiles, in depth order, and which pixels of the tile they reach.

Depth is sorted once for the frame; a stable counting sort then hands the ellipses to the tiles. Work
is cut into a fixed number of pieces, so the lists don't depend on the number of threads.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from scripts.lib.core.jit import compiled, inlined, parallel, take_next
from scripts.lib.render.rasterise.ellipses import (
    ALPHA_MIN,
    LOG,
    REACH_X,
    REACH_Y,
    TILE,
    A,
    B,
    C,
    X,
    Y,
    pixel_box,
)

f32 = np.float32
PIECES = 32
HALF = TILE // 2
LEVEL = f32(-math.log2(float(ALPHA_MIN)))


def by_depth(
    depths: npt.NDArray[np.float32], boxes: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """Indices of the visible Gaussians from near to far; equal depths keep their order."""
    visible = np.flatnonzero(boxes)
    # Positive floats sort like their bits; with the index below, a plain sort is a stable one.
    keys = depths[visible].view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= visible.astype(np.uint64)
    keys.sort()
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)


@inlined
def _run(low, high, slope, curve, lead, level, peak):  # type: ignore[no-untyped-def]
    """Extent of an ellipse in one axis while the other lies in low..high, which it reaches.

    Its edges are slope * t +- sqrt((level - curve * t^2) / lead); they are furthest out at t = +-peak.
    """
    t = min(max(peak, low), high)
    outer = slope * t + math.sqrt(max((level - curve * t * t) / lead, f32(0)))
    t = min(max(-peak, low), high)
    return slope * t - math.sqrt(max((level - curve * t * t) / lead, f32(0))), outer


@compiled
def _count_some(  # type: ignore[no-untyped-def]
    counter, width, height, across, order, records, starts, counts, tile_of, rows_of, histogram
):
    visible = order.shape[0]
    while True:
        piece = take_next(counter, 1)
        if piece >= PIECES:
            break
        tally = histogram[piece]
        tally[:] = 0
        for n in range(visible * piece // PIECES, visible * (piece + 1) // PIECES):
            i = order[n]
            record = records[i]
            mean_x, mean_y = record[X] - f32(0.5), record[Y] - f32(0.5)
            a, b, c = record[A], record[B], record[C]
            # A hair wider than alpha = 1/255, for rounding: the pixel loop tests alpha itself.
            level = record[LOG] + LEVEL + f32(1e-3)
            reach_x, reach_y = record[REACH_X], record[REACH_Y]
            left, right, top, bottom = pixel_box(
                record[X], record[Y], reach_x, reach_y, width, height
            )
            lean = -f32(0.5) * b
            slope_x, slope_y = lean / a, lean / c
            curve_x, curve_y = c + f32(0.5) * b * slope_x, a + f32(0.5) * b * slope_y
            # where the ellipse is furthest right, its y; where it is lowest, its x
            peak_y, peak_x = slope_y * reach_x, slope_x * reach_y
            slot = starts[i]
            for tile_y in range(int(top) // TILE, int(bottom) // TILE + 1):
                low = max(f32(tile_y * TILE) - mean_y, -reach_y)
                high = min(f32(tile_y * TILE + TILE - 1) - mean_y, reach_y)
                inner, outer = _run(low, high, slope_x, curve_x, a, level, peak_y)
                first = int(max(np.ceil(mean_x + inner), left))
                last = int(min(np.floor(mean_x + outer), right))
                for tile_x in range(first // TILE, last // TILE + 1):
                    rows = 0
                    for part in range(2):
                        begin = tile_x * TILE + part * HALF
                        low_x = max(f32(begin) - mean_x, -reach_x)
                        high_x = min(f32(begin + HALF - 1) - mean_x, reach_x)
                        if low_x > high_x:
                            continue
                        up, down = _run(low_x, high_x, slope_y, curve_y, c, level, peak_x)
                        row0 = int(max(np.ceil(mean_y + up), f32(tile_y * TILE))) - tile_y * TILE
                        row1 = int(min(np.floor(mean_y + down), f32(tile_y * TILE + TILE - 1)))
                        row1 -= tile_y * TILE - 1
                        if row0 < row1:
                            rows |= (row0 | row1 << 5) << (10 * part)
                    if rows:
                        tile = tile_y * across + tile_x
                        tile_of[slot], rows_of[slot] = tile, rows
                        tally[tile] += 1
                        slot += 1
            counts[i] = slot - starts[i]


@compiled
def _add_up(histogram, tiles):  # type: ignore[no-untyped-def]
    """Turn the pieces' tallies into where each piece writes; fill the tiles' starts."""
    place = 0
    for tile in range(histogram.shape[1]):
        tiles[tile] = place
        for piece in range(PIECES):
            here = histogram[piece, tile]
            histogram[piece, tile] = place
            place += here
    tiles[histogram.shape[1]] = place


@compiled
def _fill_some(counter, order, starts, counts, tile_of, rows_of, histogram, entries):  # type: ignore[no-untyped-def]
    visible = order.shape[0]
    while True:
        piece = take_next(counter, 1)
        if piece >= PIECES:
            break
        place = histogram[piece]
        for n in range(visible * piece // PIECES, visible * (piece + 1) // PIECES):
            i = order[n]
            for slot in range(starts[i], starts[i] + counts[i]):
                tile = tile_of[slot]
                entry = place[tile]
                place[tile] = entry + 1
                entries[entry, 0], entries[entry, 1], entries[entry, 2] = i, slot, rows_of[slot]


@parallel
def _bin(threads, width, height, across, order, records, starts, counts, slots, histogram, tiles):  # type: ignore[no-untyped-def]
    tile_of, rows_of = np.empty(slots, np.int32), np.empty(slots, np.int32)
    counter = np.zeros(1, np.int64)
    for _ in numba.prange(threads):
        _count_some(
            counter,
            width,
            height,
            across,
            order,
            records,
            starts,
            counts,
            tile_of,
            rows_of,
            histogram,
        )
    _add_up(histogram, tiles)
    entries = np.empty((tiles[tiles.shape[0] - 1], 3), np.int32)
    counter[0] = 0
    for _ in numba.prange(threads):
        _fill_some(counter, order, starts, counts, tile_of, rows_of, histogram, entries)
    return entries


def bin_tiles(
    threads: int,
    size: tuple[int, int],
    records: npt.NDArray[np.float32],
    depths: npt.NDArray[np.float32],
    boxes: npt.NDArray[np.int32],
) -> tuple[Any, Any, Any, Any, int]:
    """Lists of ellipses per tile.

    Returns `tiles` (T + 1,), where each tile's list begins in `entries` (E, 3): Gaussian, slot, rows;
    `starts`, `counts` (N,), which slots belong to each Gaussian; the number of slots. `rows` packs for
    the left and the right half of the tile the first row and the one after the last, 5 bits each.
    """
    width, height = size
    across, down = -(-width // TILE), -(-height // TILE)
    order = by_depth(depths, boxes)
    starts = np.zeros(len(boxes), np.int64)
    ends = np.cumsum(boxes[order], dtype=np.int64)
    starts[order] = ends - boxes[order]
    counts = np.zeros(len(boxes), np.int32)
    slots = int(ends[-1]) if len(ends) else 0
    histogram = np.empty((PIECES, across * down), np.int32)
    tiles = np.empty(across * down + 1, np.int64)
    entries = _bin(
        threads, width, height, across, order, records, starts, counts, slots, histogram, tiles
    )
    return tiles, entries, starts, counts, slots
