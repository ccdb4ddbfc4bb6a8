"""What a picture is before it is taken for a photo: black and white, numbers, a cut-out, or colours."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from scripts.lib.photos.decode import FORMATS, MAX_PIXELS, guarded, loading_bytes
from scripts.lib.photos.options import RejectedError
from scripts.lib.photos.room import Room
from scripts.lib.photos.source import SourceFile, read_file

SIDE = 128  # pixels of the copy that is looked at
NEARLY = 16  # of 255: JPEG's noise around black and white
DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
FLAT = 4  # colours of a map of labels that no photo is as poor as
FEW = 64  # colours of a map of labels at most, of those that differ in the upper four bits


@dataclass(frozen=True)
class Levels:
    """How the pixels of a picture are spread.

    size: as stored; deep: one channel of more than 8 bits, as depth is kept; grey: without colour;
    extremes: share of pixels that are nearly black or white, or that have one of only two values;
    colours: how many differ in the upper four bits; clear: partly transparent, partly not;
    camera: its EXIF names a camera.
    """

    size: tuple[int, int]
    deep: bool
    grey: bool
    extremes: float
    colours: int
    clear: bool
    camera: bool

    @property
    def mask(self) -> bool:
        """Surely a mask: black and white, or two values. EXIF may be left of the photo it was drawn on."""
        return self.grey and self.extremes >= 0.9

    @property
    def drawn(self) -> bool:
        """Surely no photo: a mask, numbers of more than 8 bits, or a few flat values such as labels."""
        return self.mask or self.deep or self.colours <= FLAT

    @property
    def photo(self) -> bool:
        """Surely a photo: a camera made it, or it has more colours than a mask or labels would have."""
        return not self.mask and (self.camera or (not self.grey and self.colours > FEW))


def levels_of(file: SourceFile, room: Room) -> Levels | None:
    """Look at a file's pixels; None when it is no picture that can be read within `room`."""
    try:
        with room.hold(file.size if file.path is None else 0):
            source = io.BytesIO(read_file(file)) if file.path is None else file.path
            return guarded(lambda: _levels(source, room))
    except RejectedError:
        return None


def _levels(source: IO[bytes] | Path, room: Room) -> Levels:
    with Image.open(source, formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise RejectedError("too many pixels")
        size = image.size
        with room.hold(loading_bytes(image, 2 * SIDE)):
            return _look(image, size)


def _look(image: Image.Image, size: tuple[int, int]) -> Levels:
    camera = bool(image.getexif().get(ExifTags.Base.Model))
    deep = image.mode in DEEP_MODES
    image.draft(None, (2 * SIDE, 2 * SIDE))
    alpha = None
    if "A" in image.getbands() or "transparency" in image.info:
        alpha = np.asarray(_small(image.convert("RGBA").getchannel("A")))
    if deep:
        values = len(np.unique(np.asarray(_small(image))))
        return Levels(size, True, True, float(values <= 2), values, False, camera)
    pixels = np.asarray(_small(image.convert("RGB")))
    grey = np.ptp(pixels.astype(np.int16), axis=2)
    coarse = (pixels.astype(np.int32) >> 4) @ np.array([256, 16, 1])
    return Levels(
        size=size,
        deep=False,
        grey=bool((grey <= NEARLY).mean() > 0.99)
        or len(np.unique(pixels.reshape(-1, 3), axis=0)) <= 2,
        extremes=_extremes(pixels.max(axis=2)),
        colours=len(np.unique(coarse)),
        clear=alpha is not None and float(alpha.min()) < 64 and float(alpha.max()) > 192,
        camera=camera,
    )


def _small(image: Image.Image) -> Image.Image:
    """At most SIDE pixels a side, no value that was not there before."""
    factor = min(1.0, SIDE / max(image.size))
    size = (max(int(image.width * factor), 1), max(int(image.height * factor), 1))
    return image.resize(size, Image.Resampling.NEAREST)


def _extremes(values: NDArray[np.uint8]) -> float:
    if len(np.unique(values)) <= 2:
        return 1.0
    return float(((values < NEARLY) | (values > 255 - NEARLY)).mean())
