"""Which points are kept when there are more than asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scripts.lib.sfm.sift.pyramid import SCALES


def best_spread(
    found: Sequence[tuple[NDArray[np.float32], float]], most: int
) -> list[NDArray[np.int64]]:
    """Numbers of the points to keep of each octave, in their order.

    `found`: points (N, 4) as x, y, level and contrast, and the size of the octave's pixels. As in
    COLMAP, the coarsest scales are kept whole until there are `most` points or more.
    """
    scales = [
        np.round(SCALES * np.log2(step) + points[:, 2]).astype(np.int64) for points, step in found
    ]
    every = np.sort(np.concatenate([np.empty(0, np.int64), *scales]))[::-1]
    finest = every[most - 1] if len(every) > most else -(10**6)
    return [np.flatnonzero(scale >= finest) for scale in scales]
