"""Blur, exposure and duplicates, judged against the other photos of the set, never by a fixed constant.

What counts as sharp depends on the subject: lawn has more detail than a wall. So a photo is blurred
when it is far below its own neighbours and outside the spread of the whole set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from scripts.lib.photos.bars import picture_box

Array = NDArray[np.float32]
SHARPNESS_SIDE = 1024  # pixels of the copy that is measured: comparable between sizes
THUMB = (64, 48)  # pixels compared for duplicates
WHITE, BLACK = 250, 5
# Relative to the neighbours and the set; see `blurred`.
BLUR_SHARE = 0.3
BLUR_DEVIATIONS = 3.5
BLUR_MARGIN = 0.06
MOST_BLURRED = 0.25  # if more than this share stands out, the set is like that: nothing stands out
NEIGHBOURS = 4
POOLED = 4  # pixels of a thumbnail whose mean is compared first
ROUNDING = 1e-6  # of distances that are the root of a difference of nearly equal numbers
# A duplicate differs less than the photo itself moved by this share of a thumbnail's pixel.
DUPLICATE_SHIFT = 0.2
EXPOSURE_SHARE = 0.5
EXPOSURE_ABOVE_SET = 0.35


@dataclass(frozen=True)
class ImageStats:
    """What is measured of a photo to compare it with others.

    sharpness: variance of the Laplacian; blur: 0 crisp to 1, hardly depends on the subject;
    clipped, dark: shares of white and black pixels; thumb: (48, 64) grey, mean 0, deviation 1;
    shift_tolerance: RMS change of `thumb` when it moves by DUPLICATE_SHIFT pixels; bars: shares of the width
    that are black at each side, and of the height above and below.
    """

    sharpness: float
    blur: float
    clipped: float
    dark: float
    thumb: Array
    shift_tolerance: float
    bars: tuple[float, float] = (0.0, 0.0)


def measure(image: Image.Image) -> ImageStats:
    """Measure a photo on a copy of at most 1024 pixels."""
    small = image.convert("RGB")
    small.thumbnail((SHARPNESS_SIDE, SHARPNESS_SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    # Plane by plane: numpy reduces over a last axis of three a hundred times slower.
    red, green, blue = np.moveaxis(np.asarray(small), 2, 0)
    darkest = np.minimum(np.minimum(red, green), blue)
    brightest = np.maximum(np.maximum(red, green), blue)
    grey: Array = np.asarray(small.convert("L"), dtype=np.float32)
    thumb = np.asarray(small.convert("L").resize(THUMB, Image.Resampling.BOX), np.float32)
    deviation = float(thumb.std())
    thumb = (thumb - thumb.mean()) / max(deviation, 1.0)
    return ImageStats(
        sharpness=sharpness(grey),
        blur=blur(grey),
        clipped=float((darkest >= WHITE).mean()),
        dark=float((brightest <= BLACK).mean()),
        thumb=thumb,
        shift_tolerance=_shift_tolerance(thumb),
        bars=_bars(brightest),
    )


def _bars(brightest: NDArray[np.uint8]) -> tuple[float, float]:
    height, width = brightest.shape
    left, top, _, _ = picture_box(brightest)
    return left / width, top / height


def sharpness(grey: Array) -> float:
    """Variance of the Laplacian of a grey picture (H, W)."""
    if min(grey.shape) < 3:
        return 0.0
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.var(around - 4 * grey[1:-1, 1:-1]))


def blur(grey: Array) -> float:
    """Blur from 0 (crisp) to 1: how little the picture changes when it is blurred once more.

    The measure of Crete et al., "The blur effect" (2007): it compares a picture with itself, so it
    depends much less on the subject than the amount of detail does.
    """
    if min(grey.shape) < 3:
        return 1.0
    worst = 0.0
    for axis in (0, 1):
        again = ndimage.uniform_filter1d(grey, 9, axis=axis, mode="nearest")
        before, after = np.abs(np.diff(grey, axis=axis)), np.abs(np.diff(again, axis=axis))
        total = float(before.sum())
        lost = float(np.maximum(before - after, 0).sum())
        worst = max(worst, 1.0 if total == 0 else 1.0 - lost / total)
    return worst


def _shift_tolerance(thumb: Array) -> float:
    """RMS change of the thumbnail when it moves DUPLICATE_SHIFT pixels sideways or up, the larger."""
    steps = [np.diff(thumb, axis=axis) for axis in (0, 1)]
    return DUPLICATE_SHIFT * max(float(np.sqrt((step**2).mean())) for step in steps)


def blurred(stats: Sequence[ImageStats]) -> dict[int, float]:
    """Photos that are blurred against their neighbours: index -> share of the neighbours' sharpness.

    The order of `stats` is the order of the capture. Blurred is a photo that is (1) below
    BLUR_SHARE of the median sharpness of the photos around it, (2) more than BLUR_DEVIATIONS robust
    deviations below the set, and (3) also blurred by the measure that hardly depends on the
    subject, beyond the set's median. Empty for fewer than five photos, and when so many stand out
    that the set is simply like that.
    """
    if len(stats) < 5:
        return {}
    logs = np.log(np.maximum([one.sharpness for one in stats], 1e-6))
    blurs = np.array([one.blur for one in stats])
    deviation = max(1.4826 * float(np.median(np.abs(logs - np.median(logs)))), 0.1)
    found = {}
    for i, value in enumerate(logs):
        around = np.r_[logs[max(0, i - NEIGHBOURS) : i], logs[i + 1 : i + 1 + NEIGHBOURS]]
        share = float(np.exp(value - np.median(around)))
        low = (np.median(logs) - value) / deviation > BLUR_DEVIATIONS
        if share < BLUR_SHARE and low and blurs[i] > np.median(blurs) + BLUR_MARGIN:
            found[i] = share
    return found if len(found) <= MOST_BLURRED * len(stats) else {}


def badly_exposed(stats: Sequence[ImageStats]) -> dict[int, tuple[str, float, float]]:
    """Photos that are mostly white or black while the set is not: index -> (which, share, set's share)."""
    found = {}
    for kind, values in (
        ("over-exposed", [one.clipped for one in stats]),
        ("black", [one.dark for one in stats]),
    ):
        usual = float(np.median(values)) if values else 0.0
        for i, value in enumerate(values):
            if value > EXPOSURE_SHARE and value > usual + EXPOSURE_ABOVE_SET:
                found[i] = (kind, float(value), usual)
    return found if len(found) <= MOST_BLURRED * len(stats) else {}


def _close(stats: Sequence[ImageStats]) -> list[tuple[int, int]]:
    """Pairs of photos whose thumbnails differ less than either's `shift_tolerance`, ascending.

    Means over POOLED x POOLED pixels differ no more than the pixels do (RMS), so whole thumbnails are
    compared only where their means are close: a sixteenth of the work. Blocks bound the memory.
    """
    tolerance = np.array([one.shift_tolerance for one in stats])
    width, height = (side // POOLED for side in THUMB)
    pooled = np.stack(
        [
            one.thumb.reshape(height, POOLED, width, POOLED).mean(axis=(1, 3), dtype=np.float64)
            for one in stats
        ]
    ).reshape(len(stats), -1)
    squares = (pooled**2).mean(axis=1)
    close: list[tuple[int, int]] = []
    for begin in range(0, len(stats), 512):
        rows = slice(begin, min(begin + 512, len(stats)))
        dots = pooled[rows] @ pooled.T / pooled.shape[1]
        distance = np.sqrt(np.maximum(squares[rows, None] + squares - 2 * dots, 0))
        limit = np.minimum(tolerance[rows, None], tolerance)
        for a, b in np.argwhere(distance < limit + ROUNDING).tolist():
            if a + begin < b:
                apart = stats[a + begin].thumb.astype(np.float64) - stats[b].thumb
                if np.sqrt((apart**2).mean()) < limit[a, b]:
                    close.append((a + begin, b))
    return close


def duplicates(
    stats: Sequence[ImageStats], better: Sequence[float], films: Sequence[str | None] | None = None
) -> dict[int, int]:
    """Photos that show the same picture as another: index -> the index of the one to keep.

    `films` names the film that a frame was taken of; its frames are not compared with one another,
    because they were chosen by their motion, which is measured more finely.

    Same is what differs less than the picture itself would if the camera moved by a fifth of a
    thumbnail's pixel (1/320 of the width): a re-encoded copy, or a second shot without moving. The
    one with the highest `better` stays.
    """
    count = len(stats)
    if count < 2:
        return {}
    close = _close(stats)
    if films is not None:
        close = [(a, b) for a, b in close if films[a] is None or films[a] != films[b]]
    order: list[int] = sorted(range(count), key=lambda i: (-better[i], i))
    neighbours: dict[int, list[int]] = {}
    for a, b in close:
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    twin: dict[int, int] = {}
    kept: set[int] = set()
    for i in order:
        if i in twin:
            continue
        kept.add(i)
        for other in neighbours.get(i, ()):
            if other not in kept:
                twin.setdefault(other, i)
    return twin
