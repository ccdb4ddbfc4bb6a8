"""Masks that come beside the photos: what their values mean, and their turn to the photo's frame.

White is kept and black ignored, as COLMAP, OpenDroneMap and nerfstudio have it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scripts.lib.photos.decode import Picture, guarded, open_picture, turned
from scripts.lib.photos.exif import orientation
from scripts.lib.photos.options import RejectedError

WHITE = 128  # from here on a mask's grey counts as white
FAINT = 16  # a lossy mask that is darker than this everywhere is black: noise
LOSSLESS = ("PNG", "TIFF", "BMP", "GIF")
MOST_LABELS = 64
LABEL_SHARE = (
    0.01  # of the pixels lie in areas of one value between black and white, in a map of labels
)
Values = NDArray[np.uint8] | NDArray[np.float32]
HIDES_ALL = 0.995  # share of a photo from which on its mask leaves nothing to see


@dataclass(frozen=True)
class Mask:
    """A mask file: "L", 255 where the photo is kept and 0 where it is ignored, as the file is stored.

    turn: its own EXIF orientation; note: what was unusual about its values.
    """

    image: Image.Image
    turn: int
    note: str | None = None


def read_mask(data: bytes) -> Mask:
    """The mask in a picture file of any kind. Raises RejectedError when it cannot be read.

    Black is ignored and white kept. Of labels (0, 1, 2 ...) 0 is ignored and everything else kept, as
    COLMAP has it; so a mask of 0 and 1, which looks black, is read as it was meant. Of two values the
    darker is ignored. Where a picture is partly transparent, its transparency is the mask.
    """
    image = open_picture(data)
    turn = orientation(image.getexif())
    values = guarded(lambda: _values(image))
    lossless = image.format in LOSSLESS
    kept, note = guarded(lambda: _kept(values, lossless))
    mask = Image.fromarray(np.where(kept, 255, 0).astype(np.uint8))
    if turn != 1:
        mask = turned(mask, turn)
    return Mask(mask, turn, note)


def _values(image: Image.Image) -> Values:
    """One number per pixel (H, W), 0 to 255: transparency where it says anything, else grey."""
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
        if int(alpha.max()) > 0 and int(alpha.min()) < 255:
            return alpha
    if image.mode.startswith("I") or image.mode == "F":
        deep = np.nan_to_num(np.asarray(image, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        top = float(deep.max())
        full = 65535.0 if top > 255 else 1.0 if image.mode == "F" and top <= 1 else 255.0
        return deep * np.float32(255.0 / max(full, top if top > 65535 else 0.0))
    grey = np.asarray(image.convert("RGB").convert("L"))
    if image.mode == "P" and int(grey.max()) == int(grey.min()):
        grey = np.asarray(image)  # a palette of one colour: the numbers of the entries are meant
    return grey


def _kept(values: Values, lossless: bool) -> tuple[NDArray[np.bool_], str | None]:
    """Which pixels are kept, and a note where the values are not simply black and white."""
    levels = _levels(values)
    top = float(levels[-1])
    if len(levels) == 1 and lossless:
        return values > 0, None
    if len(levels) == 2 and (lossless or levels[0] == 0):
        return values == levels[1], None
    if not lossless:
        return values >= (top / 2 if FAINT <= top < WHITE else WHITE), None
    if top < WHITE or (len(levels) <= MOST_LABELS and _has_labels(values, levels)):
        note = f"has {len(levels)} values: 0 is ignored, all others are kept"
        return values > 0, note
    return values >= WHITE, None


def _has_labels(values: Values, levels: NDArray[Any]) -> bool:
    """Whether areas have a value between the lowest and the highest: softened edges are no areas."""
    inner = values[1:-1, 1:-1]
    flat = (inner > levels[0]) & (inner < levels[-1])
    for other in (values[:-2, 1:-1], values[2:, 1:-1], values[1:-1, :-2], values[1:-1, 2:]):
        flat &= inner == other
    return bool(flat.mean() >= LABEL_SHARE) if flat.size else False


def _levels(values: Values) -> NDArray[Any]:
    """The values that occur, ascending."""
    if values.dtype != np.uint8:
        return np.unique(values)
    return np.flatnonzero(np.bincount(values.ravel(), minlength=256))


def fit_mask(mask: Mask, photo: Picture) -> Image.Image:
    """The mask ("L", 0 or 255) in the upright frame and size of the photo.

    Raises RejectedError when its shape fits the photo in neither orientation.
    """
    image = mask.image
    wanted = photo.image.size
    if mask.turn == 1 and photo.turn != 1 and _same_shape(image.size, photo.stored_size):
        # Drawn over the pixels as they are stored, before any viewer turned them.
        image = turned(image, photo.turn)
    if not _same_shape(image.size, wanted):
        raise RejectedError(
            f"{image.width} x {image.height} pixels do not fit a photo of {wanted[0]} x {wanted[1]}; "
            "save masks in the shape of their photos"
        )
    return image if image.size == wanted else image.resize(wanted, Image.Resampling.NEAREST)


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
