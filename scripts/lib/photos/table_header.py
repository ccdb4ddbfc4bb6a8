"""The header of a table of positions: which column tells what, whatever the columns are called."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.lib.core.console import UserError
from scripts.lib.core.quantities import split_unit
from scripts.lib.photos.photo_index import PhotoIndex

# Names of columns that people and programs use, in lower-case letters, the clearest first.
COLUMNS = {
    "file": (
        *("sourcefile", "filepath", "imagepath", "path", "filename", "imagename", "imagefilename"),
        *(
            "photoname",
            "imagefile",
            "photofile",
            "file",
            "image",
            "photo",
            "picture",
            "label",
            "name",
        ),
    ),
    "latitude": ("latitude", "lat", "gpslatitude", "gpslat", "northing", "north", "y"),
    "longitude": (
        *("longitude", "lon", "lng", "long", "gpslongitude", "gpslon", "gpslong", "easting"),
        *("east", "x"),
    ),
    "altitude": (
        *("altitude", "alt", "height", "elevation", "elev", "gpsaltitude", "gpsalt"),
        *("ellipsoidalheight", "absolutealtitude", "altitudemsl", "z"),
    ),
    "horizontal": (
        *("accuracyhorizontal", "horizontalaccuracy", "haccuracy", "accuracyhorz", "accuracyxy"),
        "gpshpositioningerror",
    ),
    "vertical": ("accuracyvertical", "verticalaccuracy", "vaccuracy", "accuracyvert", "accuracyz"),
    "both": ("gpsposition", "gpscoordinates", "position", "latlon", "latlong", "coordinates"),
    "latitude_ref": ("gpslatituderef", "latituderef"),
    "longitude_ref": ("gpslongituderef", "longituderef"),
    "altitude_ref": ("gpsaltituderef", "altituderef"),
}
DELIMITERS = ",;\t|"
HEADER_WITHIN = 30  # lines
MAX_HEADER = 10_000  # characters


@dataclass(frozen=True)
class Header:
    """Where the header of a table stands, its delimiter and cells, and the column of each key of COLUMNS."""

    line: int
    delimiter: str
    cells: Sequence[str]
    place: Mapping[str, int]

    def cell(self, row: Sequence[str], key: str) -> str:
        """The text that a row has for a key; empty where it has none."""
        at = self.place.get(key)
        return row[at] if at is not None and at < len(row) else ""

    def ground(self, row: Sequence[str]) -> tuple[str, str]:
        """The texts of latitude and longitude, which may stand in one cell (exiftool's GPSPosition)."""
        if {"latitude", "longitude"} <= self.place.keys():
            return self.cell(row, "latitude"), self.cell(row, "longitude")
        parts = re.split(r"[,;]\s+|\s+(?=\S+$)", self.cell(row, "both"), maxsplit=1)
        return parts[0], parts[1] if len(parts) > 1 else ""

    def unit(self, key: str) -> float | None:
        """Metres in the unit that the column's name tells."""
        return split_unit(self.cells[self.place[key]])[1] if key in self.place else None


def asked_columns(columns: str) -> dict[str, str]:
    """The column asked for each key by the option `position_columns`. Raises UserError."""
    asked = {}
    for pair in filter(None, (part.strip() for part in columns.split(","))):
        key, equals, column = (part.strip() for part in pair.partition("="))
        if key not in COLUMNS or not equals or not column:
            raise UserError(
                f"import_photos.position_columns: {pair!r} is not understood; write "
                "file=..., latitude=..., longitude=... and, if there, altitude=..., horizontal=..., "
                "vertical=..."
            )
        asked[key] = column
    return asked


def find_header(lines: Sequence[str], columns: str) -> Header | None:
    """The first line that has columns for file names and positions, or those that `columns` names.

    It may stand below other lines, and be a comment. Raises UserError for `columns` that say nothing.
    """
    asked = asked_columns(columns)
    first = [(n, line) for n, line in enumerate(lines, 1) if line.strip()][:HEADER_WITHIN]
    for number, line in first:
        for delimiter in DELIMITERS:
            plain = line.strip().lstrip("#").strip() if line.lstrip().startswith("#") else line
            try:
                cells = [c.strip() for c in next(csv.reader([plain], delimiter=delimiter), [])]
            except csv.Error:  # a field beyond the reader's limit
                continue
            place = _columns(cells, asked)
            if "file" in place and ({"latitude", "longitude"} <= place.keys() or "both" in place):
                return Header(number, delimiter, cells, place)
    return None


def _columns(cells: Sequence[str], asked: Mapping[str, str]) -> dict[str, int]:
    """Where each key of COLUMNS stands; none when a column that was asked for is missing."""
    plain = [plain_name(cell) for cell in cells]
    place = {
        key: plain.index(alias)
        for key, aliases in COLUMNS.items()
        for alias in reversed(aliases)
        if alias in plain
    }
    for key, column in asked.items():
        if column not in cells:
            return {}
        place[key] = cells.index(column)
    return place


def plain_name(cell: str) -> str:
    """A column's name without its unit, exiftool's group (`EXIF:GPSLatitude`), axis (`X/Longitude`)."""
    name = cell.strip().strip("\"'").rpartition(":")[2]
    axis = re.fullmatch(r"[XYZxyz]\s*/\s*(.+)", name)
    return split_unit(axis[1] if axis else name)[0]


def why_no_header(content: Sequence[tuple[int, str]], index: PhotoIndex, folder: str) -> str:
    """Why a table has no header with positions, and what to do if it names photos."""
    delimiter = max(DELIMITERS, key=content[0][1].count)
    first, *others = (
        [cell.strip() for cell in next(csv.reader([line[:MAX_HEADER]], delimiter=delimiter), [])]
        for _, line in content[:3]
    )
    place = _columns(first, {})
    kinds = {"file": "names of photos", "latitude": "latitudes", "longitude": "longitudes"}
    missing = " and ".join(kind for key, kind in kinds.items() if key not in place)
    why = (
        f"it has no column for {missing or 'positions'} (it begins with {', '.join(first)[:80]!r})"
    )
    if any(index.find(cell, folder).photos for cells in others for cell in cells):
        why += "; if they have other names, give these in import_photos.position_columns"
    return why
