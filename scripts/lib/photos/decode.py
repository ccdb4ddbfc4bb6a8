"""One file's bytes to an upright 8-bit sRGB picture and its mask, or the reason why not."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from scripts.lib.photos.colour import to_srgb
from scripts.lib.photos.exif import ORIENTATION, orientation
from scripts.lib.photos.jpeg import strip_metadata
from scripts.lib.photos.options import Cause, RejectedError
from scripts.lib.photos.profiles import hdr_heif, srgb_picture

pillow_heif.register_heif_opener()
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "HEIF", "AVIF", "BMP")
# 400 megapixels is beyond every camera; a header that claims more is damaged or hostile.
MAX_PIXELS = 400_000_000
# Checked by hand after reading the header: Pillow's own check only warns up to twice its limit, and
# turning warnings into errors is not safe in threads.
Image.MAX_IMAGE_PIXELS = None
Result = TypeVar("Result")
OPAQUE = 128  # alpha from here on is part of the picture
STRIP = 1 << 20  # pixels that are worked on at a time
# Bytes for each pixel of a decoder and of what it hands over, by format; others take Pillow's own 4.
COSTS = {"WEBP": 14, "HEIF": 14, "AVIF": 12}
# What undoes each EXIF orientation.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Picture:
    """A decoded photo: upright RGB pixels, mask ("L", 0 where ignored) or None, and what it told."""

    image: Image.Image
    mask: Image.Image | None
    exif: Image.Exif
    xmp: str
    turn: int  # the EXIF orientation that was undone
    stored_size: tuple[int, int]  # before turning and reducing
    unchanged: bool  # the file itself is an upright 8-bit RGB JPEG of the right size
    changes: list[str] = field(default_factory=list)


def decode(data: bytes, min_side: int, max_side: int) -> Picture:
    """Read a photo of any supported format. Raises RejectedError with a reason a person understands.

    `min_side` pixels are needed on the shorter side; a longer side above `max_side` is reduced (0:
    never).
    """
    source = _opened(data)
    stored_size = source.size
    if min(stored_size) < min_side:
        raise RejectedError(
            f"too small: {source.width} x {source.height} pixels, at least {min_side} needed",
            Cause.SMALL,
        )
    size = _reduced(stored_size, max_side)
    changes: list[str] = []
    image, alpha = guarded(lambda: _small(source, data, size, changes))
    exif, xmp = source.getexif(), _xmp(source)
    turn = orientation(exif)
    if turn != 1:
        image, alpha = turned(image, turn), alpha and turned(alpha, turn)
        changes.append("rotated")
    if alpha is not None:
        changes.append("transparency became a mask")
    if source.format not in ("JPEG", "MPO") and not changes:
        changes.append(f"converted from {source.format}")
    if size != stored_size:
        changes.append("reduced")
    unchanged = not changes and source.format in ("JPEG", "MPO")
    return Picture(image, alpha, exif, xmp, turn, stored_size, unchanged, changes)


def decoding_bytes(data: bytes, max_side: int) -> int:
    """Memory that `decode` and what follows it take at most. Raises RejectedError as `decode` does."""
    source = _opened(data)
    return guarded(lambda: loading_bytes(source, max_side))


def loading_bytes(source: Image.Image, max_side: int) -> int:
    """Memory that an opened picture takes until it is sRGB with `max_side`, by its header alone.

    Bytes for each pixel were measured. A JPEG that will be reduced is set to be decoded smaller.
    """
    size = _reduced(source.size, max_side)
    stored, kept = source.width * source.height, size[0] * size[1]
    each = COSTS.get(source.format or "", 4) + (1 if source.mode[0] in "IF" else 0)
    if source.mode in ("RGBA", "LA", "PA", "P", "La", "RGBa"):
        each += 9  # the colours and the transparency by themselves
    if source.info.get("progressive") or source.info.get("progression"):
        each += 6  # all coefficients, whatever is made of them
    elif source.format in ("JPEG", "MPO") and size != source.size:
        _draft(source, size)
        stored = source.width * source.height
    return stored * each + kept * 14


def encode(picture: Picture, data: bytes, quality: int, keep_metadata: bool) -> bytes:
    """The JPEG for the archive: the file's own bytes when nothing had to be done to its pixels.

    Without `keep_metadata`, position, serial numbers, previews and appended videos are cut away.
    """
    if picture.unchanged:
        return data if keep_metadata else strip_metadata(data)
    extra: dict[str, bytes] = {}
    if keep_metadata:
        picture.exif.pop(ORIENTATION, None)
        try:
            extra["exif"] = picture.exif.tobytes()
        except Exception:  # EXIF that cannot be written again: keep the picture without it
            extra = {}
    for options in (extra, {}):
        buffer = io.BytesIO()
        try:
            picture.image.save(buffer, "JPEG", quality=quality, subsampling=0, **options)
            # Pillow takes the comment of the file that was decoded along.
            return buffer.getvalue() if keep_metadata else strip_metadata(buffer.getvalue())
        except (OSError, ValueError) as error:
            reason = str(error)
    raise RejectedError(f"could not be converted to JPEG ({reason})")


def open_picture(data: bytes) -> Image.Image:
    """The decoded picture as it is stored. Raises RejectedError with a reason a person understands."""
    image = _opened(data)
    guarded(image.load)
    return image


def _opened(data: bytes) -> Image.Image:
    """The picture with its header read, its pixels not yet."""
    if not data:
        raise RejectedError("empty file")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise RejectedError("not a picture in a supported format", Cause.OTHER) from None
    except Exception as error:  # decoders trip over rubbish in every way
        raise RejectedError(f"damaged image ({error})") from None
    if image.width * image.height > MAX_PIXELS:
        raise RejectedError(
            f"claims {image.width} x {image.height} pixels, above {MAX_PIXELS // 10**6} megapixels",
            Cause.LARGE,
        )
    return image


def _reduced(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """`size` with its longer side at most `max_side` (0: as it is)."""
    if not max_side or max(size) <= max_side:
        return size
    factor = max_side / max(size)
    return max(round(size[0] * factor), 1), max(round(size[1] * factor), 1)


def _draft(source: Image.Image, size: tuple[int, int]) -> None:
    """Have a JPEG decoded at a half, a quarter or an eighth, where that is no less than twice `size`.

    The rest is reduced by a better filter than the decoder's.
    """
    source.draft(None, (2 * size[0], 2 * size[1]))


def _small(
    source: Image.Image, data: bytes, size: tuple[int, int], changes: list[str]
) -> tuple[Image.Image, Image.Image | None]:
    """The picture as 8-bit sRGB of `size`, and its mask; reduced first, so that little is held in memory."""
    if (deep := hdr_heif(source, data)) is not None:
        pixels, coding = deep
        changes.append(coding.change)
        return _resized(Image.fromarray(to_srgb(pixels, coding)), size), None
    if size != source.size and source.format in ("JPEG", "MPO"):
        _draft(source, size)
    source.load()
    image, mask = source, _alpha(source)
    if source.mode.startswith("I") or source.mode == "F":
        image = _from_deep(source)
        changes.append("converted to 8-bit RGB")
        return _resized(image, size).convert("RGB"), None
    if mask is not None:
        mask = mask.resize(size, Image.Resampling.NEAREST) if size != source.size else mask
    if source.mode not in ("RGB", "L", "CMYK"):
        image = source.convert("L" if source.mode in ("1", "LA") else "RGB")
    image, change = srgb_picture(_resized(image, size), source, data)
    if not change and source.mode not in ("RGB", "RGBA"):
        change = "converted to 8-bit RGB"
    if change:
        changes.append(change)
    return image, mask


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def turned(image: Image.Image, turn: int) -> Image.Image:
    """The picture upright, by its EXIF orientation."""
    return image.transpose(TURNS[turn]) if turn in TURNS else image


def guarded(step: Callable[[], Result]) -> Result:
    """Run a step of decoding; whatever a damaged file raises becomes a RejectedError with a reason."""
    try:
        return step()
    except RejectedError:
        raise
    except MemoryError:
        raise RejectedError("too large for this machine's memory", Cause.LARGE) from None
    except Exception as error:  # OSError, SyntaxError, struct.error, ValueError ...
        reason = "truncated" if "truncated" in str(error) else "damaged"
        raise RejectedError(f"{reason} image ({error})") from None


def _xmp(image: Image.Image) -> str:
    """The XMP packet as text; empty when there is none."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)


