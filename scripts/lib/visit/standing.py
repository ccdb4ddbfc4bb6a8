"""Where a person can stand and walk in a grid of solid cells: floors, steps, and the room above them.

Everything is in whole cells; x and y are the grid's first axes, z its last and up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse
from scipy.spatial import cKDTree

Cells = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

SIDES = ((1, 0), (0, 1))  # neighbours to look at; the other two are these, seen from there


@dataclass(frozen=True)
class Body:
    """A walker, in cells."""

    height: int  # from the floor to the top of the head
    step: int  # the highest step up or down
    radius: int  # half the width


def disk(radius: int) -> Cells:
    """Cells (2 radius + 1,) squared whose centres lie within `radius` of the middle."""
    line = np.arange(-radius, radius + 1)
    found: Cells = line[:, None] ** 2 + line**2 <= radius**2
    return found


def widened(cells: Cells, radius: int) -> Cells:
    """`cells` (X, Y, Z) and all within `radius` of one, sideways."""
    found = np.zeros_like(cells)
    x, y, _ = cells.shape
    for dx, dy in np.argwhere(disk(radius)) - radius:
        to = (slice(max(dx, 0), x + min(dx, 0)), slice(max(dy, 0), y + min(dy, 0)))
        out_of = (slice(max(-dx, 0), x + min(-dx, 0)), slice(max(-dy, 0), y + min(-dy, 0)))
        found[to] |= cells[out_of]
    return found


def raised(cells: Cells, height: int) -> Cells:
    """`cells` (X, Y, Z) and the ones above each, `height` of them with itself."""
    found, have = cells.copy(), 1
    while have < height:
        more = min(have, height - have)
        found[:, :, more:] |= found[:, :, :-more].copy()
        have += more
    return found


def any_between(solid: Cells, first: int, last: int) -> Cells:
    """Whether one of the cells `first` to `last` - 1 above each is solid; above the grid, none is."""
    found = np.zeros_like(solid)
    if last > first:
        below = raised(solid[:, :, ::-1], last - first)[
            :, :, ::-1
        ]  # a run that starts at each cell
        kept = solid.shape[2] - first
        if kept > 0:
            found[:, :, :kept] = below[:, :, first:]
    return found


def without_specks(solid: Cells, fewest: int) -> Cells:
    """`solid` without clumps of fewer than `fewest` cells, which float in the air."""
    labels, count = ndimage.label(solid, np.ones((3, 3, 3), bool))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    keep = sizes >= fewest
    keep[0] = False
    found: Cells = keep[labels]
    return found


def fences(depth: npt.NDArray[np.float32], solid: Cells, body: Body, hides: float) -> Cells:
    """What stops a walker although no single cell of it is solid: railings, hedges, glass with a frame.

    depth (X, Y, Z): optical depth of each cell. Found where the cells of a body that stood there, over a step
    above the floor, have `hides` together; the body's cells count as solid.
    """
    x, y, z = depth.shape
    tall = np.pad(depth, [(0, 0), (0, 0), (1, body.height)])
    above = np.cumsum(tall, axis=2, dtype=np.float32)
    inside = above[:, :, body.height : body.height + z] - above[:, :, body.step : body.step + z]
    floor = ~any_between(solid, 0, body.height)
    floor[:, :, 1:] &= solid[:, :, :-1]
    floor[:, :, 0] = False
    return raised(floor & (inside >= hides), body.height)


def stances(solid: Cells, body: Body) -> Cells:
    """The cells (X, Y, Z) in which a walker's feet can be: on something solid, with room for the body.

    What is lower than a step does not take room from the walker's sides, since one steps onto it.
    """
    feet = ~any_between(solid, 0, body.height)
    feet[:, :, 1:] &= solid[:, :, :-1]
    feet[:, :, 0] = False
    feet &= ~widened(any_between(solid, body.step, body.height), body.radius)
    return feet


def connected(feet: Cells, step: int) -> tuple[Indices, Indices]:
    """Stances (K, 3), and for each the number of its part (K,): steps lead from one to the next of a part."""
    cells = np.argwhere(feet)
    number = np.full(feet.shape, -1, np.int32)
    number[tuple(cells.T)] = np.arange(len(cells))
    starts, ends = [], []
    x, y, z = feet.shape
    for dx, dy in SIDES:
        for dz in range(-step, step + 1):
            ahead = cells + (dx, dy, dz)
            inside = (ahead[:, 0] < x) & (ahead[:, 1] < y) & (ahead[:, 2] >= 0) & (ahead[:, 2] < z)
            source = np.flatnonzero(inside)
            target = number[tuple(ahead[source].T)]
            starts.append(source[target >= 0])
            ends.append(target[target >= 0])
    start, end = np.concatenate(starts), np.concatenate(ends)
    graph = sparse.coo_matrix((np.ones(len(start), bool), (start, end)), (len(cells), len(cells)))
    _, part = sparse.csgraph.connected_components(graph, directed=False)
    return cells, part.astype(np.int64)


def below(cells: Indices, places: npt.NDArray[np.float64], reach: float) -> Indices:
    """For each of `places` (P, 3) the index of the stance that somebody there would come down on, or -1.

    It is the highest one that is not above the place, of those within `reach` cells sideways.
    """
    found = np.full(len(places), -1, np.int64)
    if not len(cells):
        return found
    tree = cKDTree(cells[:, :2])
    for index, near in enumerate(tree.query_ball_point(places[:, :2], reach)):
        under = [i for i in near if cells[i, 2] <= places[index, 2] + 1]
        if under:
            away = np.abs(cells[under, :2] - places[index, :2]).sum(axis=1)
            found[index] = under[int(np.lexsort((away, -cells[under, 2]))[0])]
    return found


def mended(solid: Cells, cells: Indices, body: Body, reach: int) -> Cells:
    """`solid` with a floor in gaps between stances, up to 2 `reach` wide, where a walker has room.

    Photos do not see every spot of a floor; nothing there stands in the way, and there is floor on all sides.
    """
    level = np.full(solid.shape[:2], np.inf)
    np.minimum.at(level, tuple(cells[:, :2].T), cells[:, 2])
    known = np.isfinite(level)
    wide = np.pad(known, reach)
    closed = ndimage.binary_closing(wide, disk(reach))[reach:-reach, reach:-reach]
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    x, y = np.nonzero(closed & ~known)
    z = level[tuple(nearest[:, x, y])].astype(np.int64)
    taken = any_between(solid, 0, body.height)
    taken |= widened(any_between(solid, body.step, body.height), body.radius)
    open_ = (z >= 1) & ~taken[x, y, z]
    found = solid.copy()
    found[x[open_], y[open_], z[open_] - 1] = True
    return found


def room_of(solid: Cells, cells: Indices, body: Body, spare: int) -> Cells:
    """The cells (X, Y, Z) that walkers with these stances take, and `spare` cells above their heads.

    What is left is walls, ground, and everything beyond the walkable part, so nobody leaves it.
    """
    feet = np.zeros(solid.shape, bool)
    feet[tuple(cells.T)] = True
    found = raised(widened(feet, body.radius + 1), body.height + spare)
    found &= ~solid
    return found
