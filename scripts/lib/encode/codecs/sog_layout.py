"""What a SOG's writer and reader agree on: versions, tables, images, and how places are mapped."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
VERSION = 2
PALETTE_COLUMNS = 64  # palette entries side by side in the centroid image
ANTIALIASED = "antialiased"  # as splat-transform writes it
QUAT_TAG = 252  # alpha of a rotation's pixel is this plus the index of the component left out
STEPS = 65535


def log_mapped(means: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """sign(x) ln(1 + |x|): fine steps near the origin, coarse ones far out."""
    wide = means.astype(np.float64)
    return np.sign(wide) * np.log1p(np.abs(wide))


def log_unmapped(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Inverse of `log_mapped`."""
    found: npt.NDArray[np.float64] = np.sign(values) * np.expm1(np.abs(values))
    return found


def numbers(table: npt.NDArray[np.float32]) -> list[float]:
    """A table for JSON: the shortest decimals that are still the same float32."""
    return [float(str(value)) for value in table]


def image_of(columns: npt.NDArray[np.integer]) -> Pixels:
    """Rows (N, 3 or 4) as an image nearly square, with sides that are multiples of 4."""
    count, channels = columns.shape
    width = -(-int(np.ceil(np.sqrt(count))) // 4) * 4
    height = -(-count // (4 * width)) * 4
    pixels = np.zeros((width * height, channels), np.uint8)
    pixels[:count] = columns
    return pixels.reshape(height, width, channels)
