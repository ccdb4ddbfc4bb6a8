"""Quaternions as every splat format packs them: the three smallest components and which one is left out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scripts.lib.splat.gaussians import Array

# For each dropped component of (w, x, y, z), the three that are stored, in order.
STORED = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
HALF_SQRT = float(np.sqrt(0.5))  # no component but the largest can exceed this


def normalised(quats: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Unit quaternions (N, 4) wxyz; those without a direction become the identity."""
    wide = quats.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    identity = np.array([1.0, 0.0, 0.0, 0.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(length > 1e-20, wide / length, identity)


def smallest_three(
    quats: npt.NDArray[np.floating],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Index (N,) of the largest component and the other three (N, 3), each within +-sqrt(1/2).

    The sign is turned so that the component left out is positive (q and -q are one rotation).
    """
    unit = normalised(quats)
    largest = np.abs(unit).argmax(axis=1)
    rows = np.arange(len(unit))
    sign = np.where(unit[rows, largest] < 0, -1.0, 1.0)
    return largest, unit[rows[:, None], STORED[largest]] * sign[:, None]


def from_smallest_three(largest: npt.NDArray[np.integer], three: npt.NDArray[np.floating]) -> Array:
    """Unit quaternions (N, 4) wxyz from what `smallest_three` returned."""
    quats = np.zeros((len(three), 4), np.float64)
    rows = np.arange(len(three))
    quats[rows[:, None], STORED[largest]] = three
    quats[rows, largest] = np.sqrt(np.maximum(0.0, 1.0 - (three.astype(np.float64) ** 2).sum(1)))
    return quats.astype(np.float32)


def angles(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> Array:
    """Angle in degrees (N,) between the rotations of two sets of quaternions (N, 4)."""
    a, b = normalised(first), normalised(second)
    # atan2 of difference and sum keeps its precision near zero, where acos of the dot does not.
    flip = np.where((a * b).sum(1, keepdims=True) < 0, -1.0, 1.0)
    chord = np.linalg.norm(a - flip * b, axis=1)
    total = np.linalg.norm(a + flip * b, axis=1)
    found: Array = np.degrees(4 * np.arctan2(chord, total)).astype(np.float32)
    return found
