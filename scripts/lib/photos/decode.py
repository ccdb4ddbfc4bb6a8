"""One file's bytes to an upright 8-bit sRGB picture and its mask, or the reason why not."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageOps

from scripts.lib.exif import ORIENTATION, orientation
from scripts.lib.jpeg import strip_metadata
from scripts.lib.photos.options import Cause, RejectedError

pillow_heif.register_heif_opener()
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "HEIF", "AVIF", "BMP")
# 400 megapixels is beyond every camera; a header that claims more is damaged or hostile.
MAX_PIXELS = 400_000_000
# Checked by hand after reading the header: Pillow's own check only warns up to twice its limit, and
# turning warnings into errors is not safe in threads.
Image.MAX_IMAGE_PIXELS = None
Result = TypeVar("Result")
OPAQUE = 128  # alpha from here on is part of the picture


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
    source = open_picture(data)
    stored_size = source.size
    if min(stored_size) < min_side:
        raise RejectedError(
            f"too small: {source.width} x {source.height} pixels, at least {min_side} needed",
            Cause.SMALL,
        )
    exif, xmp = source.getexif(), _xmp(source)
    turn = orientation(exif)
    changes: list[str] = []
    upright = source
    if turn != 1:
        upright = guarded(lambda: ImageOps.exif_transpose(source))
        changes.append("rotated")
    mask = _alpha(upright)
    if mask is not None:
        changes.append("transparency became a mask")
    image = guarded(lambda: _to_srgb(upright, source, changes))
    if source.format not in ("JPEG", "MPO") and not changes:
        changes.append(f"converted from {source.format}")
    if max_side and max(image.size) > max_side:
        image = image.copy()
        image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
        mask = mask.resize(image.size, Image.Resampling.NEAREST) if mask else None
        changes.append("reduced")
    unchanged = not changes and source.format in ("JPEG", "MPO")
    return Picture(image, mask, exif, xmp, turn, stored_size, unchanged, changes)


def encode(picture: Picture, data: bytes, quality: int, keep_metadata: bool) -> bytes:
    """The JPEG for the archive: the file's own bytes when nothing had to be done to its pixels.

    Without `keep_metadata`, position, serial numbers, previews and appended videos are cut away.
    """
    if picture.unchanged:
        return data if keep_metadata else strip_metadata(data)
    extra: dict[str, Any] = {}
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
    if not data:
        raise RejectedError("empty file")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.UnidentifiedImageError:
        raise RejectedError("not a picture in a format that is read here", Cause.OTHER) from None
    except Exception as error:  # decoders trip over rubbish in every way
        raise RejectedError(f"damaged image ({error})") from None
    if image.width * image.height > MAX_PIXELS:
        raise RejectedError(
            f"claims {image.width} x {image.height} pixels, above {MAX_PIXELS // 10**6} megapixels"
        )
    guarded(image.load)
    return image


def guarded(step: Callable[[], Result]) -> Result:
    """Run a step of decoding; whatever a damaged file raises becomes a RejectedError with a reason."""
    try:
        return step()
    except RejectedError:
        raise
    except MemoryError:
        raise RejectedError("too large for this machine's memory") from None
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


def _to_srgb(image: Image.Image, source: Image.Image, changes: list[str]) -> Image.Image:
    """Eight-bit sRGB; transparency is dropped (the mask has it), other colour spaces are converted."""
    if image.mode.startswith("I") or image.mode == "F":
        changes.append("converted to 8-bit RGB")
        return _from_deep(image)
    profile = source.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK") and not _is_srgb(profile):
        base = image.convert("RGB") if image.mode == "RGBA" else image
        try:
            converted = ImageCms.profileToProfile(
                base, ImageCms.ImageCmsProfile(io.BytesIO(profile)), _SRGB, outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            converted = None  # a damaged profile: the numbers are taken as sRGB
        if converted is not None:
            changes.append("converted to sRGB")
            return converted
    if image.mode != "RGB":
        if image.mode != "RGBA":
            changes.append("converted to 8-bit RGB")
        return image.convert("RGB")
    return image


_SRGB = ImageCms.createProfile("sRGB")


def _is_srgb(profile: bytes) -> bool:
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return True  # unreadable: nothing to convert by
    return "srgb" in name.lower()


def _from_deep(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, or floating point, to 8-bit RGB by the range its numbers are in."""
    values = np.asarray(image, dtype=np.float64)
    if image.mode.startswith("I;16"):
        scale = 1 / 257.0
    else:
        top = float(np.nanmax(values, initial=0.0))
        scale = 255.0 if top <= 1.0 else 1.0 if top <= 255.0 else 1 / 257.0
    eight = np.clip(np.nan_to_num(values) * scale, 0, 255).round().astype(np.uint8)
    return Image.fromarray(eight).convert("RGB")
