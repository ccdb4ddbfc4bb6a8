"""Photos of bursts: which are repetitions, and which never are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from PIL.ExifTags import IFD, Base

from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import read
from scripts.lib.photos.bursts import Shot, repetitions, seconds_of
from scripts.lib.photos.judge import ImageStats, measure
from tests.unit.photo_files import imported

WIDTH, HEIGHT = 400, 300


@cache
def _wide() -> Image.Image:
    rng = np.random.default_rng(5)
    noise = Image.fromarray(rng.integers(0, 255, (90, 120), np.uint8)).resize((960, 720))
    fine = Image.fromarray(rng.integers(0, 255, (720, 960), np.uint8))
    return Image.blend(noise, fine, 0.2).convert("RGB")


def _seen(moved: float, blur: float = 0.0) -> Image.Image:
    """What a camera sees after it moved by this share of the width."""
    left = moved * WIDTH
    image = _wide().transform((WIDTH, HEIGHT), Image.Transform.AFFINE, (1, 0, left, 0, 1, 9), 2)
    return image.filter(ImageFilter.GaussianBlur(blur)) if blur else image


@cache
def _stats(moved: float, blur: float = 0.0) -> ImageStats:
    return measure(_seen(moved, blur))


def _shots(times: Sequence[float], moved: Sequence[float], *, exact: bool = True) -> list[Shot]:
    return [Shot(t, exact, None, _stats(m)) for t, m in zip(times, moved, strict=True)]


def test_of_a_burst_the_sharpest_stays() -> None:
    shots = [
        Shot(10.0, True, None, _stats(0.0, 1.0)),
        Shot(10.2, True, None, _stats(0.002)),
        Shot(10.4, True, None, _stats(0.004, 0.7)),
        Shot(15.0, True, None, _stats(0.0, 1.5)),  # the same picture, but not of the burst
    ]
    found = repetitions(shots)
    assert {i: one.kept for i, one in found.items()} == {0: 1, 2: 1}
    assert found[2].seconds == pytest.approx(0.2)
    # A gradient of a coarse picture is a little too small, and the shift too large: more photos stay.
    assert found[2].moved == pytest.approx(0.002, abs=0.0015)


@pytest.mark.parametrize("step", [0.001, 0.004, 0.02])
@pytest.mark.parametrize("rate", [2.0, 10.0])
def test_a_slow_orbit_without_a_pause_loses_nothing(step: float, rate: float) -> None:
    count = 60
    times = [n / rate for n in range(count)]
    assert repetitions(_shots(times, [step * (n % 30) for n in range(count)])) == {}


def test_photos_released_one_by_one_lose_nothing() -> None:
    times = [float(n) for n in range(8)]
    still = [0.0] * 8
    assert repetitions(_shots(times, still)) == {}
    assert repetitions(_shots(times, still, exact=False)) == {}


def test_without_fractions_one_second_is_a_burst() -> None:
    found = repetitions(_shots([5, 5, 5, 6], [0, 0.002, 0.004, 0.004], exact=False))
    assert len(found) == 2 and 3 not in found


def test_a_burst_of_a_moving_camera_keeps_each_place() -> None:
    found = repetitions(_shots([0, 0.1, 0.2, 0.3], [0.0, 0.02, 0.04, 0.06]))
    assert found == {}


def test_other_pictures_and_other_places_stay() -> None:
    a, b = _shots([0, 0.1], [0.0, 0.001])
    mirrored = measure(_seen(0.0).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert repetitions([a, replace(b, stats=mirrored)]) == {}
    here, there = (55.7, 13.2), (55.70005, 13.2)  # 5 m
    assert repetitions([replace(a, place=here), replace(b, place=there)]) == {}
    assert len(repetitions([replace(a, place=here), replace(b, place=here)])) == 1


def test_of_bracketed_exposures_the_one_with_most_detail_stays() -> None:
    bright, middle = _shots([0, 0.1], [0.0, 0.0])
    bright = replace(bright, stats=replace(bright.stats, clipped=0.2, sharpness=1e6))
    assert {i: one.kept for i, one in repetitions([bright, middle]).items()} == {0: 1}


def test_seconds_of_a_clock() -> None:
    first = seconds_of("2030-01-01T10:00:59", 0.75)
    assert seconds_of("2030-01-01T10:01:00", 0.0) - first == pytest.approx(0.25)
    assert seconds_of("2030-01-01T10:01:00", None) - first == pytest.approx(0.25)


def test_an_import_tells_why_a_photo_of_a_burst_was_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    plan = [
        (0.0, "0", "00", 0.0),
        (0.003, "0", "25", 0.8),
        (0.2, "4", "00", 0.0),
        (0.5, "9", "0", 0),
    ]
    for n, (moved, second, part, blur) in enumerate(plan):
        exif = Image.Exif()
        detail = exif.get_ifd(IFD.Exif)
        detail[Base.DateTimeOriginal] = f"2030:01:01 10:00:0{second}"
        detail[Base.SubsecTimeOriginal] = part
        _seen(moved, blur).save(folder / f"p{n}.jpg", "JPEG", quality=95, exif=exif)
    imported(folder, tmp_path / "out")
    photos = read(Photos, tmp_path / "out" / "photos.json")
    assert [photo.original for photo in photos.used] == ["p0.jpg", "p2.jpg", "p3.jpg"]
    left = next(photo for photo in photos.photos if not photo.kept)
    assert left.cause == "repetitions in bursts" and left.twin == "p0.jpg"
    assert left.reason.startswith("in a burst with p0.jpg, which shows the same and is sharper")
    assert "0.2 s apart, moved by 0." in left.reason
