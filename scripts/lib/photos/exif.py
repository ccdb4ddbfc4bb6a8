"""What a photo's EXIF says about camera, focal length, time and place; rubbish in it never hurts."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image

from scripts.lib.photos.focal import FOCAL_IN_WIDTHS, equivalent_in_pixels
from scripts.lib.photos.sensors import sensor_width_mm

# Damaged EXIF is no news to the user: what cannot be read is simply absent.
warnings.filterwarnings("ignore", category=UserWarning, module="PIL.TiffImagePlugin")

ORIENTATION = ExifTags.Base.Orientation
GPS_POSITIONING_ERROR = 31
UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}


@dataclass(frozen=True)
class Metadata:
    """EXIF of one photo; every field is None when absent or absurd.

    `focal_px` is in pixels of the stored photo and `focal_source` says what it was computed from;
    altitude in metres as the camera wrote it (usually above sea level), latitude and longitude in
    WGS84 degrees; `body` tells two cameras of one model apart without telling their serial number.
    """

    make: str | None = None
    model: str | None = None
    focal_mm: float | None = None
    focal_35mm: float | None = None
    focal_px: float | None = None
    focal_source: str | None = None
    body: str | None = None
    accuracy_horizontal_m: float | None = None
    time: str | None = None
    fraction: float | None = None  # of the second
    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None
    # Degrees in the last digit of latitude and longitude as written.
    position_step: tuple[float, float] | None = None

    @property
    def camera(self) -> str | None:
        """Maker and model as one name, without repeating the maker."""
        return _camera(self.make, self.model)


def read_metadata(exif: Image.Exif, width: int, height: int) -> Metadata:
    """Read the fields of `Metadata` from EXIF for a photo stored with `width` x `height` pixels."""
    base, detail, gps = dict(exif), _directory(exif, 0x8769), _directory(exif, 0x8825)
    focal_mm = _positive(detail.get(ExifTags.Base.FocalLength))
    focal_35mm = _positive(detail.get(ExifTags.Base.FocalLengthIn35mmFilm))
    latitude = _angle(gps.get(2), gps.get(1), "S", 90.0)
    longitude = _angle(gps.get(4), gps.get(3), "W", 180.0)
    if latitude is None or longitude is None or (latitude == 0.0 and longitude == 0.0):
        latitude = longitude = None  # 0, 0 is what devices write before they have a fix
    make, model = _text(base.get(ExifTags.Base.Make)), _text(base.get(ExifTags.Base.Model))
    sensor = sensor_width_mm(_camera(make, model))
    focal_px, focal_source = _focal_px(detail, focal_mm, focal_35mm, sensor, width, height)
    serial = _text(detail.get(ExifTags.Base.BodySerialNumber))
    return Metadata(
        make=make,
        model=model,
        focal_mm=focal_mm,
        focal_35mm=focal_35mm,
        focal_px=focal_px,
        focal_source=focal_source,
        body=hashlib.sha256(serial.encode()).hexdigest()[:6] if serial else None,
        accuracy_horizontal_m=_positive(gps.get(GPS_POSITIONING_ERROR)),
        time=_time(detail.get(ExifTags.Base.DateTimeOriginal) or base.get(ExifTags.Base.DateTime)),
        fraction=_fraction(detail.get(ExifTags.Base.SubsecTimeOriginal)),
        latitude=latitude,
        longitude=longitude,
        altitude=_altitude(gps) if latitude is not None else None,
        position_step=(_step(gps.get(2)), _step(gps.get(4))) if latitude is not None else None,
    )


def orientation(exif: Image.Exif) -> int:
    """The EXIF orientation, 1 (upright) when absent or not one of the eight defined values."""
    value = exif.get(ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _directory(exif: Image.Exif, tag: int) -> dict[int, Any]:
    try:
        return dict(exif.get_ifd(tag))
    except Exception:  # a damaged sub-directory raises whatever its bytes happen to trip over
        return {}


def _number(value: Any) -> float | None:
    """A finite float from an EXIF rational, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _positive(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    return " ".join(value.split("\0")[0].split()) or None


def _time(value: Any) -> str | None:
    """EXIF's `2019:07:11 15:07:32` as ISO 8601, without a zone because the tag has none."""
    text = _text(value)
    if not text:
        return None
    try:
        return datetime.strptime(text[:19], "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:
        return None


def _fraction(value: Any) -> float | None:
    """EXIF's digits after the second's point, `047`, as seconds."""
    text = (_text(value) or "").strip()
    return float(f"0.{text}") if text.isascii() and text.isdigit() else None


def _angle(value: Any, reference: Any, negative: str, limit: float) -> float | None:
    """Degrees from EXIF's (degrees, minutes, seconds) and its hemisphere letter."""
    try:
        parts = [_number(part) for part in value]
    except TypeError:
        return None
    if not 1 <= len(parts) <= 3:
        return None
    degrees = 0.0
    for part, share in zip(parts, (1.0, 60.0, 3600.0), strict=False):
        if part is None:
            return None
        degrees += part / share
    if (_text(reference) or "").upper().startswith(negative):
        degrees = -abs(degrees)  # some writers put the sign into the number as well
    return degrees if abs(degrees) <= limit else None


def _step(value: Any) -> float:
    """Degrees in the last digit of EXIF's (degrees, minutes, seconds); 0 where it cannot be told."""
    if not isinstance(value, Iterable):
        return 0.0
    shares = zip(value, (1.0, 60.0, 3600.0), strict=False)
    steps = [1 / (share * (getattr(part, "denominator", 0) or 1)) for part, share in shares]
    return min(steps, default=0.0)


def _altitude(gps: dict[int, Any]) -> float | None:
    altitude = _number(gps.get(6))
    reference = gps.get(5)
    below = reference in (1, b"\x01", "1")
    if altitude is None:
        return None
    altitude = -altitude if below else altitude
    return altitude if -1000.0 < altitude < 20000.0 else None


def _focal_px(
    detail: dict[int, Any],
    focal_mm: float | None,
    focal_35mm: float | None,
    sensor_mm: float | None,
    width: int,
    height: int,
) -> tuple[float | None, str | None]:
    """Focal length in pixels and its source: 35 mm equivalent, pixel pitch, or the sensor table."""
    longer = max(width, height)
    # The pitch is that of the original file; a reduced copy has fewer pixels on the same sensor.
    pitch = _positive(detail.get(ExifTags.Base.FocalPlaneXResolution))
    unit = UNIT_MM.get(detail.get(ExifTags.Base.FocalPlaneResolutionUnit, 2), 25.4)
    original = _positive(detail.get(ExifTags.Base.ExifImageWidth))
    candidates: list[tuple[str, float | None]] = [
        (
            "35 mm equivalent",
            focal_35mm and equivalent_in_pixels(focal_35mm, width, height),
        ),
        (
            "pixel pitch",
            focal_mm * pitch / unit * longer / original
            if focal_mm and pitch and original
            else None,
        ),
        ("sensor table", focal_mm / sensor_mm * longer if focal_mm and sensor_mm else None),
    ]
    low, high = FOCAL_IN_WIDTHS
    for source, focal in candidates:
        if focal and low <= focal / max(longer, 1) <= high:
            return focal, source
    return None, None


def _camera(make: str | None, model: str | None) -> str | None:
    if not model:
        return make
    if not make or model.lower().startswith(make.lower().split()[0]):
        return model
    return f"{make} {model}"
