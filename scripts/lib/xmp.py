"""What drones write into a photo's XMP: gimbal angles, height above take-off, accuracy of the position.

Names: DJI's `drone-dji:` (its manuals), senseFly's and Pix4D's `Camera:`/`sensefly:` (Pix4D XMP
specification), WingtraOne and others that follow it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

# Attributes (DJI) and elements (Pix4D) alike: prefix:Name="value" or <prefix:Name>value</...>.
_FIELD = re.compile(
    r"\b(drone-dji|drone|camera|sensefly|rtk|exif|Camera):(\w{1,40})"
    r"(?:\s*=\s*[\"']([^\"']{0,80})[\"']|>\s*([^<]{1,80})<)",
    re.IGNORECASE,
)
MAX_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class FlightData:
    """Angles in degrees (yaw from north to east, pitch 0 level and -90 down), lengths in metres."""

    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None
    relative_altitude: float | None = None
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None
    accuracy_horizontal_m: float | None = None
    accuracy_vertical_m: float | None = None
    rtk_fixed: bool = False


def read_flight_data(xmp: str) -> FlightData:
    """Fields of `FlightData` from an XMP packet; every one None when absent or absurd."""
    fields: dict[str, str] = {}
    for _, name, attribute, element in _FIELD.findall(xmp[:MAX_CHARACTERS]):
        fields.setdefault(name.lower(), (attribute or element).strip())

    def number(*names: str, low: float = -math.inf, high: float = math.inf) -> float | None:
        return next(
            (v for n in names if (v := _number(fields.get(n), low, high)) is not None), None
        )

    latitude = number("gpslatitude", "latitude", low=-90, high=90)
    longitude = number("gpslongitude", "gpslongtitude", "longitude", low=-180, high=180)
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        latitude = longitude = None
    pitch = number("gimbalpitchdegree", low=-180, high=180)
    if pitch is None and (tilt := number("pitch", low=-180, high=180)) is not None:
        pitch = tilt - 90.0  # Pix4D: 0 looks straight down, 90 at the horizon
    return FlightData(
        latitude=latitude,
        longitude=longitude,
        altitude=number("absolutealtitude", low=-1000, high=20000),
        relative_altitude=number("relativealtitude", "abovegroundaltitude", low=-1000, high=20000),
        yaw=number("gimbalyawdegree", "yaw", low=-360, high=360),
        pitch=pitch,
        roll=number("gimbalrolldegree", "roll", low=-180, high=180),
        accuracy_horizontal_m=_horizontal(
            number("rtkstdlon", low=1e-6, high=1e4), number("rtkstdlat", low=1e-6, high=1e4)
        )
        or number("gpsxyaccuracy", low=1e-6, high=1e4),
        accuracy_vertical_m=number("rtkstdhgt", "gpszaccuracy", low=1e-6, high=1e4),
        rtk_fixed=fields.get("rtkflag") == "50",
    )


def _horizontal(east: float | None, north: float | None) -> float | None:
    return None if east is None or north is None else math.hypot(east, north)


def _number(text: str | None, low: float, high: float) -> float | None:
    """A finite number between the bounds; senseFly writes coordinates as "45,30.5N"."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        matched = re.fullmatch(r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)([NSEW])", text)
        if not matched:
            return None
        value = int(matched[1]) + float(matched[2]) / 60
        value = -value if matched[3] in "SW" else value
    return value if math.isfinite(value) and low <= value <= high else None
