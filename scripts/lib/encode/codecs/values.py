"""Small maps that the formats share: numbers to bytes, the order along a Morton curve."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scripts.lib.splat.gaussians import Array


def to_bytes(values: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Nearest byte, clamped to 0..255."""
    found: npt.NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return found


def morton_order(means: Array) -> npt.NDArray[np.int64]:
    """Indices (N,) that sort points (N, 3) along a Morton curve of 21 bits an axis.

    Neighbours in space become neighbours in the file, which is what lets images compress and a
    viewer cull by block. Ties keep their order.
    """
    if len(means) == 0:
        return np.zeros(0, np.int64)
    wide = means.astype(np.float64)
    low, high = wide.min(0), wide.max(0)
    extent = np.where(high > low, high - low, 1.0)
    cells = np.minimum((wide - low) / extent * (1 << 21), (1 << 21) - 1).astype(np.uint64)
    code = spread_bits(cells[:, 0])
    code |= spread_bits(cells[:, 1]) << np.uint64(1)
    code |= spread_bits(cells[:, 2]) << np.uint64(2)
    return np.argsort(code, kind="stable")


def spread_bits(cells: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The 21 low bits of each number moved three places apart (the usual magic-mask doubling)."""
    bits = cells & np.uint64(0x1FFFFF)
    for shift, mask in (
        (32, 0x1F00000000FFFF),
        (16, 0x1F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        bits = (bits | (bits << np.uint64(shift))) & np.uint64(mask)
    return bits
