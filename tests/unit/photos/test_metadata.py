"""Without `keep_metadata` the archive's photos hold pixels and a colour profile, whatever came in."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from scripts.lib.photos.decode import decode, encode
from scripts.lib.photos.jpeg import strip_metadata

SECRET = "46.84N 9.19E Anna"
XMP = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><note>{SECRET}</note></x:xmpmeta>".encode()
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SIZE = (320, 240)


def pixels(mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(3).integers(0, 256, (*SIZE[::-1], 3), np.uint8)
    return Image.fromarray(noise).convert(mode)


def exif(turn: int) -> Image.Exif:
    told = Image.Exif()
    told[0x0112] = turn
    told[0x010E] = SECRET
    told[0x9286] = SECRET.encode()
    return told


def options_of(form: str, turn: int) -> dict[str, Any]:
    """Everything that Pillow can put into a file of this form besides its pixels."""
    if form == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", SECRET)
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        return {"pnginfo": text, "exif": exif(turn), "icc_profile": PROFILE}
    if form == "TIFF":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[270] = tags[315] = tags[33432] = SECRET  # description, artist, copyright
        tags[274] = turn
        tags[700] = XMP
        return {"tiffinfo": tags, "icc_profile": PROFILE}
    comment = {"comment": SECRET.encode()} if form == "JPEG" else {}
    return {"exif": exif(turn), "xmp": XMP, "icc_profile": PROFILE, **comment}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize("max_side", [0, 250])
def test_nothing_but_pixels_goes_into_the_archive(form: str, turn: int, max_side: int) -> None:
    buffer = io.BytesIO()
    pixels().save(buffer, form, **options_of(form, turn))
    data = buffer.getvalue()
    assert SECRET.encode() in data
    picture = decode(data, 10, max_side)
    made = encode(picture, data, 90, keep_metadata=False)
    assert b"Anna" not in made and b"46.84" not in made
    with Image.open(io.BytesIO(made)) as image:
        assert not image.getexif() and not set(image.info) & {"comment", "xmp", "exif"}
        wanted = SIZE if turn == 1 else SIZE[::-1]
        assert image.size == (wanted if not max_side else picture.image.size)


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data


@pytest.mark.parametrize(
    "hidden",
    [
        segment(0xFE, b"secret"),
        segment(0xE0, b"JFXX\0\x10secret"),
        segment(0xE1, b"Exif\0\0secret"),
        segment(0xE2, b"MPF\0secret"),
        segment(0xE2, b"FPXR\0secret"),
        segment(0xED, b"Photoshop 3.0\0secret"),
        segment(0xEE, b"secret"),
        b"\0\0junk" + segment(0xE1, b"Exif\0\0secret"),  # decoders skip the junk
        b"\xff\xff" + segment(0xE1, b"Exif\0\0secret"),
    ],
)
@pytest.mark.parametrize("progressive", [False, True])
def test_segments_wherever_they_stand(hidden: bytes, progressive: bool) -> None:
    buffer = io.BytesIO()
    pixels().save(buffer, "JPEG", quality=80, progressive=progressive, icc_profile=PROFILE)
    plain = buffer.getvalue()
    assert strip_metadata(plain) == plain, "the colour profile stays"
    assert strip_metadata(plain[:2] + hidden + plain[2:]) == plain
    at = plain.index(b"\xff\xda")
    assert strip_metadata(plain[:at] + hidden + plain[at:]) == plain
    if progressive and hidden.startswith(b"\xff") and not hidden.startswith(b"\xff\xff"):
        second = plain.rindex(b"\xff\xda")
        between = plain.rindex(b"\xff\xc4", 0, second)  # the tables of the last scan
        assert strip_metadata(plain[:between] + hidden + plain[between:]) == plain
