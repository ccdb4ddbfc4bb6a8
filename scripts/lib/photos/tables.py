"""Tables of positions as spreadsheets and tools write them: exiftool, Metashape, Pix4D, or by hand."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.lib.core.quantities import (
    decimal_sign,
    is_unknown,
    parse_angle,
    parse_length,
    parse_number,
)
from scripts.lib.core.text_files import text_lines
from scripts.lib.photos.crs import CoordinateSystem, feet_remark, find_system
from scripts.lib.photos.gcp import split_sighting
from scripts.lib.photos.geo_txt import content_lines, read_geo, split_line
from scripts.lib.photos.photo_index import Match, PhotoIndex
from scripts.lib.photos.rows import Row, located_row
from scripts.lib.photos.table_header import COLUMNS, Header, find_header, plain_name, why_no_header

LENGTHS = ("altitude", "horizontal", "vertical")
# Such columns hold degrees only where the file or the numbers say so: pixels have these names too.
UNCLEAR_KEYS = {"latitude", "longitude"}
UNCLEAR = {"x", "y", "east", "north", "easting", "northing"}
DEGREE_DECIMALS = 4  # 0.0001 degrees are ten metres: degrees of photos have more digits than pixels


class NotUsedError(Exception):
    """The table as a whole tells no positions; the message says why, to follow "not used: ".

    `clear` where it is of photos all the same, so that its user should know.
    """

    def __init__(self, why: str, clear: bool = False) -> None:
        super().__init__(why)
        self.clear = clear


@dataclass(frozen=True)
class Table:
    """The rows of a table, and what the user should know of how they were read."""

    rows: Sequence[Row]
    remark: str | None = None


def read_table(text: str, columns: str, index: PhotoIndex, folder: str) -> Table:
    """The rows of a table that lies in `folder` of the source, whatever its dialect.

    A header within the first lines names the columns, or `columns` does (option `position_columns`);
    a list without a header is name, latitude, longitude, height as Pix4D reads it; a first line with
    a coordinate system makes it a geo.txt. Raises NotUsedError when the table tells no positions.
    """
    content = content_lines(text)
    if not content:
        raise NotUsedError("it is empty")
    system = find_system(content[0][1])
    if system is not None:
        if any(
            parts and index.find(parts[1], folder).photos
            for _, line in content[1:]
            if (parts := split_sighting(line, index, folder))
        ):
            raise NotUsedError(
                "it lists surveyed points; call it gcp_list.txt to use them", clear=True
            )
        return Table(read_geo(text, system, index, folder), feet_remark(system))
    lines = text_lines(text)
    header = find_header(lines, columns)
    if header is None:
        rows = _without_header(content, index, folder)
        return Table(rows, "read as name, latitude, longitude, height, as it has no header")
    grid, fault = _grid(lines, header)
    header = _best_file_column(header, grid, index, folder)
    system = _system_above(lines, header.line)
    rows = _rows(header, grid, system, index, folder)
    return Table([*rows, *([fault] if fault else [])], feet_remark(system))


def _grid(lines: Sequence[str], header: Header) -> tuple[list[tuple[int, list[str]]], Row | None]:
    """Numbered rows of cells below the header, and a row with the fault that ends them too early."""
    body = [
        "" if number <= header.line or line.lstrip().startswith("#") else line
        for number, line in enumerate(lines, 1)
    ]
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader((f"{line}\n" for line in body), delimiter=header.delimiter, strict=True)
    begin = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((begin, [cell.strip() for cell in cells]))
            begin = reader.line_num + 1
    except csv.Error as error:
        return rows, Row(
            begin, fault=f"is not a row of a table ({error}); check its quotation marks"
        )
    return rows, None


def _best_file_column(
    header: Header, grid: Sequence[tuple[int, list[str]]], index: PhotoIndex, folder: str
) -> Header:
    """The header with that column of file names which meets most photos."""
    plain = [plain_name(cell) for cell in header.cells]
    choices = [header.place["file"]]
    choices += [i for i, name in enumerate(plain) if name in COLUMNS["file"] and i not in choices]

    def met(column: int) -> int:
        return sum(
            bool(index.find(row[column], folder).photos) for _, row in grid if column < len(row)
        )

    best = max(choices, key=met) if len(choices) > 1 else choices[0]
    return Header(header.line, header.delimiter, header.cells, {**header.place, "file": best})


def _system_above(lines: Sequence[str], header: int) -> CoordinateSystem | None:
    """The coordinate system that a line above the header names. Raises NotUsedError for a local one."""
    for line in lines[: header - 1]:
        named = re.search(r"coordinate\s*system\s*:?\s*(.+)", line, re.IGNORECASE)
        text = (named[1] if named else line).strip().lstrip("#").strip()
        system = find_system(text)
        if system is not None:
            return system
        if named:
            raise NotUsedError(f"its coordinate system gives no valid position ({text[:40]} ...)")
    return None


def _rows(
    header: Header,
    grid: Sequence[tuple[int, list[str]]],
    system: CoordinateSystem | None,
    index: PhotoIndex,
    folder: str,
) -> list[Row]:
    met = [(cells, index.find(header.cell(cells, "file"), folder)) for _, cells in grid]
    used = [cells for cells, match in met if match.photos]
    ground = [cell for cells in used for cell in header.ground(cells)]
    titles = {
        plain_name(header.cells[header.place[key]]) for key in UNCLEAR_KEYS & header.place.keys()
    }
    if system is None and UNCLEAR & titles:
        _require_degrees(ground)
    signs = {"ground": decimal_sign(ground, ",")}
    for key in LENGTHS:
        signs[key] = decimal_sign([header.cell(cells, key) for cells in used], signs["ground"])
    # What a row says that names no photo (a total, a take-off point) does not matter.
    return [
        _row(number, header, cells, system, signs, match)
        if match.photos
        else Row(number, header.cell(cells, "file"))
        for (number, _), (cells, match) in zip(grid, met, strict=True)
    ]


def _row(
    number: int,
    header: Header,
    cells: Sequence[str],
    system: CoordinateSystem | None,
    signs: Mapping[str, str],
    match: Match,
) -> Row:
    """One row of a table whose name is that of a photo."""
    name = header.cell(cells, "file")
    if any(cells[len(header.cells) :]):
        fault = "has more cells than there are columns; put decimal commas in quotes"
        return Row(number, name, match, fault=fault)
    if all(is_unknown(cell) for cell in header.ground(cells)):
        return Row(number, name, match)  # a photo without a fix
    try:
        place = _place(header, cells, system, signs["ground"])
        altitude, horizontal, vertical = (
            _length(header, cells, key, system, signs[key]) for key in LENGTHS
        )
    except _NoValueError as error:
        why = f"({name}): {error}; correct it, or leave the cell empty"
        return Row(number, name, match, fault=why)
    if altitude is not None:
        altitude = _signed(altitude, header.cell(cells, "altitude_ref"), "1b")
    return located_row(number, name, match, place, altitude, (horizontal, vertical))


class _NoValueError(Exception):
    """A cell that says nothing that its column may say."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(f"{text!r} is not a {kind}")