def _alpha(image: Image.Image) -> Image.Image | None:
    """A mask from transparency: white where the picture is; None when it is opaque everywhere."""
    if not ("A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info):
        return None
    alpha = guarded(lambda: image.convert("RGBA").getchannel("A"))
    low, _ = alpha.getextrema()
    if isinstance(low, tuple) or low >= OPAQUE:
        return None
    return alpha.point([255 * (value >= OPAQUE) for value in range(256)])


def _from_deep(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, or floating point, to 8 bits ("L") by the range its numbers are in."""
    rows = max(STRIP // image.width, 1)
    boxes = [
        (0, top, image.width, min(top + rows, image.height)) for top in range(0, image.height, rows)
    ]

    def strip(box: tuple[int, int, int, int]) -> NDArray[np.float32]:
        return np.nan_to_num(np.asarray(image.crop(box), np.float32), posinf=0.0, neginf=0.0)

    if image.mode.startswith("I;16"):
        scale = 1 / 257.0
    else:
        top = max(float(strip(box).max(initial=0.0)) for box in boxes)
        scale = 255.0 if top <= 1.0 else 1.0 if top <= 255.0 else 1 / 257.0
    grey = Image.new("L", image.size)
    for box in boxes:
        eight = np.clip(strip(box) * np.float32(scale), 0, 255).round().astype(np.uint8)
        grey.paste(Image.fromarray(eight), box)
    return grey
