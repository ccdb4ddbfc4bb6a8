"""A place on the Earth that a person states."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scripts.lib.core.console import UserError

NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)")


@dataclass(frozen=True)
class Place:
    """WGS84: degrees, and metres above the ellipsoid."""

    latitude: float
    longitude: float
    height: float


def parse_place(text: str) -> Place | None:
    """The place that a text of three numbers states; None for an empty one. Raises UserError on any other."""
    words = [word for word in re.split(r"[,;\s]+", text.strip()) if word]
    if not words:
        return None
    wrong = UserError(
        f"place is {text!r}; give latitude, longitude (degrees, WGS84) and height above the ellipsoid"
        " (metres), such as '-33.8568, 151.2153, 25'"
    )
    if len(words) != 3 or not all(NUMBER.fullmatch(word) for word in words):
        raise wrong
    latitude, longitude, height = map(float, words)
    if abs(latitude) > 90 or abs(longitude) > 360 or abs(height) > 100_000:
        raise wrong
    return Place(latitude, (longitude + 180) % 360 - 180, height)
