"""EXIF: focal lengths in pixels, places and times; rubbish gives None, never an error."""

from __future__ import annotations

import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.ExifTags import IFD, Base

from scripts.lib.photos.exif import orientation, read_metadata
from scripts.lib.photos.focal import FOCAL_IN_WIDTHS
from tests.unit.photo_files import encoded, exif


def reread(data: Image.Exif, size: tuple[int, int] = (8, 8)) -> Image.Exif:
    """EXIF as it comes back from a JPEG."""
    image = Image.open(io.BytesIO(encoded(Image.new("RGB", size), exif=data)))
    return image.getexif()


def test_everything_a_phone_writes() -> None:
    data = exif(
        make="Apple",
        model="iPhone 12",
        focal_mm=4.2,
        focal_35mm=26,
        time="2024:05:06 07:08:09",
        place=(-33.8568, 151.2153, 12.5),
    )
    found = read_metadata(reread(data), 4000, 3000)
    assert found.camera == "Apple iPhone 12"
    # 26 mm on the 43.27 mm diagonal of a full frame, 5000 px diagonal here.
    assert found.focal_px == pytest.approx(26 * 5000 / math.hypot(36, 24))
    assert found.time == "2024-05-06T07:08:09"
    assert found.latitude == pytest.approx(-33.8568, abs=1e-6)
    assert found.longitude == pytest.approx(151.2153, abs=1e-6)
    assert found.altitude == pytest.approx(12.5)


def test_focal_from_the_pixel_pitch_follows_a_reduced_copy() -> None:
    data = exif(make="Canon", model="EOS", focal_mm=50.0)
    detail = data.get_ifd(IFD.Exif)
    detail[Base.FocalPlaneXResolution] = 4000 / 22.3 * 25.4  # pixels per inch
    detail[Base.FocalPlaneResolutionUnit] = 2
    detail[Base.ExifImageWidth] = 4000
    found = read_metadata(reread(data), 2000, 1333)
    assert found.focal_px == pytest.approx(50 / 22.3 * 2000, rel=1e-3)


def test_the_maker_is_not_said_twice() -> None:
    data = exif(make="NIKON CORPORATION", model="NIKON D7000")
    assert read_metadata(reread(data), 8, 8).camera == "NIKON D7000"


def test_nothing_gives_nothing() -> None:
    found = read_metadata(Image.Exif(), 100, 100)
    assert set(vars(found).values()) == {None} and found.camera is None


def test_null_island_is_no_place() -> None:
    found = read_metadata(reread(exif(place=(0.0, 0.0, 5.0))), 8, 8)
    assert found.latitude is found.longitude is found.altitude is None


@pytest.mark.parametrize("focal", [0, 1, 60000])
def test_absurd_focal_lengths_are_dropped(focal: int) -> None:
    assert read_metadata(reread(exif(focal_35mm=focal)), 4000, 3000).focal_px is None


@pytest.mark.parametrize("text", ["", "0000:00:00 00:00:00", "yesterday", "2024-05-06"])
def test_absurd_times_are_dropped(text: str) -> None:
    assert read_metadata(reread(exif(time=text)), 8, 8).time is None


@pytest.mark.parametrize(("value", "expected"), [(1, 1), (8, 8), (0, 1), (9, 1), (60000, 1)])
def test_orientation_is_one_of_eight(value: int, expected: int) -> None:
    assert orientation(reread(exif(orientation=value))) == expected


@given(st.floats(-89.99, 89.99), st.floats(-179.99, 179.99), st.floats(-400, 8000))
@settings(max_examples=50, deadline=None)
def test_places_survive_the_round_trip(latitude: float, longitude: float, altitude: float) -> None:
    found = read_metadata(reread(exif(place=(latitude, longitude, altitude))), 8, 8)
    if abs(latitude) > 1e-5 or abs(longitude) > 1e-5:
        assert found.latitude == pytest.approx(latitude, abs=2e-6)
        assert found.longitude == pytest.approx(longitude, abs=2e-6)
        assert found.altitude == pytest.approx(altitude, abs=1e-2)


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_rubbish_gives_plausible_values_or_none(data: bytes) -> None:
    rubbish = Image.Exif()
    try:
        rubbish.load(b"Exif\0\0" + data)
    except Exception:  # the decoder refuses: import_photos treats that as a damaged file
        return
    check_plausible(rubbish)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12),
)
@settings(max_examples=150, deadline=None)
def test_damaged_exif_gives_plausible_values_or_none(edits: list[tuple[float, int]]) -> None:
    good = exif(
        make="A",
        model="B",
        focal_mm=4.0,
        focal_35mm=28,
        time="2024:05:06 07:08:09",
        place=(50.0, 14.0, 200.0),
        orientation=6,
    )
    data = bytearray(good.tobytes())
    for place, value in edits:
        data[int(place * (len(data) - 1))] = value
    damaged = Image.Exif()
    try:
        damaged.load(bytes(data))
    except Exception:
        return
    check_plausible(damaged)


def check_plausible(data: Image.Exif) -> None:
    found = read_metadata(data, 640, 480)
    assert 1 <= orientation(data) <= 8
    if found.focal_px is not None:
        assert FOCAL_IN_WIDTHS[0] * 640 <= found.focal_px <= FOCAL_IN_WIDTHS[1] * 640
    if found.latitude is not None and found.longitude is not None:
        assert abs(found.latitude) <= 90 and abs(found.longitude) <= 180
    assert found.altitude is None or math.isfinite(found.altitude)
