"""Places of extrema to a fraction of a pixel, without those of edges (Lowe 2004, section 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scripts.lib.core.jit import compiled, inlined
from scripts.lib.sfm.sift.pyramid import Plane

MOVES = 5  # times that a point may move on to the pixel where its parabola has the extremum


@inlined
def _value(levels: Plane, s: int, y: int, x: int) -> float:
    """Difference s at a pixel."""
    return float(levels[s + 1, y, x]) - float(levels[s, y, x])


@inlined
def _parabola(levels: Plane, s: int, y: int, x: int, cube):  # type: ignore[no-untyped-def]
    """Gradient, determinant of the second derivatives, and the extremum's place, from a pixel's neighbours.

    Returns (gradient), (dxx, dyy, dxy), determinant and the place (bx, by, bs) from the pixel, which says
    nothing where the determinant is 0. `cube` (3, 3, 3) is filled with the neighbours.
    """
    for t in range(3):
        for v in range(3):
            for u in range(3):
                cube[t, v, u] = _value(levels, s + t - 1, y + v - 1, x + u - 1)
    centre = 2 * cube[1, 1, 1]
    dx = 0.5 * (cube[1, 1, 2] - cube[1, 1, 0])
    dy = 0.5 * (cube[1, 2, 1] - cube[1, 0, 1])
    ds = 0.5 * (cube[2, 1, 1] - cube[0, 1, 1])
    dxx = cube[1, 1, 2] + cube[1, 1, 0] - centre
    dyy = cube[1, 2, 1] + cube[1, 0, 1] - centre
    dss = cube[2, 1, 1] + cube[0, 1, 1] - centre
    dxy = 0.25 * (cube[1, 2, 2] + cube[1, 0, 0] - cube[1, 0, 2] - cube[1, 2, 0])
    dxs = 0.25 * (cube[2, 1, 2] + cube[0, 1, 0] - cube[0, 1, 2] - cube[2, 1, 0])
    dys = 0.25 * (cube[2, 2, 1] + cube[0, 0, 1] - cube[0, 2, 1] - cube[2, 0, 1])
    # Cramer's rule for H b = -g.
    c0, c1, c2 = dyy * dss - dys * dys, dys * dxs - dxy * dss, dxy * dys - dyy * dxs
    c4, c5, c8 = dxx * dss - dxs * dxs, dxy * dxs - dxx * dys, dxx * dyy - dxy * dxy
    whole = dxx * c0 + dxy * c1 + dxs * c2
    bx = -(c0 * dx + c1 * dy + c2 * ds) / whole
    by = -(c1 * dx + c4 * dy + c5 * ds) / whole
    bs = -(c2 * dx + c5 * dy + c8 * ds) / whole
    return (dx, dy, ds), (dxx, dyy, dxy), whole, (bx, by, bs)


@inlined
def _is_corner(value, curvature, contrast, ratio):  # type: ignore[no-untyped-def]
    """Whether an extremum has enough contrast, and curvatures alike enough to be no edge."""
    dxx, dyy, dxy = curvature
    det = dxx * dyy - dxy * dxy
    return abs(value) >= contrast and det > 0.0 and (dxx + dyy) ** 2 < ratio * det


@compiled
def refined(
    levels: Plane, candidates: NDArray[np.int32], contrast: float, edge: float, out: Plane
) -> int:
    """Fill `out` (N, 4) with x and y in the octave's pixels, level and contrast; returns how many.

    A point is the extremum of the parabola through the neighbours of its pixel. Left out is what
    has less than `contrast`, or lies on an edge: curvatures that differ by more than `edge`.
    """
    height, width = levels.shape[1:]
    depth = levels.shape[0] - 1
    ratio = (edge + 1) ** 2 / edge
    count = 0
    cube = np.empty((3, 3, 3))
    for n in range(len(candidates)):
        s, y, x = int(candidates[n, 0]), int(candidates[n, 1]), int(candidates[n, 2])
        for _ in range(MOVES):
            gradient, curvature, whole, (bx, by, bs) = _parabola(levels, s, y, x, cube)
            mx = int(bx > 0.6 and x < width - 2) - int(bx < -0.6 and x > 1)
            my = int(by > 0.6 and y < height - 2) - int(by < -0.6 and y > 1)
            if whole == 0.0 or (mx == 0 and my == 0):
                break
            x += mx
            y += my
        if whole == 0.0 or max(abs(bx), abs(by), abs(bs)) >= 1.5:
            continue
        value = cube[1, 1, 1] + 0.5 * (gradient[0] * bx + gradient[1] * by + gradient[2] * bs)
        if not _is_corner(value, curvature, contrast, ratio):
            continue
        px, py, ps = x + bx, y + by, s + bs
        if 0.0 <= px <= width - 1 and 0.0 <= py <= height - 1 and 0.0 <= ps <= depth:
            out[count, 0], out[count, 1], out[count, 2], out[count, 3] = px, py, ps, value
            count += 1
    return count