def _place(
    header: Header, cells: Sequence[str], system: CoordinateSystem | None, sign: str
) -> tuple[float, float]:
    """Latitude and longitude in degrees. Raises _NoValueError when the cells tell none."""
    ground = header.ground(cells)
    if system is None:
        values = [parse_angle(ground[0], "NS"), parse_angle(ground[1], "EW")]
    else:
        values = [parse_number(cell, sign) for cell in ground]
    for value, cell, kind in zip(values, ground, ("latitude", "longitude"), strict=True):
        if value is None:
            raise _NoValueError(cell, kind if system is None else f"number for {system.name[:40]}")
    north, east = values[0] or 0.0, values[1] or 0.0
    if system is None:
        return (
            _signed(north, header.cell(cells, "latitude_ref"), "s"),
            _signed(east, header.cell(cells, "longitude_ref"), "w"),
        )
    place = system.place(east, north)
    if place is None:
        raise _NoValueError(f"{ground[1]} {ground[0]}", f"position in {system.name[:40]}")
    return place


def _length(
    header: Header, cells: Sequence[str], key: str, system: CoordinateSystem | None, sign: str
) -> float | None:
    """Metres of one of LENGTHS; None where unknown. Raises _NoValueError when the cell tells no length."""
    cell = header.cell(cells, key)
    if is_unknown(cell):
        return None
    usual = system.height_m if system is not None and key == "altitude" else 1.0
    found = parse_length(cell, header.unit(key) or usual, sign)
    if found is None:
        raise _NoValueError(cell, "height" if key == "altitude" else "accuracy")
    return found


def _signed(value: float, reference: str, negative: str) -> float:
    """`value` below zero where its column of references says south, west or below sea level."""
    return -abs(value) if reference.strip().lower()[:1] in tuple(negative) else value


def _require_degrees(cells: Sequence[str]) -> None:
    """Numbers that no column calls degrees are some only when they look like it. Raises NotUsedError."""
    told = [cell for cell in cells if not is_unknown(cell)]
    clear = re.compile(rf"[.,]\d{{{DEGREE_DECIMALS},}}|[^-+\d.,eE\s]")
    fine = sum(bool(clear.search(cell)) for cell in told)
    if fine * 2 < len(told) or any(parse_angle(cell, "EW") is None for cell in told):
        raise NotUsedError(
            "its numbers are not degrees, or have too few digits for photo positions, and it does "
            "not name a coordinate system; write them as geo.txt, whose first line names it"
        )


def _without_header(
    content: Sequence[tuple[int, str]], index: PhotoIndex, folder: str
) -> list[Row]:
    """A list of name, latitude, longitude, [height, [angles], [accuracies]]. Raises NotUsedError."""
    if split_line(content[0][1], index, folder) is None:
        raise NotUsedError(why_no_header(content, index, folder))
    split = [(number, split_line(line, index, folder)) for number, line in content]
    if not any(s and index.find(s[0], folder).photos for _, s in split):
        raise NotUsedError(why_no_header(content, index, folder))
    known = [s for _, s in split if s]
    decimal = decimal_sign([cell for _, cells in known for cell in cells[:2]], ",")
    places = [[parse_number(cell, decimal) or 0.0 for cell in cells[:2]] for _, cells in known]
    # Latitude is first unless the numbers cannot be one.
    order = (1, 0) if any(abs(a) > 90 for a, _ in places) else (0, 1)
    _require_degrees([c for s in known if index.find(s[0], folder).photos for c in s[1][:2]])
    names = ["file", *(("latitude", "longitude")[i] for i in order), "altitude"]
    longest = max(len(cells) for _, cells in known)
    names += {5: ["horizontal", "vertical"], 8: ["", "", "", "horizontal", "vertical"]}.get(
        longest, []
    )
    names += [""] * (longest + 1 - len(names))
    header = Header(0, ",", names, {name: at for at, name in enumerate(names) if name})
    rows = []
    grid = [(number, [s[0], *s[1]] if s else []) for number, s in split]
    for row, (_, cells) in zip(_rows(header, grid, None, index, folder), grid, strict=True):
        rows.append(
            row if cells else Row(row.line, fault="is not name, latitude, longitude, height")
        )
    return rows
