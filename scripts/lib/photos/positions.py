"""Positions that come beside the photos: OpenDroneMap's geo.txt, or a CSV with a header."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from scripts.lib.console import UserError

# Names of columns that people and loggers use, in lower case without separators.
COLUMNS = {
    "file": ("file", "filename", "image", "imagename", "name", "photo", "label", "sourcefile"),
    "latitude": ("latitude", "lat", "gpslatitude", "y"),
    "longitude": ("longitude", "lon", "lng", "long", "gpslongitude", "x"),
    "altitude": ("altitude", "alt", "height", "elevation", "gpsaltitude", "z"),
    "horizontal": ("accuracyhorizontal", "horizontalaccuracy", "haccuracy", "accuracyhorizontalm"),
    "vertical": ("accuracyvertical", "verticalaccuracy", "vaccuracy", "accuracyverticalm"),
}


Transform = Callable[[float | None, float | None, float | None], tuple[float, float, float | None]]


@dataclass(frozen=True)
class Position:
    """WGS84 degrees, metres; accuracies as one standard deviation in metres."""

    latitude: float
    longitude: float
    altitude: float | None = None
    horizontal: float | None = None
    vertical: float | None = None


def find_position_file(names: Sequence[str], asked: str) -> str | None:
    """The source's file with positions: the one asked for, else geo.txt, else an only .csv.

    Raises UserError when the one asked for is not there.
    """
    if asked:
        found = [n for n in names if n == asked or PurePosixPath(n).name == asked]
        if not found:
            raise UserError(
                f"import_photos.positions names {asked}, which is not in the source; put it beside "
                "the photos"
            )
        return found[0]
    geo = [name for name in names if PurePosixPath(name).name.lower() == "geo.txt"]
    tables = [name for name in names if name.lower().endswith(".csv")]
    return geo[0] if geo else tables[0] if len(tables) == 1 else None


def read_positions(name: str, data: bytes, columns: str = "") -> dict[str, Position]:
    """Positions by lower-case file name. Raises UserError with the line that is wrong."""
    text = data.decode("utf-8-sig", "replace")
    if name.lower().endswith(".csv"):
        return _read_csv(name, text, columns)
    return _read_geo(name, text)


def lookup(positions: Mapping[str, Position], name: str) -> Position | None:
    """The position of the photo `name`: by its whole name, its file name, or that without suffix."""
    path = PurePosixPath(name.lower())
    keys = (path.as_posix(), path.name, path.stem)
    return next((positions[key] for key in keys if key in positions), None)


def _read_geo(name: str, text: str) -> dict[str, Position]:
    """OpenDroneMap's format: a line with the coordinate system, then one line per photo.

    `image x y [z] [omega phi kappa] [horizontal accuracy] [vertical accuracy] [anything]`, where
    fewer than three angles cannot be told from accuracies and are therefore not allowed.
    """
    lines = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.strip().startswith("#")
    ]
    if not lines:
        raise UserError(f"{name} is empty; its first line names the coordinate system")
    to_wgs84 = transformer_from(name, lines[0][1])
    found: dict[str, Position] = {}
    for number, line in lines[1:]:
        file, values = _split(line)
        if len(values) < 2:
            raise UserError(f"{name} line {number} lacks coordinates: image x y [z]")
        altitude = values[2] if len(values) > 2 else None
        longitude, latitude, height = to_wgs84(values[0], values[1], altitude)
        position = _position(latitude, longitude, height, *(values[6:8] + [None, None])[:2])
        if position is None:
            raise UserError(
                f"{name} line {number}: {values[0]:g} {values[1]:g} is no place on Earth in "
                f"{lines[0][1]}; check the first line and the order x y (longitude latitude)"
            )
        found[PurePosixPath(file.lower()).as_posix()] = position
    return found


def _split(line: str) -> tuple[str, list[float | None]]:
    """File name (spaces allowed when tabs or commas separate) and the numbers that follow it."""
    parts = [part.strip() for part in re.split(r"\t|,", line) if part.strip()]
    if len(parts) < 2:
        parts = line.split()
    values: list[float | None] = []
    for part in parts[1:]:
        try:
            values.append(float(part))
        except ValueError:
            break
    return parts[0], values


def transformer_from(name: str, system: str) -> Transform:
    """A function (x, y, z) -> (longitude, latitude, height) from a coordinate system's name.

    `EPSG:32633`, a PROJ string, or `WGS84 UTM 33N` as OpenDroneMap writes it. Raises UserError.
    """
    from pyproj import CRS, Transformer
    from pyproj.exceptions import CRSError

    utm = re.fullmatch(r"WGS84\s+UTM\s+(\d{1,2})\s*([NS])", system.strip(), re.IGNORECASE)
    if utm:
        system = f"EPSG:{(326 if utm[2].upper() == 'N' else 327) * 100 + int(utm[1])}"
    try:
        change = Transformer.from_crs(CRS.from_user_input(system), "EPSG:4326", always_xy=True)
    except CRSError:
        raise UserError(
            f"{name} begins with {system[:60]!r}, which is no coordinate system; write EPSG:4326 for "
            "longitude and latitude"
        ) from None

    def transform(
        x: float | None, y: float | None, z: float | None
    ) -> tuple[float, float, float | None]:
        longitude, latitude = change.transform(x, y)
        return longitude, latitude, z

    return transform


def _read_csv(name: str, text: str, columns: str) -> dict[str, Position]:
    """A table with a header; columns are recognised by their names, or named by the option."""
    sample = text[:4096]
    delimiter = max(",;\t", key=sample.count)
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    header = [cell.strip() for cell in next(_quiet(rows, name), [])]
    place = _columns(name, header, columns)
    found: dict[str, Position] = {}
    for number, row in enumerate(_quiet(rows, name), 2):
        if not any(cell.strip() for cell in row):
            continue
        cells = {key: row[at].strip() if at < len(row) else "" for key, at in place.items()}
        values = {key: _float(cell) for key, cell in cells.items() if key != "file"}
        if not cells["file"] or values["latitude"] is None or values["longitude"] is None:
            continue  # a photo without a fix
        position = _position(
            values["latitude"],
            values["longitude"],
            values.get("altitude"),
            values.get("horizontal"),
            values.get("vertical"),
        )
        if position is None:
            raise UserError(f"{name} line {number}: latitude or longitude out of range")
        found[PurePosixPath(cells["file"].replace("\\", "/").lower()).as_posix()] = position
    return found


def _columns(name: str, header: Sequence[str], asked: str) -> dict[str, int]:
    plain = [re.sub(r"[^a-z]", "", cell.lower()) for cell in header]
    place = {
        key: plain.index(alias)
        for key, aliases in COLUMNS.items()
        for alias in reversed(aliases)
        if alias in plain
    }
    for pair in filter(None, (part.strip() for part in asked.split(","))):
        key, _, column = (part.strip() for part in pair.partition("="))
        if key not in COLUMNS or column not in header:
            raise UserError(
                f"import_photos.position_columns: {pair!r} does not fit {name}, whose columns are "
                f"{', '.join(header)}; write file=..., latitude=..., longitude=..."
            )
        place[key] = header.index(column)
    missing = [key for key in ("file", "latitude", "longitude") if key not in place]
    if missing:
        raise UserError(
            f"{name} has no column for {' and '.join(missing)} (its columns: {', '.join(header)}); "
            "name them with import_photos.position_columns"
        )
    return place


def _quiet(rows: Iterator[list[str]], name: str) -> Iterator[list[str]]:
    try:
        yield from rows
    except csv.Error as error:
        raise UserError(f"{name} is not a readable CSV ({error})") from None


def _float(text: str) -> float | None:
    try:
        value = float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _position(
    latitude: float,
    longitude: float,
    altitude: float | None,
    horizontal: float | None,
    vertical: float | None,
) -> Position | None:
    """A checked position; None when it is not on Earth."""
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        return None
    if abs(latitude) > 90 or abs(longitude) > 180:
        return None
    if altitude is not None and not (math.isfinite(altitude) and -1000 < altitude < 20000):
        altitude = None
    good = [
        v if v is not None and math.isfinite(v) and 0 < v < 1e4 else None
        for v in (horizontal, vertical)
    ]
    return Position(latitude, longitude, altitude, *good)
