"""Where structure from motion has points close together: there the splat's surfaces can be trusted.

Between the points a surface was found by looking alike from the photos, which many surfaces do where there is
no texture; and a single point may be wrong.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
FINEST = 200  # cells along the diagonal of most points, at first
WIDER = 1.15  # from try to try
MOST = 3000  # places: a phone loads them with the page
FEWEST = 2  # points of a cell
INNER = (0.02, 0.98)  # of the points along each axis: beyond, a few lie anywhere


def known_places(points: Float, most: int = MOST) -> Float:
    """Places (K, 3) among points (P, 3): the middles of those in each cell that holds two or more.

    Cells are as small as `most` allows.
    """
    low, high = np.quantile(points, INNER, axis=0) if len(points) else np.zeros((2, 3))
    cell = float(np.linalg.norm(high - low)) / FINEST
    if cell <= 0:
        return np.zeros((0, 3))
    while True:
        keys = np.floor((points - low) / cell).astype(np.int64)
        _, of, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        kept = counts >= FEWEST
        if kept.sum() <= most:
            break
        cell *= WIDER
    sums = [np.bincount(of.ravel(), points[:, axis]) for axis in range(3)]
    middles: Float = (np.stack(sums, axis=1) / counts[:, None])[kept]
    return middles
