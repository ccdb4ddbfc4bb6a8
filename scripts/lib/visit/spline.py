"""The curve through a camera track's keyframes, as the viewer draws it: cubic Hermite, finite differences.

The viewer's own evaluation, written again so that a track can be checked before it ships.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]


def evaluate(times: Float, values: Float, at: Float) -> Float:
    """Values (M, D) at the times `at` (M,), from keyframes `times` (K,) ascending, `values` (K, D).

    Tangents are central differences over the neighbours (one-sided at the ends); before the first
    and after the last key the end values hold.
    """
    slopes = np.empty_like(values)
    slopes[1:-1] = (values[2:] - values[:-2]) / (times[2:] - times[:-2])[:, None]
    slopes[0] = (values[1] - values[0]) / (times[1] - times[0])
    slopes[-1] = (values[-1] - values[-2]) / (times[-1] - times[-2])
    moment = np.clip(at, times[0], times[-1])
    segment = np.clip(np.searchsorted(times, moment, side="right") - 1, 0, len(times) - 2)
    width = (times[segment + 1] - times[segment])[:, None]
    t = (moment - times[segment])[:, None] / width
    start, end = values[segment], values[segment + 1]
    curve: Float = (
        start * (1 + 2 * t) * (1 - t) ** 2
        + slopes[segment] * width * t * (1 - t) ** 2
        + end * t**2 * (3 - 2 * t)
        + slopes[segment + 1] * width * t**2 * (t - 1)
    )
    return curve
