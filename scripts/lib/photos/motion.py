"""How far the picture moved between two video frames, and whether that was more than a turn or zoom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.float32]
BLOCK = 48  # pixels of the blocks that are followed
TRUSTED = 4.0  # peak of the correlation over its own spread, from which a block's shift is believed
MIN_BLOCKS = 6


@dataclass(frozen=True)
class Motion:
    """shift: median displacement as a share of the width (1 when the pictures have nothing in common);

    parallax: what displacement is left when the best affine motion (turn, zoom, pan) is removed,
    in the same unit.
    """

    shift: float
    parallax: float


def motion_between(first: Array, second: Array) -> Motion:
    """Motion from the grey picture `first` (H, W) to `second`, by phase correlation of blocks."""
    height, width = first.shape
    rows, columns = max(height // BLOCK, 1), max(width // BLOCK, 1)
    size = (height // rows, width // columns)
    window = np.outer(np.hanning(size[0]), np.hanning(size[1])).astype(np.float32)

    def blocks(picture: Array) -> Array:
        cut = picture[: rows * size[0], : columns * size[1]]
        grid = cut.reshape(rows, size[0], columns, size[1]).swapaxes(1, 2)
        tiles = grid.reshape(-1, *size)
        return (tiles - tiles.mean(axis=(1, 2), keepdims=True)) * window

    spectrum = fft.rfft2(blocks(first)).conj() * fft.rfft2(blocks(second))
    spectrum /= np.abs(spectrum) + 1e-6
    peaks = fft.irfft2(spectrum, s=size)
    flat = peaks.reshape(len(peaks), -1)
    best = flat.argmax(axis=1)
    trust = flat.max(axis=1) / (flat.std(axis=1) + 1e-9)
    dy, dx = np.divmod(best, size[1])
    dy = np.where(dy > size[0] // 2, dy - size[0], dy)
    dx = np.where(dx > size[1] // 2, dx - size[1], dx)
    sure = trust > TRUSTED + 2 * np.sqrt(np.log(flat.shape[1]))
    if sure.sum() < min(MIN_BLOCKS, len(sure)):
        return Motion(1.0, 1.0)
    y, x = np.divmod(np.arange(rows * columns), columns)
    shift = np.stack([dx, dy], axis=1)[sure].astype(float) / width
    place = np.stack([x, y, np.ones_like(x)], axis=1)[sure].astype(float)
    fitted, *_ = np.linalg.lstsq(place, shift, rcond=None)
    rest = np.linalg.norm(shift - place @ fitted, axis=1)
    return Motion(float(np.median(np.linalg.norm(shift, axis=1))), float(np.median(rest)))
