"""Photos in wide gamuts and in HDR: the archive holds sRGB, and what is sRGB already keeps its bytes."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from scripts.lib.photos.colour import (
    ADOBE_RGB,
    BT709,
    BT2020,
    DISPLAY_P3,
    HLG,
    PQ,
    SRGB,
    primaries_to_xyz,
)
from scripts.lib.photos.decode import decode, encode
from tests.unit.photo_files import encoded, picture
from tests.unit.photos.test_video_colour import CHART, chart, hdr, light, middles

BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
D50 = np.array([0.9642, 1.0, 0.8249])
PROPHOTO = np.array([[0.7977, 0.1352, 0.0313], [0.2880, 0.7119, 0.0001], [0, 0, 0.8249]])


def icc(to_d50: NDArray[np.float64], gamma: float | None) -> bytes:
    """A matrix profile (ICC.1:2001): linear RGB to XYZ of D50, a power for a curve (None: sRGB's)."""
    if gamma is None:
        steps = light(np.linspace(0, 1, 1024))
        curve = (
            struct.pack(">4s4xI", b"curv", 1024) + (steps * 65535).round().astype(">u2").tobytes()
        )
    else:
        curve = struct.pack(">4s4xIHxx", b"curv", 1, round(gamma * 256))
    blocks = {b"wtpt": _xyz(D50), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), to_d50.T, strict=True):
        blocks[name] = _xyz(column)
    text = b"made up\0"
    blocks[b"desc"] = struct.pack(">4s4xI", b"desc", len(text)) + text + bytes(78)
    blocks[b"cprt"] = struct.pack(">4s4x", b"text") + text
    table, data = struct.pack(">I", len(blocks)), b""
    start = 128 + 4 + 12 * len(blocks)
    for name, block in blocks.items():
        table += struct.pack(">4sII", name, start + len(data), len(block))
        data += block + bytes(-len(block) % 4)
    head = struct.pack(
        ">I4xI4s4s4s12x4s24x", start + len(data), 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    )
    head = (
        head + struct.pack(">III", *(round(v * 65536) for v in D50)) + bytes(128 - len(head) - 12)
    )
    return head + table + data


def _xyz(values: Any) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *(round(float(v) * 65536) for v in values))


def adapted(primaries: int) -> NDArray[np.float64]:
    """Linear RGB to XYZ of D50 by Bradford's matrix, as profiles have it."""
    from_d65 = primaries_to_xyz(primaries)
    ratio = (BRADFORD @ D50) / (BRADFORD @ from_d65.sum(axis=1))
    found: NDArray[np.float64] = np.linalg.inv(BRADFORD) @ np.diag(ratio) @ BRADFORD @ from_d65
    return found


def in_gamut(to_d50: NDArray[np.float64], gamma: float | None) -> NDArray[np.uint8]:
    """The chart's numbers in another RGB."""
    shown = light(chart() / 255) @ adapted(BT709).T @ np.linalg.inv(to_d50).T
    shown = np.clip(shown, 0, 1)
    if gamma is not None:
        code = shown ** (1 / gamma)
    else:
        code = np.where(
            shown <= 0.0031308, shown * 12.92, 1.055 * np.maximum(shown, 1e-9) ** (1 / 2.4) - 0.055
        )
    return (code * 255).round().astype(np.uint8)


GAMUTS = {
    "Display P3": (adapted(DISPLAY_P3), None),
    "Adobe RGB": (adapted(ADOBE_RGB), 2.19921875),
    "ProPhoto RGB": (PROPHOTO, 1.8),
}
KINDS = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "PNG": {},
    "TIFF": {},
    "WEBP": {"lossless": True},
    "HEIF": {"quality": 100, "chroma": 444},
}


def worst(found: Image.Image) -> float:
    """Largest difference from the chart, without its darkest colours, in which 8 bits are coarse."""
    bright = CHART.min(axis=1) >= 30
    return float(np.abs(middles(found) - CHART)[bright].max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GAMUTS)
