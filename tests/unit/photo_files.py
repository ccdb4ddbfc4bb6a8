"""Photos made up for tests: textured pictures, JPEGs with EXIF, and a run of import_photos on a folder."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter
from PIL.ExifTags import IFD, Base

from scripts import import_photos
from scripts.lib.core.console import run_main

WIDTH, HEIGHT = 320, 240


def picture(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A picture with detail at every scale, different for every seed."""
    generator = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cell in (64, 32, 16, 8, 4, 2):
        grid = generator.random((-(-height // cell) + 1, -(-width // cell) + 1, 3))
        layer = Image.fromarray((grid * 255).astype(np.uint8)).resize(
            (grid.shape[1] * cell, grid.shape[0] * cell), Image.Resampling.BICUBIC
        )
        total += np.asarray(layer, float)[:height, :width] - 128
    return Image.fromarray(np.clip(128 + total / 2, 0, 255).astype(np.uint8))


def soft(image: Image.Image, radius: float = 4.0) -> Image.Image:
    """The picture out of focus."""
    return image.filter(ImageFilter.GaussianBlur(radius))


def degrees(value: float) -> tuple[float, float, float]:
    """EXIF's degrees, minutes and seconds of an angle."""
    value = abs(value)
    minutes = (value % 1) * 60
    return float(int(value)), float(int(minutes)), (minutes % 1) * 60


def exif(
    *,
    make: str | None = None,
    model: str | None = None,
    focal_mm: float | None = None,
    focal_35mm: int | None = None,
    time: str | None = None,
    place: tuple[float, float, float] | None = None,
    orientation: int | None = None,
) -> Image.Exif:
    """EXIF with the given fields; place is (latitude, longitude, altitude)."""
    data = Image.Exif()
    detail = data.get_ifd(IFD.Exif)
    for tag, value in ((Base.Make, make), (Base.Model, model), (Base.Orientation, orientation)):
        if value is not None:
            data[tag] = value
    for tag, value in (
        (Base.FocalLength, focal_mm),
        (Base.FocalLengthIn35mmFilm, focal_35mm),
        (Base.DateTimeOriginal, time),
    ):
        if value is not None:
            detail[tag] = value
    if place is not None:
        latitude, longitude, altitude = place
        gps = data.get_ifd(IFD.GPSInfo)
        gps.update({1: "S" if latitude < 0 else "N", 2: degrees(latitude)})
        gps.update({3: "W" if longitude < 0 else "E", 4: degrees(longitude)})
        gps.update({5: b"\x01" if altitude < 0 else b"\x00", 6: abs(altitude)})
    return data


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The bytes of `image` in a format Pillow writes."""
    buffer = io.BytesIO()
    if kind == "JPEG":
        options = {"quality": 92, **options}
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(seed: int = 0, **options: Any) -> bytes:
    """A JPEG of `picture(seed)`."""
    return encoded(picture(seed), **options)


def write_photos(folder: Path, count: int = 4, start: int = 0) -> Path:
    """`count` different photos a0.jpg, a1.jpg ... in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        (folder / f"a{number}.jpg").write_bytes(jpeg(number))
    return folder


class Imported:
    """What one run of the script left behind."""

    def __init__(self, folder: Path) -> None:
        self.archive = folder / "photos.zip"
        self.report: dict[str, Any] = json.loads((folder / "photos.json").read_text())

    @property
    def kept(self) -> list[str]:
        return [photo["original"] for photo in self.report["photos"] if photo["kept"]]

    def entry(self, original: str) -> dict[str, Any]:
        """The report's line on one file."""
        (found,) = [photo for photo in self.report["photos"] if photo["original"] == original]
        return found

    def reason(self, original: str) -> str:
        return str(self.entry(original)["reason"])


def arguments(source: Path | str, folder: Path, **options: Any) -> list[str]:
    return [
        *("--source", str(source), "--options", json.dumps(options), "--threads", "2"),
        *("--photos", str(folder / "photos.zip"), "--report", str(folder / "photos.json")),
    ]


def imported(source: Path | str, folder: Path, **options: Any) -> Imported:
    """Run the script on `source`, its outputs in `folder`."""
    import_photos.main(arguments(source, folder, **options))
    return Imported(folder)


def refusal(
    source: Path | str, folder: Path, capsys: pytest.CaptureFixture[str], **options: Any
) -> str:
    """The one line on stderr with which the script refuses `source`; asserts that it exits with 1."""
    with pytest.raises(SystemExit) as stop:
        run_main(lambda: import_photos.main(arguments(source, folder, **options)))
    assert stop.value.code == 1
    assert not (folder / "photos.zip").exists()
    error = capsys.readouterr().err
    assert error.startswith("Error: ") and error.count("\n") == 1
    return error
