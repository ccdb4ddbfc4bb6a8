"""Residuals of which a few are wrong: how large the others are, and what a forgiving cost is measured in."""

from __future__ import annotations

import numpy as np

from scripts.lib.core.geo import Array

CAUCHY = 2.385  # times the noise: keeps 95 % of its power on normal noise


def noise_of(residual: Array, least: float) -> float:
    """Standard deviation of a coordinate of residuals (K, 2), at least `least`, from their median size.

    NaN stands for a residual that is not known.
    """
    return max(float(1.4826 * np.nanmedian(np.abs(residual))), least)


def in_noise(residual: Array, noise: float) -> Array:
    """Squared lengths (K,) of residuals (K, 2), in those at which Cauchy's loss begins to give way."""
    squares: Array = (residual**2).sum(axis=1) / (CAUCHY * noise) ** 2
    return squares
