"""Masks that come beside the photos: which file belongs to which photo, and its turn to the photo's frame.

White is kept and black ignored, as COLMAP, OpenDroneMap and nerfstudio have it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from scripts.lib.photos.decode import Picture
from scripts.lib.photos.options import RejectedError
from scripts.lib.photos.source import PHOTO_SUFFIXES

FOLDERS = ("masks", "mask")
SUFFIX = "_mask"
WHITE = 128  # from here on a mask's grey counts as white


def pair_masks(names: Sequence[str]) -> dict[str, str]:
    """Mask file -> the photo it belongs to ("" when none does), of all the names of a source.

    A mask is `X_mask.png` beside `X.jpg`, or a file of that photo's name in a folder `masks`
    (`masks/X.png`, or COLMAP's `masks/X.jpg.png`).
    """
    photos = [n for n in names if _suffix(n) in PHOTO_SUFFIXES and not _is_mask(n)]
    by_name: dict[str, list[str]] = {}
    for photo in photos:
        path = PurePosixPath(photo.lower())
        for key in (path.name, path.stem):
            by_name.setdefault(key, []).append(photo)
    return {
        name: _owner(name, by_name)
        for name in names
        if _suffix(name) in PHOTO_SUFFIXES and _is_mask(name)
    }


def _is_mask(name: str) -> bool:
    path = PurePosixPath(name.lower())
    return path.stem.endswith(SUFFIX) or any(part in FOLDERS for part in path.parts[:-1])


def _owner(name: str, by_name: dict[str, list[str]]) -> str:
    path = PurePosixPath(name.lower())
    stem = path.stem
    for key in (stem, stem.removesuffix(SUFFIX)):
        if found := by_name.get(key):
            return max(found, key=lambda photo: (_shared(photo, name), -len(photo), photo))
    return ""


def _shared(photo: str, mask: str) -> int:
    """How many folders the two have in common, masks' own folders aside."""
    a = PurePosixPath(photo.lower()).parts[:-1]
    b = [part for part in PurePosixPath(mask.lower()).parts[:-1] if part not in FOLDERS]
    return sum(x == y for x, y in zip(a, b, strict=False))


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def fit_mask(mask: Picture, photo: Picture) -> Image.Image:
    """The mask ("L", 0 or 255) in the upright frame and size of the photo.

    Raises RejectedError when its shape fits the photo in neither orientation.
    """
    image = mask.mask or mask.image.convert("L")  # a transparent mask says it by its transparency
    wanted = photo.image.size
    if mask.turn == 1 and photo.turn != 1 and _same_shape(image.size, photo.stored_size):
        # Drawn over the pixels as they are stored, before any viewer turned them.
        image = _turned(image, photo.turn)
    if not _same_shape(image.size, wanted):
        raise RejectedError(
            f"mask of {image.width} x {image.height} does not fit a photo of {wanted[0]} x {wanted[1]}"
        )
    if image.size != wanted:
        image = image.resize(wanted, Image.Resampling.NEAREST)
    return image.point([255 * (value >= WHITE) for value in range(256)])


def _turned(image: Image.Image, turn: int) -> Image.Image:
    steps = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    return image.transpose(steps[turn])


def _same_shape(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Equal aspect within a pixel's rounding at the smaller size."""
    slack = max(1.5 / min(a), 1.5 / min(b), 0.005)
    return abs(a[0] / a[1] / (b[0] / b[1]) - 1) <= slack


def combine(first: Image.Image | None, second: Image.Image | None) -> Image.Image | None:
    """What both masks keep; None when neither hides anything."""
    masks = [mask for mask in (first, second) if mask is not None]
    if len(masks) == 2:
        merged = np.minimum(np.asarray(masks[0]), np.asarray(masks[1]))
        masks = [Image.fromarray(merged)]
    return masks[0] if masks and masks[0].getextrema()[0] == 0 else None


def encode_mask(mask: Image.Image) -> bytes:
    """A one-bit PNG."""
    buffer = io.BytesIO()
    mask.convert("1", dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def hidden_share(mask: Image.Image) -> float:
    """Share of the photo that the mask ignores."""
    return float((np.asarray(mask) == 0).mean())
