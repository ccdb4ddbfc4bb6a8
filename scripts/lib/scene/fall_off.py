"""Lenses whose light falls off towards the corners, and photos without it. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
NUMBERS = 3  # for each lens


def shapes(square: Float) -> Float:
    """Three curves (..., 3) of the squared distance (...) from the principal point, in half diagonals.

    Integrals of the Bernstein polynomials of degree 2: with factors that are not negative, any sum of them
    begins at 0 and never falls. They end at a third each.
    """
    t = np.asarray(square, float)
    cube = t**3 / 3
    return np.stack([t - t**2 + cube, t**2 - 2 * cube, cube], axis=-1)


def squared_distance(x: Float, y: Float, K: Float, size: npt.NDArray[np.int64]) -> Float:
    """Of pixels x, y (...) from the principal point of K (3, 3), in half diagonals of a photo of `size` (2,);
    1 at most."""
    square = (x - K[0, 2]) ** 2 + (y - K[1, 2]) ** 2
    found: Float = np.minimum(square / (np.square(size, dtype=float).sum() / 4), 1.0)
    return found


def lost(
    numbers: Sequence[float], K: Float, size: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Logarithm of what a lens takes from each pixel (H, W) of the stored colours, of zero mean."""
    width, height = (int(side) for side in size)
    x, y = np.arange(width, dtype=float) + 0.5, np.arange(height, dtype=float)[:, None] + 0.5
    away: Float = shapes(squared_distance(x, y, K, size)) @ np.asarray(numbers, float)
    found: npt.NDArray[np.float32] = (away - away.mean()).astype(np.float32)
    return found


def at_corner(numbers: Sequence[float]) -> float:
    """Share of the stored brightness that a corner has lost against the middle."""
    return float(-np.expm1(-sum(numbers) / NUMBERS))
