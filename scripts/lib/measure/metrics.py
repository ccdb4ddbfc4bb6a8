"""How close one image is to another: PSNR and SSIM on numpy arrays."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

SIGMA, RADIUS = 1.5, 5  # the 11 x 11 Gaussian window of Wang et al. (2004)
C1, C2 = 0.01**2, 0.03**2


def psnr(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Peak signal-to-noise ratio in dB of two arrays with values in 0..1; infinity when equal."""
    first, second = _pair(a, b)
    error = float(np.mean((first - second) ** 2))
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Mean structural similarity of two images (H, W) or (H, W, channels) with values in 0..1.

    Gaussian window of 11 x 11, sigma 1.5, over the windows wholly inside the image, channels apart.
    Raises ValueError when the shapes differ or a side is shorter than 11 pixels.
    """
    x, y = _pair(a, b)
    if min(x.shape[:2]) < 2 * RADIUS + 1:
        raise ValueError("SSIM needs images of at least 11 x 11 pixels")

    def blur(image: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        blurred = ndimage.gaussian_filter(image, SIGMA, radius=RADIUS, axes=(0, 1))
        found: npt.NDArray[np.float64] = blurred[RADIUS:-RADIUS, RADIUS:-RADIUS]
        return found

    mean_x, mean_y = blur(x), blur(y)
    variances = blur(x * x) - mean_x**2 + blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return float(np.mean(luminance * (2 * covariance + C2) / (variances + C2)))


def _pair(
    a: npt.ArrayLike, b: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"images of {first.shape} and {second.shape} cannot be compared")
    return first, second
