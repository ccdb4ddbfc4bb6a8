"""Coordinate systems that files of positions name in a line, and the way from them to WGS84."""

from __future__ import annotations

import math
import re
from functools import cache

from scripts.lib.core.quantities import FOOT_M

LONGEST_NAME = 10_000  # characters; a compound system as WKT has some thousands


class NoSystemError(Exception):
    """The text names no coordinate system that leads to a place on Earth."""


class CoordinateSystem:
    """A coordinate system: its name as written, the way to WGS84, and the metres in a unit of height."""

    def __init__(self, name: str) -> None:
        """Raises NoSystemError when `name` is none: EPSG:32633, WKT, PROJ or `WGS84 UTM 33N`."""
        from pyproj import CRS, Transformer
        from pyproj.exceptions import ProjError

        # Spreadsheets fill the line with empty cells.
        self.name = name.strip().strip("\"'").rstrip(" ,;\t")
        utm = re.fullmatch(
            r"(?:WGS\s?84)?[\s/]*UTM\s*(?:zone)?\s*(\d{1,2})\s*([NS])", self.name, re.IGNORECASE
        )
        code = self.name
        if utm:
            code = f"EPSG:{(326 if utm[2].upper() == 'N' else 327) * 100 + int(utm[1])}"
        try:
            system = CRS.from_user_input(code)
            change = Transformer.from_crs(system, "EPSG:4326", always_xy=True)
        except ProjError:
            raise NoSystemError(self.name) from None
        axes = system.axis_info
        if not (system.is_geographic or system.is_projected):
            raise NoSystemError(self.name)
        # Where only x and y have a unit, z has the same: a survey in feet has its heights in feet.
        unit = axes[2] if len(axes) > 2 else axes[0] if system.is_projected else None
        self.height_m = unit.unit_conversion_factor if unit is not None else 1.0
        self._change = change

    @property
    def in_feet(self) -> bool:
        """Whether heights are in feet, of any of the definitions."""
        return abs(self.height_m - FOOT_M) < 1e-5

    def place(self, x: float, y: float) -> tuple[float, float] | None:
        """(latitude, longitude) in WGS84 degrees; None where that is no place on Earth."""
        longitude, latitude = self._change.transform(x, y)
        if not (math.isfinite(longitude) and math.isfinite(latitude)):
            return None
        return (latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None


@cache
def find_system(name: str) -> CoordinateSystem | None:
    """The coordinate system that a line names, None when it names none."""
    try:
        return CoordinateSystem(name) if len(name) <= LONGEST_NAME else None
    except NoSystemError:
        return None


def feet_remark(system: CoordinateSystem | None) -> str | None:
    """What to tell of a survey in feet: its heights are converted with it."""
    return "heights read as feet, like x and y" if system is not None and system.in_feet else None