def test_a_photo_goes_through_its_profile(name: str, kind: str) -> None:
    pixels = Image.fromarray(in_gamut(*GAMUTS[name]))
    data = encoded(pixels, kind, icc_profile=icc(*GAMUTS[name]), **KINDS[kind])
    found = decode(data, 16, 0)
    assert "converted to sRGB" in found.changes
    assert worst(found.image) <= 5
    assert np.abs(middles(pixels) - CHART).max() > 15  # the numbers as they came


def test_white_stays_white_and_black_black() -> None:
    for number in (0, 255):
        data = encoded(
            Image.new("RGB", (64, 64), (number,) * 3), "PNG", icc_profile=icc(PROPHOTO, 1.8)
        )
        assert decode(data, 16, 0).image.getextrema() == ((number, number),) * 3


@pytest.mark.parametrize("called", ["sRGB", "another name"])
def test_a_profile_that_is_srgb_leaves_the_bytes(called: str) -> None:
    """By what it does, not by its name."""
    profile = icc(adapted(BT709), None)
    if called == "sRGB":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(picture(3), icc_profile=profile)
    found = decode(data, 16, 0)
    assert found.unchanged and encode(found, data, 95, True) == data


def test_a_profile_that_is_only_called_srgb_is_used() -> None:
    profile = icc(adapted(BT709), 1.0).replace(b"made up", b"sRGB li")
    pixels = (light(chart() / 255) * 255).round().astype(np.uint8)
    found = decode(encoded(Image.fromarray(pixels), "PNG", icc_profile=profile), 16, 0)
    assert "converted to sRGB" in found.changes
    assert np.abs(middles(found.image)[16:19] - CHART[16:19]).max() <= 3


def test_transparency_and_grey_go_with_the_profile() -> None:
    pixels = Image.fromarray(in_gamut(*GAMUTS["Display P3"])).convert("RGBA")
    pixels.paste((0, 0, 0, 0), (0, 0, 10, 10))
    found = decode(encoded(pixels, "PNG", icc_profile=icc(*GAMUTS["Display P3"])), 16, 0)
    assert found.mask is not None and worst(found.image) <= 5
    grey = encoded(picture(3).convert("L"), icc_profile=icc(*GAMUTS["Display P3"]))
    assert decode(grey, 16, 0).image.mode == "RGB"


@pytest.mark.parametrize("transfer", [HLG, PQ])
def test_ten_bit_heif_is_shown_as_sdr(transfer: int) -> None:
    """What Canon, Nikon and Sony write as .HIF."""
    pixels = hdr(chart(), transfer)
    heif = pillow_heif.from_bytes("RGB;16", (160, 160), pixels.tobytes())
    buffer = io.BytesIO()
    heif.save(
        buffer,
        quality=100,
        chroma=444,
        color_primaries=BT2020,
        transfer_characteristics=transfer,
        matrix_coefficients=9,
        full_range_flag=1,
    )
    found = decode(buffer.getvalue(), 16, 100)
    assert found.image.size == (100, 100) and found.stored_size == (160, 160)
    assert found.changes[0].startswith("HDR (") and "reduced" in found.changes
    assert np.abs(middles(found.image) - CHART).max() <= 6


def test_heif_without_a_profile_is_read_by_its_code_points() -> None:
    buffer = io.BytesIO()
    pixels = Image.fromarray(in_gamut(*GAMUTS["Display P3"]))
    pixels.save(
        buffer,
        "HEIF",
        quality=100,
        chroma=444,
        color_primaries=DISPLAY_P3,
        transfer_characteristics=SRGB,
        matrix_coefficients=6,
        full_range_flag=1,
    )
    found = decode(buffer.getvalue(), 16, 0)
    assert found.changes == ["converted from P3 to sRGB"] and worst(found.image) <= 5


