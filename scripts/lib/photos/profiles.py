"""What a photo says of its colours: ICC profile, code points in HEIF, AVIF and PNG, or EXIF's Adobe RGB."""

from __future__ import annotations

import functools
import io
import struct

import av
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageCms

from scripts.lib.photos.colour import ADOBE_RGB, BT2020, GAMMA_22, UNSPECIFIED, Coding, to_srgb

_SRGB = ImageCms.createProfile("sRGB")
_BROKEN = (ImageCms.PyCMSError, OSError, ValueError, TypeError)
# Modes of Pillow by the colour space of a profile, as ICC.1 writes it.
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
NEAR = 2  # levels: a profile that moves no colour by more is sRGB, whatever its name
_INTEROPERABILITY, _ADOBE = 0xA005, "R03"  # DCF 2.0: cameras tell Adobe RGB by this alone


def srgb_picture(image: Image.Image, source: Image.Image, data: bytes) -> tuple[Image.Image, str]:
    """`image` as 8-bit sRGB without transparency, and what was done to its colours ("" when nothing).

    `source` is the opened file, `data` its bytes; `image` may be a smaller or turned copy of it.
    """
    coding = _coding(source, data)
    profile = source.info.get("icc_profile")
    if profile and not coding.hdr:
        if not _is_srgb(profile):
            converted = _by_profile(image, profile)
            if converted is not None:
                return converted, "converted to sRGB"
    elif not coding.is_srgb:
        return Image.fromarray(to_srgb(np.asarray(image.convert("RGB")), coding)), coding.change
    return image.convert("RGB") if image.mode != "RGB" else image, ""


def hdr_heif(source: Image.Image, data: bytes) -> tuple[NDArray[np.uint16], Coding] | None:
    """All the bits (H, W, 3) of a HEIF that is HDR, upright as libheif has it; None for any other picture."""
    coding = _coding(source, data)
    if source.format != "HEIF" or not coding.hdr or source.info.get("bit_depth", 8) <= 8:
        return None
    deep = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    pixels = np.asarray(deep)[..., :3]
    return (np.ascontiguousarray(pixels), coding) if pixels.dtype == np.uint16 else None


def _coding(source: Image.Image, data: bytes) -> Coding:
    """Code points of the file; unspecified where it tells none."""
    if source.format == "HEIF":
        told = source.info.get("nclx_profile") or {}
        points = (told.get("color_primaries"), told.get("transfer_characteristics"))
    elif source.format == "AVIF":
        points = _avif_points(data)
    elif source.format == "PNG":
        points = _png_points(data)
    elif source.format in ("JPEG", "MPO") and _says_adobe_rgb(source):
        points = (ADOBE_RGB, GAMMA_22)
    else:
        points = (None, None)
    primaries, transfer = (UNSPECIFIED if point is None else int(point) for point in points)
    coding = Coding(primaries, transfer)
    return Coding(BT2020, transfer) if coding.hdr and primaries == UNSPECIFIED else coding


def _avif_points(data: bytes) -> tuple[int | None, int | None]:
    """Pillow does not tell them; libav finds them in the container or the AV1 stream."""
    try:
        with av.open(io.BytesIO(data)) as container:
            context = container.streams.video[0].codec_context
            return int(context.color_primaries), int(context.color_trc)
    except (av.error.FFmpegError, OSError, ValueError, IndexError):
        return None, None


def _png_points(data: bytes) -> tuple[int | None, int | None]:
    """The chunk cICP (PNG, third edition), which stands before the pixels."""
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"cICP" and length == 4 and at + 12 <= len(data):
            return data[at + 8], data[at + 9]
        if kind == b"IDAT":
            break
        at += length + 12
    return None, None


def _says_adobe_rgb(source: Image.Image) -> bool:
    try:
        told = source.getexif().get_ifd(_INTEROPERABILITY).get(1)
    except Exception:  # EXIF is broken in every way
        return False
    return str(told or "").strip("\0 ") == _ADOBE


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """`image` through its profile; None when the profile is damaged or does not fit it."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES.get(opened.profile.xcolor_space.strip())
        if mode is None or (mode == "CMYK") != (image.mode == "CMYK"):
            return None
        base = image if image.mode == mode else image.convert(mode)
        # Relative: white stays white. Black point compensation: shadows are not cut off.
        return ImageCms.profileToProfile(
            base,
            opened,
            _SRGB,
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except _BROKEN:
        return None  # a damaged profile: the numbers are taken as sRGB


@functools.lru_cache(maxsize=32)
def _is_srgb(profile: bytes) -> bool:
    """Whether a profile leaves the colours as they are; true for one that is damaged."""
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if opened.profile.xcolor_space.strip() != "RGB":
            return False
    except _BROKEN:
        return True
    found = _by_profile(Image.fromarray(cube), profile)
    return found is None or int(np.abs(np.asarray(found, int) - cube).max()) <= NEAR
