"""The pixel loops: alpha compositing of each tile's ellipses, front to back, and its gradients.

A tile of 16 x 16 pixels is two columns of 8, so that one row of a column is one vector. What a tile
accumulates lies in small arrays of its own, column by column, row by row. Each kernel is one function: the
way back took half as much time again once it was cut into parts that get arrays.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from scripts.lib.core.jit import compiled, inlined, parallel, take_next
from scripts.lib.core.lanes import (
    WIDTH,
    exp2,
    least,
    load,
    magnitude,
    select,
    some,
    spread,
    steps,
    store,
    total,
)
from scripts.lib.render.rasterise.ellipses import (
    ALPHA_MIN,
    BLUE,
    G_BLUE,
    G_GREEN,
    G_RED,
    G_X,
    G_XX,
    G_XY,
    G_Y,
    G_YY,
    GREEN,
    LOG,
    RED,
    TILE,
    A,
    B,
    C,
    G,
    X,
    Y,
)

assert WIDTH * 2 == TILE
f32 = np.float32
PIXELS = TILE * TILE
ALPHA_MAX = f32(0.999)
STOP = f32(1e-4)  # transmittance at which a pixel takes no more
FAINT = f32(math.log2(float(ALPHA_MIN)))
NEVER = f32(1e9)
LOOK = 8  # after so many ellipses, look whether the whole tile has stopped


@inlined
def _place(column, row):  # type: ignore[no-untyped-def]
    """Where a pixel of the tile lies in its arrays."""
    return ((column // WIDTH) * TILE + row) * WIDTH + column % WIDTH


@inlined
def _any_open(transmittance):  # type: ignore[no-untyped-def]
    """Whether any pixel of the tile still takes more (stopped ones are marked by a minus)."""
    for place in range(0, PIXELS, WIDTH):  # noqa: SIM110 (numba compiles no generators)
        if some(load(transmittance, place) > 0):
            return True
    return False


@compiled
def _draw_some(  # type: ignore[no-untyped-def]  # noqa: C901
    counter,
    width,
    height,
    across,
    records,
    tiles,
    entries,
    colour,
    alpha,
    transmittances,
    stops,
    ends,
):
    red, green = np.empty(PIXELS, np.float32), np.empty(PIXELS, np.float32)
    blue = np.empty(PIXELS, np.float32)
    while True:
        tile = take_next(counter, 1)
        if tile >= tiles.shape[0] - 1:
            break
        x0, y0 = (tile % across) * TILE, (tile // across) * TILE
        begin, end = tiles[tile], tiles[tile + 1]
        transmittance, stopped = transmittances[tile], stops[tile]
        for place in range(PIXELS):
            transmittance[place], stopped[place] = f32(1), NEVER
            red[place], green[place], blue[place] = f32(0), f32(0), f32(0)
        for entry in range(begin, end):
            record, rows = records[entries[entry, 0]], entries[entry, 2]
            a, b, c, top = record[A], record[B], record[C], record[LOG]
            r, g, bl = record[RED], record[GREEN], record[BLUE]
            for part in range(2):
                first, last = (rows >> (10 * part)) & 31, (rows >> (10 * part + 5)) & 31
                if first >= last:
                    continue
                dx = steps() + (f32(x0 + part * WIDTH) + f32(0.5) - record[X])
                dy = f32(y0 + first) + f32(0.5) - record[Y]
                straight, cross = top - a * dx * dx, b * dx
                for row in range(first, last):
                    place = (part * TILE + row) * WIDTH
                    power = straight - dy * (cross + c * dy)
                    dy += f32(1)
                    before = load(transmittance, place)
                    alpha_here = select(power >= FAINT, least(exp2(power), ALPHA_MAX), f32(0))
                    weight = alpha_here * before
                    after = before - weight
                    over = after <= STOP
                    weight = select(over, f32(0), weight)
                    if some(over):
                        after = select(over, f32(0) - magnitude(before), after)
                        mark = load(stopped, place)
                        store(stopped, place, select(over, least(mark, f32(entry - begin)), mark))
                    store(transmittance, place, after)
                    store(red, place, load(red, place) + weight * r)
                    store(green, place, load(green, place) + weight * g)
                    store(blue, place, load(blue, place) + weight * bl)
            if (entry - begin) % LOOK == LOOK - 1 and not _any_open(transmittance):
                end = entry + 1
                break
        ends[tile] = end
        for y in range(min(TILE, height - y0)):
            for x in range(min(TILE, width - x0)):
                place = _place(x, y)
                colour[y0 + y, x0 + x, 0] = red[place]
                colour[y0 + y, x0 + x, 1] = green[place]
                colour[y0 + y, x0 + x, 2] = blue[place]
                alpha[y0 + y, x0 + x, 0] = f32(1) - abs(transmittance[place])


@parallel
def draw(  # type: ignore[no-untyped-def]
    threads, width, height, records, tiles, entries, colour, alpha, transmittances, stops, ends
):
    """Composite all tiles into `colour` (H, W, 3) and `alpha` (H, W, 1).

    For the way back `transmittances` (T, 256) keeps that of each pixel (negative where it stopped), `stops`
    (T, 256) the list position it stopped at and `ends` (T,) the last entry looked at, plus 1.
    """
    counter = np.zeros(1, np.int64)
    across = (width + TILE - 1) // TILE
    for _ in numba.prange(threads):
        _draw_some(
            counter,
            width,
            height,
            across,
            records,
            tiles,
            entries,
            colour,
            alpha,
            transmittances,
            stops,
            ends,
        )


@compiled
def _draw_backward_some(  # type: ignore[no-untyped-def]  # noqa: C901
    counter,
    width,
    height,
    across,
    records,
    tiles,
    entries,
    transmittances,
    stops,
    ends,
    d_colour,
    d_alpha,
    partial,
):
    transmittance, behind = np.empty(PIXELS, np.float32), np.empty(PIXELS, np.float32)
    red, green = np.empty(PIXELS, np.float32), np.empty(PIXELS, np.float32)
    blue = np.empty(PIXELS, np.float32)
    while True:
        tile = take_next(counter, 1)
        if tile >= tiles.shape[0] - 1:
            break
        x0, y0 = (tile % across) * TILE, (tile // across) * TILE
        begin, end = tiles[tile], ends[tile]
        stopped = stops[tile]
        for place in range(PIXELS):
            transmittance[place], behind[place] = abs(transmittances[tile, place]), f32(0)
            red[place], green[place], blue[place] = f32(0), f32(0), f32(0)
        for y in range(min(TILE, height - y0)):
            for x in range(min(TILE, width - x0)):
                place = _place(x, y)
                red[place] = d_colour[y0 + y, x0 + x, 0]
                green[place] = d_colour[y0 + y, x0 + x, 1]
                blue[place] = d_colour[y0 + y, x0 + x, 2]
                behind[place] = -d_alpha[y0 + y, x0 + x, 0] * transmittance[place]
        # What no pixel looked at gets no gradient.
        for entry in range(end, tiles[tile + 1]):
            for k in range(partial.shape[1]):
                partial[entries[entry, 1], k] = f32(0)
        for entry in range(end - 1, begin - 1, -1):
            record, rows = records[entries[entry, 0]], entries[entry, 2]
            a, b, c, top = record[A], record[B], record[C], record[LOG]
            r, g, bl = record[RED], record[GREEN], record[BLUE]
            position = f32(entry - begin)
            s_red, s_green, s_blue = f32(0), f32(0), f32(0)
            s_1, s_x, s_y, s_xx, s_xy, s_yy = f32(0), f32(0), f32(0), f32(0), f32(0), f32(0)
            for part in range(2):
                first, last = (rows >> (10 * part)) & 31, (rows >> (10 * part + 5)) & 31
                if first >= last:
                    continue
                dx = steps() + (f32(x0 + part * WIDTH) + f32(0.5) - record[X])
                dy = f32(y0 + first) + f32(0.5) - record[Y]
                straight, cross = top - a * dx * dx, b * dx
                # Columns are summed over the rows first; dx is the same in all of them.
                t_red, t_green, t_blue = spread(f32(0)), spread(f32(0)), spread(f32(0))
                t_1, t_y, t_yy = spread(f32(0)), spread(f32(0)), spread(f32(0))
                for row in range(first, last):
                    place = (part * TILE + row) * WIDTH
                    power = straight - dy * (cross + c * dy)
                    raw = exp2(power)
                    alpha_here = select(power >= FAINT, least(raw, ALPHA_MAX), f32(0))
                    alpha_here = select(load(stopped, place) > position, alpha_here, f32(0))
                    v_red, v_green, v_blue = load(red, place), load(green, place), load(blue, place)
                    rest = load(behind, place)
                    inverse = f32(1) / (f32(1) - alpha_here)
                    before = load(transmittance, place) * inverse
                    weight = alpha_here * before
                    worth = v_red * r + v_green * g + v_blue * bl
                    gradient = alpha_here * (before * worth - rest * inverse)
                    gradient = select(raw <= ALPHA_MAX, gradient, f32(0))
                    store(transmittance, place, before)
                    store(behind, place, rest + weight * worth)
                    t_red += weight * v_red
                    t_green += weight * v_green
                    t_blue += weight * v_blue
                    t_1 += gradient
                    gradient = gradient * dy
                    t_y += gradient
                    t_yy += gradient * dy
                    dy += f32(1)
                s_red += total(t_red)
                s_green += total(t_green)
                s_blue += total(t_blue)
                s_1 += total(t_1)
                s_y += total(t_y)
                s_yy += total(t_yy)
                t_1 = t_1 * dx
                s_x += total(t_1)
                s_xx += total(t_1 * dx)
                s_xy += total(t_y * dx)
            out = partial[entries[entry, 1]]
            out[G_RED], out[G_GREEN], out[G_BLUE] = s_red, s_green, s_blue
            out[G], out[G_X], out[G_Y] = s_1, s_x, s_y
            out[G_XX], out[G_XY], out[G_YY] = s_xx, s_xy, s_yy


@parallel
def draw_backward(  # type: ignore[no-untyped-def]
    threads,
    width,
    height,
    records,
    tiles,
    entries,
    transmittances,
    stops,
    ends,
    d_colour,
    d_alpha,
    partial,
):
    """Gradients of every ellipse in every tile, into its own row of `partial` (slots, GRADIENTS)."""
    counter = np.zeros(1, np.int64)
    across = (width + TILE - 1) // TILE
    for _ in numba.prange(threads):
        _draw_backward_some(
            counter,
            width,
            height,
            across,
            records,
            tiles,
            entries,
            transmittances,
            stops,
            ends,
            d_colour,
            d_alpha,
            partial,
        )
