"""Photos and masks as features need them: grey, and no larger than asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def read_grey(path: Path, max_side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A photo's brightness (H, W), at most `max_side` long (0: its own size), and its own width and height.

    JPEGs hold brightness apart from colour, and a half or less of their size without decoding all of it.
    """
    with Image.open(path) as photo:
        size = photo.size
        share = min(1.0, max_side / max(size)) if max_side else 1.0
        small = (max(1, round(share * size[0])), max(1, round(share * size[1])))
        reduced = photo.draft("L", small)
        grey = photo.convert("L")
        if grey.size != small:
            # Of a size that the JPEG's reduction does not divide, the last pixel is part empty.
            factor = 1 if reduced is None else max(1, round(size[0] / grey.width))  # 1, 2, 4 or 8
            box = (0.0, 0.0, size[0] / factor, size[1] / factor)
            grey = grey.resize(small, Image.Resampling.BICUBIC, box)
    return np.asarray(grey), size


def read_shown(path: Path) -> NDArray[np.bool_]:
    """Where a mask (H, W) lets the photo show: all that is not black."""
    with Image.open(path) as mask:
        return np.asarray(mask.convert("L")) > 0
