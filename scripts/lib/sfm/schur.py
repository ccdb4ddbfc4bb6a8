"""Information of poses and lenses once the points are eliminated (Schur complement), point by point.

Written for a model whose points are seen by few of many photos: the work goes with the squared lengths of
the tracks, and nothing is kept of a point but its few rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scripts.lib.core.jit import compiled, inlined

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


def eliminated(jacobian: Floats, columns: Rows, whitened: Floats, point: Rows, size: int) -> Floats:
    """J^T J - (J^T W)(J^T W)^T, (size, size) and symmetric, where J and W have two rows for each sighting.

    jacobian: (K, 2, n), and the columns (K, n) that its numbers stand in, -1 for those that stand in none.
    A column that several sightings of a point share adds up. whitened: (K, 2, 3) of W, whose columns are
    the three of the sighting's `point` (K,). The same on any machine with any number of threads.
    """
    order = np.argsort(point, kind="stable")
    ends = np.flatnonzero(np.diff(point[order], append=-1)) + 1
    begins = np.concatenate([[0], ends])
    longest = int(np.diff(begins).max(initial=0))
    information = np.zeros((size, size))
    row_of = np.full(size, -1)
    space = longest * columns.shape[1]
    _eliminate(
        *(jacobian, columns, whitened, order, begins, row_of),
        *(np.empty(space, np.int64), np.empty((space, 3)), information),
    )
    # Only the half on one side of the diagonal of each point's rows is there, and half of the diagonal.
    return information + information.T


@inlined
def _subtract(rows: int, used: Rows, cross: Floats, information: Floats) -> None:
    """Take away what the point may explain by itself: half of the squares of `cross`."""
    for i in range(rows):
        column = used[i]
        x, y, z = cross[i, 0], cross[i, 1], cross[i, 2]
        for j in range(i):
            information[column, used[j]] -= x * cross[j, 0] + y * cross[j, 1] + z * cross[j, 2]
        information[column, column] -= 0.5 * (x * x + y * y + z * z)


@compiled
def _eliminate(
    jacobian: Floats,
    columns: Rows,
    whitened: Floats,
    order: Rows,
    begins: Rows,
    row_of: Rows,
    used: Rows,
    cross: Floats,
    information: Floats,
) -> None:
    """Add half of everything to `information`.

    row_of: (size,) of -1, the row of `cross` that a column has at this point. used: the column of each such
    row. cross: (rows, 3), what the sightings of the point say of the column and the point together.
    """
    width = columns.shape[1]
    for number in range(len(begins) - 1):
        rows = 0
        for at in range(begins[number], begins[number + 1]):
            k = order[at]
            for a in range(width):
                column = columns[k, a]
                if column < 0:
                    continue
                up, down = jacobian[k, 0, a], jacobian[k, 1, a]
                for b in range(a):
                    if columns[k, b] >= 0:
                        information[column, columns[k, b]] += (
                            up * jacobian[k, 0, b] + down * jacobian[k, 1, b]
                        )
                information[column, column] += 0.5 * (up * up + down * down)
                row = row_of[column]
                if row < 0:
                    row = rows
                    row_of[column], used[row] = row, column
                    cross[row, 0] = cross[row, 1] = cross[row, 2] = 0.0
                    rows += 1
                for axis in range(3):
                    cross[row, axis] += up * whitened[k, 0, axis] + down * whitened[k, 1, axis]
        _subtract(rows, used, cross, information)
        for i in range(rows):
            row_of[used[i]] = -1
