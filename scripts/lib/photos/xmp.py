"""What drones write into a photo's XMP: gimbal angles, height above take-off, accuracy of the position.

Names: DJI's `drone-dji:` (its manuals), senseFly's and Pix4D's `Camera:`/`sensefly:` (Pix4D XMP
specification), WingtraOne and others that follow it; of rigs also MicaSense's `MicaSense:`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.lib.core.quantities import parse_angle, parse_number

# Attributes (DJI) and elements (Pix4D) alike: prefix:Name="value" or <prefix:Name>value</...>.
_FIELD = re.compile(
    r"\b(drone-dji|drone|camera|sensefly|rtk|exif|micasense|Camera):(\w{1,40})"
    r"(?:\s*=\s*[\"']([^\"']{0,80})[\"']|>\s*([^<]{1,80})<)",
    re.IGNORECASE,
)
MAX_CHARACTERS = 1 << 20
LATITUDES = ("gpslatitude", "latitude")
LONGITUDES = ("gpslongitude", "gpslongtitude", "longitude")


@dataclass(frozen=True)
class RigTag:
    """Which camera of which rig took a photo, and at which release, where the photo tells it."""

    rig: str
    camera: str
    capture: str | None = None  # the same for all cameras of the rig


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
    # Degrees in the last digit of latitude and longitude as written.
    position_step: tuple[float, float] | None = None
    rig: RigTag | None = None


def read_flight_data(xmp: str) -> FlightData:
    """Fields of `FlightData` from an XMP packet; every one None when absent or absurd."""
    fields: dict[str, str] = {}
    found = _FIELD.findall(xmp[:MAX_CHARACTERS])
    # exif: repeats EXIF, often with fewer digits than the drone's own field of the same name.
    for _, name, attribute, element in sorted(found, key=lambda field: field[0].lower() == "exif"):
        fields.setdefault(name.lower(), (attribute or element).strip())

    def number(*names: str, low: float = -math.inf, high: float = math.inf) -> float | None:
        return next(
            (v for n in names if (v := _number(fields.get(n), low, high)) is not None), None
        )

    north, latitude = _first_angle(fields, LATITUDES, "NS")
    east, longitude = _first_angle(fields, LONGITUDES, "EW")
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        latitude = longitude = None
    pitch = number("gimbalpitchdegree", low=-180, high=180)
    if pitch is None and (tilt := number("pitch", low=-180, high=180)) is not None:
        pitch = tilt - 90.0  # Pix4D: 0 looks straight down, 90 at the horizon
    absolute = number("absolutealtitude", low=-1000, high=20000)
    return FlightData(
        latitude=latitude,
        longitude=longitude,
        altitude=absolute if absolute is not None else _exif_altitude(fields),
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
        position_step=(_step(north), _step(east)) if latitude is not None else None,
        rig=_rig(fields),
    )


def _rig(fields: Mapping[str, str]) -> RigTag | None:
    """Pix4D's tags of rigs, which MicaSense and DJI's multispectral cameras write as well."""
    name, camera = fields.get("rigname"), fields.get("rigcameraindex")
    if not camera or not camera.isdigit():
        return None
    return RigTag(name or "camera", camera, fields.get("captureuuid") or fields.get("captureid"))


def _horizontal(east: float | None, north: float | None) -> float | None:
    return None if east is None or north is None else math.hypot(east, north)


def _first_angle(
    fields: Mapping[str, str], names: Sequence[str], letters: str
) -> tuple[str, float | None]:
    """Text and degrees of the first of the fields that can be read."""
    for name in names:
        if (value := parse_angle(fields.get(name, ""), letters)) is not None:
            return fields[name], value
    return "", None


def _exif_altitude(fields: Mapping[str, str]) -> float | None:
    """EXIF's altitude as XMP repeats it: a fraction, and 1 as the reference below sea level."""
    above, _, below = fields.get("gpsaltitude", "").partition("/")
    value, unit = parse_number(above), parse_number(below) if below else 1.0
    if value is None or not unit:
        return None
    value = -abs(value / unit) if fields.get("gpsaltituderef") == "1" else value / unit
    return value if -1000 <= value <= 20000 else None


def _step(text: str) -> float:
    """Degrees in the last digit of an angle: decimal degrees, or minutes or seconds at the end."""
    numbers = re.findall(r"[0-9]+", text)
    fraction = len(numbers[-1]) if re.search(r"[.,][0-9]+\D*$", text) else 0
    parts = len(numbers) - bool(fraction)
    return 1 / (10**fraction * 60 ** max(parts - 1, 0)) if numbers else 0.0


def _number(text: str | None, low: float, high: float) -> float | None:
    """A finite number between the bounds, with a decimal point or a decimal comma."""
    value = parse_number((text or "").replace(",", "."))
    return value if value is not None and low <= value <= high else None
