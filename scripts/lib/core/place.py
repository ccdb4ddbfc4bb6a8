"""A place on the Earth that a person states, and the frame east, north, up there."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.lib.core.console import UserError

SEMI_MAJOR = 6_378_137.0  # metres, of the ellipsoid of WGS84
FLATTENING = 1 / 298.257223563
ECCENTRICITY_2 = FLATTENING * (2 - FLATTENING)  # squared
NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)")


@dataclass(frozen=True)
class Place:
    """WGS84: degrees, and metres above the ellipsoid."""

    latitude: float
    longitude: float
    height: float

    def earth_from_local(self) -> NDArray[np.float64]:
        """4 x 4, from metres east, north, up of this place to Earth-centred ones (EPSG:4978).

        On poles, east is where the longitude says.
        """
        lat, lon = np.radians([self.latitude, self.longitude])
        east = [-np.sin(lon), np.cos(lon), 0.0]
        north = [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
        up = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack([east, north, up], axis=1)
        # The radius of curvature east-west; along the axis the ellipsoid is flatter.
        across = SEMI_MAJOR / np.sqrt(1 - ECCENTRICITY_2 * np.sin(lat) ** 2)
        flat = np.array([across, across, across * (1 - ECCENTRICITY_2)])
        matrix[:3, 3] = (flat + self.height) * up
        return matrix


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
