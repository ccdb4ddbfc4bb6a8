"""Where a drone was while it filmed: the SRT file of subtitles that DJI writes beside a video.

There is no specification. These forms of a subtitle are read, in any order of their parts:

    [latitude: 46.84] [longitude: 9.53] [rel_alt: 30.100 abs_alt: 612.500]     Mavic, Air, Mini
    [latitude : 46.84] [longtitude : 9.53] [altitude: 612.5]                   Mavic 2, with that misspelling
    GPS(9.53,46.84,15) BAROMETER:30.1                                          Phantom 3 and 4
    F/2.8, SS 206, ISO 100, GPS (9.53, 46.84, 15), D 12.0m, H 30.10m           Mini, Spark: longitude first
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from scripts.lib.contracts.photos import Photo
from scripts.lib.photos.gps_tags import GpsPosition
from scripts.lib.photos.source import SourceFile, read_file

SUFFIX = ".srt"
MAX_BYTES = 200_000_000  # an hour of 60 entries a second has 60
FARTHEST = 2.0  # seconds between a frame and the telemetry that tells its position
NUMBER = r"([-+]?\d{1,9}(?:\.\d{1,12})?)"
TIME = re.compile(r"(\d{1,3}):(\d\d):(\d\d)[,.](\d{1,6})\s*-->")
LATITUDE = re.compile(rf"\blatitude\s*:\s*{NUMBER}", re.IGNORECASE)
LONGITUDE = re.compile(rf"\blong(?:t)?itude\s*:\s*{NUMBER}", re.IGNORECASE)
GPS = re.compile(rf"\bGPS\s*\(\s*{NUMBER}\s*,\s*{NUMBER}", re.IGNORECASE)
ABSOLUTE = re.compile(rf"\b(?:abs_alt|altitude)\s*:\s*{NUMBER}", re.IGNORECASE)
RELATIVE = re.compile(rf"(?:\brel_alt\s*:|\bBAROMETER\s*:|\bH\s)\s*{NUMBER}", re.IGNORECASE)


@dataclass(frozen=True)
class Fix:
    """A position: seconds since the video began, degrees (WGS84), metres."""

    second: float
    latitude: float
    longitude: float
    altitude: float | None = None
    relative_altitude: float | None = None  # above the place of take-off

    def stored_in(self, photo: Photo, source: str) -> Photo:
        """The photo at this position, which the file `source` tells."""
        position = GpsPosition(self.latitude, self.longitude, self.altitude, source, None, None)
        return replace(position.stored_in(photo), relative_altitude=self.relative_altitude)


def read_srt(text: str) -> list[Fix]:
    """The positions in subtitles, in the order of time; those without a satellite fix are left out."""
    fixes = []
    times = list(TIME.finditer(text))
    for found, following in zip(times, [*times[1:], None], strict=True):
        hours, minutes, seconds, fraction = found.groups()
        second = 3600 * int(hours) + 60 * int(minutes) + int(seconds) + float(f"0.{fraction}")
        said = text[found.end() : following.start() if following else len(text)]
        fix = _fix(second, said)
        if fix is not None:
            fixes.append(fix)
    return sorted(fixes, key=lambda fix: fix.second)


def _fix(second: float, said: str) -> Fix | None:
    """What one subtitle says."""
    latitude, longitude = _number(LATITUDE, said), _number(LONGITUDE, said)
    if (latitude is None or longitude is None) and (pair := GPS.search(said)):
        longitude, latitude = float(pair[1]), float(pair[2])
    if latitude is None or longitude is None:
        return None
    if abs(latitude) > 90 or abs(longitude) > 180 or (latitude, longitude) == (0, 0):
        return None
    return Fix(second, latitude, longitude, _number(ABSOLUTE, said), _number(RELATIVE, said))


def _number(pattern: re.Pattern[str], said: str) -> float | None:
    found = pattern.search(said)
    return float(found[1]) if found else None


def position_at(fixes: Sequence[Fix], second: float) -> Fix | None:
    """The position at a second of the video, between its neighbours; None where both are too far away."""
    after = bisect_left(fixes, second, key=lambda fix: fix.second)
    beside = [
        fix for fix in fixes[max(0, after - 1) : after + 1] if abs(fix.second - second) <= FARTHEST
    ]
    if not beside:
        return None
    first, last = beside[0], beside[-1]
    share = (second - first.second) / ((last.second - first.second) or math.inf)
    share = min(max(share, 0.0), 1.0)

    def between(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else a + share * (b - a)

    # Across the antimeridian the short way.
    east = (last.longitude - first.longitude + 180) % 360 - 180
    return Fix(
        second,
        first.latitude + share * (last.latitude - first.latitude),
        (first.longitude + share * east + 180) % 360 - 180,
        between(first.altitude, last.altitude),
        between(first.relative_altitude, last.relative_altitude),
    )


@dataclass(frozen=True)
class Telemetry:
    """The positions beside a film, and the file that tells them."""

    file: str
    fixes: Sequence[Fix]


def telemetry_of(film: SourceFile, files: Sequence[SourceFile]) -> Telemetry | None:
    """What the SRT file of a film's name beside it tells; None without one that has positions."""
    wanted = PurePosixPath(film.name.lower()).with_suffix(SUFFIX)
    for file in files:
        if PurePosixPath(file.name.lower()) == wanted and file.size <= MAX_BYTES:
            fixes = read_srt(read_file(file).decode("utf-8", errors="replace"))
            return Telemetry(file.name, fixes) if fixes else None
    return None