def png_with_points(pixels: NDArray[np.uint8], points: bytes) -> bytes:
    """A PNG with a chunk cICP before its pixels."""
    data = encoded(Image.fromarray(pixels), "PNG")
    at = data.index(b"IDAT") - 4
    body = b"cICP" + points
    return data[:at] + struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body)) + data[at:]


def test_png_is_read_by_its_code_points() -> None:
    wide = png_with_points(in_gamut(*GAMUTS["Display P3"]), bytes((DISPLAY_P3, SRGB, 0, 1)))
    assert worst(decode(wide, 16, 0).image) <= 5
    bright = png_with_points((hdr(chart(), PQ) >> 8).astype(np.uint8), bytes((BT2020, PQ, 0, 1)))
    found = decode(bright, 16, 0)
    assert found.changes == ["HDR (PQ, BT.2020) converted to SDR"]
    assert worst(found.image) <= 8  # PQ has few steps in 8 bits


def test_avif_is_read_by_its_code_points(tmp_path: Path) -> None:
    path = tmp_path / "x.avif"
    with av.open(str(path), "w", format="avif") as container:
        stream = container.add_stream("libsvtav1", rate=1, options={"crf": "4", "preset": "9"})
        stream.width, stream.height, stream.pix_fmt = 160, 160, "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc = BT2020, HLG
        context.colorspace, context.color_range = 9, 2
        frame = av.VideoFrame.from_ndarray(hdr(chart(), HLG), "rgb48le").reformat(
            format="yuv420p10le", dst_colorspace=9, dst_color_range=2
        )
        frame.color_primaries, frame.color_trc = BT2020, HLG
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found = decode(path.read_bytes(), 16, 0)
    assert found.changes == ["HDR (HLG, BT.2020) converted to SDR"]
    assert worst(found.image) <= 8


def test_adobe_rgb_by_exif_alone() -> None:
    """Cameras set to Adobe RGB write R03 into EXIF and no profile."""
    told = Image.Exif()
    told.get_ifd(0x8769).update({0xA001: 65535, 0xA005: {1: "R03"}})
    pixels = Image.fromarray(in_gamut(*GAMUTS["Adobe RGB"]))
    found = decode(encoded(pixels, exif=told, **KINDS["JPEG"]), 16, 0)
    assert found.changes == ["converted from Adobe RGB to sRGB"] and worst(found.image) <= 6
    told.get_ifd(0x8769)[0xA005] = {1: "R98"}
    assert decode(encoded(picture(3), exif=told), 16, 0).unchanged


def test_the_gain_map_is_not_the_photo() -> None:
    """Ultra HDR: the SDR picture, and behind it a small grey one that says how much brighter it can be."""
    photo, gain = picture(3), Image.new("L", (80, 60), 120).convert("RGB")
    buffer = io.BytesIO()
    photo.save(buffer, "MPO", save_all=True, append_images=[gain], quality=95)
    data = buffer.getvalue()
    found = decode(data, 16, 0)
    assert found.image.size == photo.size and found.unchanged
    kept = encode(found, data, 95, False)
    with Image.open(io.BytesIO(kept)) as image:
        assert image.size == photo.size and getattr(image, "n_frames", 1) == 1
    assert len(kept) < len(data)


@pytest.mark.parametrize("first", [True, False])
def test_the_primary_picture_of_a_heif_is_taken(first: bool) -> None:
    """Its depth and gain maps stand in the same file, at any place."""
    photo, other = picture(3, 320, 240), Image.new("RGB", (80, 64), (120, 120, 120))
    heif = pillow_heif.from_pillow(photo if first else other)
    heif.add_from_pillow(other if first else photo)
    buffer = io.BytesIO()
    heif.save(buffer, primary_index=0 if first else 1, quality=90)
    assert decode(buffer.getvalue(), 16, 0).image.size == (320, 240)
