"""k-means on whole numbers, compiled: what `sog_palette` does to every point.

Points and entries are whole numbers in float32, so small that sums of their products are exact. So the
nearest entry is the same in any order of the sums, and the other sums go point by point, in the points'
order. One call uses one thread and lets go of Python's lock.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scripts.lib.core.jit import compiled
from scripts.lib.core.lanes import WIDTH, load, select, spread, steps, store

Single = NDArray[np.float32]
Double = NDArray[np.float64]
Rows = NDArray[np.int64]

TILE = 4 * WIDTH  # entries whose scores are in registers at once
NEVER = np.float32(1e38)  # half the square of an entry that only fills a tile


@compiled
def _space(entries: int, width: int) -> int:
    """Numbers that entries of `width` numbers take as `_lay_out` lays them; of width 0, their scores."""
    return (entries + TILE - 1) // TILE * TILE * (width + 1)


@compiled
def _lay_out(palette: Single, first: int, last: int, laid: Single, at: int) -> None:
    """Lay entries `first` to `last` out from `at`: tile by tile, and in each of them number by number.

    The last number of an entry is half the square of the others.
    """
    width = palette.shape[1]
    for place in range((last - first + TILE - 1) // TILE * TILE):
        base = at + place // TILE * TILE * (width + 1) + place % TILE
        square = np.float32(0)
        if first + place < last:
            for d in range(width):
                value = palette[first + place, d]
                laid[base + TILE * d] = value
                square += value * value
            laid[base + TILE * width] = np.float32(0.5) * square
        else:
            for d in range(width):
                laid[base + TILE * d] = np.float32(0)
            laid[base + TILE * width] = NEVER


@compiled
def _score(points: Single, n: int, laid: Single, at: int, entries: int, scores: Single) -> None:
    """Fill `scores` with x.c - |c|^2 / 2 of point n and the entries laid out at `at`, and what fills their
    tiles."""
    width = points.shape[1]
    for place in range(0, (entries + TILE - 1) // TILE * TILE, TILE):
        a, b = spread(np.float32(0)), spread(np.float32(0))
        c, e = spread(np.float32(0)), spread(np.float32(0))
        for d in range(width):
            x = points[n, d]
            a += x * load(laid, at)
            b += x * load(laid, at + WIDTH)
            c += x * load(laid, at + 2 * WIDTH)
            e += x * load(laid, at + 3 * WIDTH)
            at += TILE
        store(scores, place, a - load(laid, at))
        store(scores, place + WIDTH, b - load(laid, at + WIDTH))
        store(scores, place + 2 * WIDTH, c - load(laid, at + 2 * WIDTH))
        store(scores, place + 3 * WIDTH, e - load(laid, at + 3 * WIDTH))
        at += TILE


@compiled
def _first_largest(scores: Single, entries: int, spare: Single) -> int:
    """The number of the largest of the scores, the first of several. spare: (2 WIDTH,) to work with."""
    best, where, number = load(scores, 0), steps(), steps()
    for place in range(WIDTH, (entries + TILE - 1) // TILE * TILE, WIDTH):
        number += WIDTH
        these = load(scores, place)
        better = these > best
        best, where = select(better, these, best), select(better, number, where)
    store(spare, 0, best)
    store(spare, WIDTH, where)
    lane = 0
    for other in range(1, WIDTH):
        more = spare[other] > spare[lane]
        first = spare[other] == spare[lane] and spare[WIDTH + other] < spare[WIDTH + lane]
        if more or first:
            lane = other
    return int(spare[WIDTH + lane])


@compiled
def nearest(points: Single, entries: Single, labels: Rows, first: int, last: int) -> None:
    """Fill `labels` of the points `first` to `last` with the nearest of `entries` (k, D)."""
    laid = np.empty(_space(len(entries), points.shape[1]), np.float32)
    scores, spare = np.empty(_space(len(entries), 0), np.float32), np.empty(2 * WIDTH, np.float32)
    _lay_out(entries, 0, len(entries), laid, 0)
    for n in range(first, last):
        _score(points, n, laid, 0, len(entries), scores)
        labels[n] = _first_largest(scores, len(entries), spare)


@compiled
def means(
    points: Single, mass: Double, labels: Rows, first: int, last: int, out: Double, total: Double
) -> None:
    """Fill `out` (k, D) with the weighted mean of each label's points, of those from `first` to `last`, and
    `total` (k,) with their weight; 0 where there are none."""
    for e in range(len(out)):
        total[e] = 0.0
        for d in range(out.shape[1]):
            out[e, d] = 0.0
    for n in range(first, last):
        e, m = labels[n], mass[n]
        total[e] += m
        for d in range(points.shape[1]):
            out[e, d] += m * points[n, d]
    for e in range(len(out)):
        if total[e] > 0:
            for d in range(out.shape[1]):
                out[e, d] /= total[e]


@compiled
def _move_to_worst(
    points: Single, missed: Double, first: int, last: int, palette: Single, entry: int
) -> None:
    """Move an entry to the point that is missed most, which then counts as met."""
    worst = first
    for n in range(first + 1, last):
        if missed[n - first] > missed[worst - first]:
            worst = n
    missed[worst - first] = -np.inf
    for d in range(points.shape[1]):
        palette[entry, d] = points[worst, d]


@compiled
def lloyd(
    points: Single,
    mass: Double,
    ends: Rows,
    palette: Single,
    begins: Rows,
    iterations: int,
    labels: Rows,
    first: int,
    last: int,
) -> None:
    """k-means in each of the cells `first` to `last`, apart from the others.

    The points of cell c lie together, from `ends[c]` to `ends[c + 1]`; its entries are the rows of `palette`
    from `begins[c]` to `begins[c + 1]`, which are moved. Entries left empty move to the points that are
    served worst. labels: (N,), the entry of each point, counted from its cell's first.
    """
    width = points.shape[1]
    spare = np.empty(2 * WIDTH, np.float32)
    for cell in range(first, last):
        a, b, begin = ends[cell], ends[cell + 1], begins[cell]
        count = begins[cell + 1] - begin
        laid, scores = (
            np.empty(_space(count, width), np.float32),
            np.empty(_space(count, 0), np.float32),
        )
        sums, total = np.empty((count, width)), np.empty(count)
        missed = np.empty(b - a)
        labels[a:b] = -1
        moved = True
        for turn in range(iterations + 1):
            _lay_out(palette, begin, begin + count, laid, 0)
            changed = False
            for n in range(a, b):
                _score(points, n, laid, 0, count, scores)
                label = _first_largest(scores, count, spare)
                changed |= label != labels[n]
                labels[n] = label
                square = 0.0
                for d in range(width):
                    square += float(points[n, d]) * float(points[n, d])
                missed[n - a] = mass[n] * (square - 2.0 * scores[label])
            if turn == iterations or not (changed or moved):
                break
            means(points, mass, labels, a, b, sums, total)
            moved = False
            for e in range(count):
                if total[e] > 0:
                    for d in range(width):
                        palette[begin + e, d] = np.rint(sums[e, d])
                else:
                    _move_to_worst(points, missed, a, b, palette, begin + e)
                    moved = True


@compiled
def reassign(
    points: Single,
    cells: Single,
    palette: Single,
    begins: Rows,
    probes: int,
    order: Rows,
    labels: Rows,
    first: int,
    last: int,
) -> None:
    """Fill `labels` of the points `order[first:last]` with the nearest entry among those of the `probes`
    cells nearest to each. Entries of cell c are the rows of `palette` from `begins[c]` to `begins[c + 1]`."""
    width, count = cells.shape[1], len(cells)
    spare = np.empty(2 * WIDTH, np.float32)
    starts = np.empty(count + 1, np.int64)
    starts[0] = 0
    for c in range(count):
        starts[c + 1] = starts[c] + _space(begins[c + 1] - begins[c], width)
    laid = np.empty(starts[count], np.float32)
    most = count
    for c in range(count):
        _lay_out(palette, begins[c], begins[c + 1], laid, starts[c])
        most = max(most, begins[c + 1] - begins[c])
    middle, scores = (
        np.empty(_space(count, width), np.float32),
        np.empty(_space(most, 0), np.float32),
    )
    _lay_out(cells, 0, count, middle, 0)
    close, score = np.empty(probes, np.int64), np.empty(probes, np.float32)
    for row in range(first, last):
        n = order[row]
        _score(points, n, middle, 0, count, scores)
        score[:] = -np.inf
        for c in range(count):
            if scores[c] > score[probes - 1]:
                place = probes - 1
                while place > 0 and scores[c] > score[place - 1]:
                    score[place], close[place] = score[place - 1], close[place - 1]
                    place -= 1
                score[place], close[place] = scores[c], c
        best, label = np.float32(-np.inf), -1
        for c in range(probes):
            cell = close[c]
            entries = begins[cell + 1] - begins[cell]
            _score(points, n, laid, starts[cell], entries, scores)
            found = _first_largest(scores, entries, spare)
            # Of equal entries the first counts, whichever cell was looked at first.
            if scores[found] > best or (scores[found] == best and begins[cell] + found < label):
                best, label = scores[found], begins[cell] + found
        labels[n] = label
