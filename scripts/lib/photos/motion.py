"""How far the picture moved between two video frames, and whether that was more than a turn or zoom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.float32]
BLOCK = 48  # pixels of the blocks that are followed
TRUSTED = 4.0  # peak of the correlation over its own spread, from which a block's shift is believed
MIN_BLOCKS = 6
SAME = 3.0  # grey levels: pictures without texture that differ by less on average are the same


@dataclass(frozen=True)
class Motion:
    """How the picture moved from one frame to another.

    shift: median displacement as a share of the width (1 when the pictures have nothing in common);
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
        found: Array = (tiles - tiles.mean(axis=(1, 2), keepdims=True)) * window
        return found

    spectrum = fft.rfft2(blocks(first)).conj() * fft.rfft2(blocks(second))
    spectrum /= np.abs(spectrum) + 1e-6
    peaks = fft.irfft2(spectrum, s=size)
    flat = peaks.reshape(len(peaks), -1)
    best = flat.argmax(axis=1)
    trust = flat.max(axis=1) / (flat.std(axis=1) + 1e-9)
    row, column = np.divmod(best, size[1])
    dy, dx = _offsets(peaks, row, column, 0), _offsets(peaks, row, column, 1)
    sure = trust > TRUSTED + 2 * np.sqrt(np.log(flat.shape[1]))
    if sure.sum() < min(MIN_BLOCKS, len(sure)):
        same = float(np.abs(first - second).mean()) < SAME
        return Motion(0.0, 0.0) if same else Motion(1.0, 1.0)
    y, x = np.divmod(np.arange(rows * columns), columns)
    shift = np.stack([dx, dy], axis=1)[sure] / width
    place = np.stack([x, y, np.ones_like(x)], axis=1)[sure].astype(float)
    fitted, *_ = np.linalg.lstsq(place, shift, rcond=None)
    rest = np.linalg.norm(shift - place @ fitted, axis=1)
    return Motion(float(np.median(np.linalg.norm(shift, axis=1))), float(np.median(rest)))


def _offsets(peaks: Array, row: Any, column: Any, axis: int) -> NDArray[np.float64]:
    """Signed place of each block's peak along one axis, to a fraction of a pixel.

    A shift of a fraction spreads the peak over two pixels; their heights tell it (Foroosh et al.,
    "Extension of phase correlation to subpixel registration", 2002).
    """
    size = peaks.shape[1 + axis]
    number = np.arange(len(peaks))
    at = column if axis else row

    def height(step: int) -> NDArray[np.float64]:
        place = (at + step) % size
        found = peaks[number, row, place] if axis else peaks[number, place, column]
        result: NDArray[np.float64] = np.maximum(found, 0).astype(float)
        return result

    before, peak, after = height(-1), height(0), height(1)
    beside = np.maximum(before, after)
    part = np.where(after > before, 1, -1) * beside / (beside + peak + 1e-9)
    result: NDArray[np.float64] = np.where(at > size // 2, at - size, at) + part
    return result
