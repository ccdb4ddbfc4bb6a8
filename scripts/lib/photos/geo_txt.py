"""OpenDroneMap's geo.txt: a line with the coordinate system, then a line per photo."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scripts.lib.core.quantities import (
    decimal_sign,
    is_unknown,
    parse_length,
    parse_number,
)
from scripts.lib.core.text_files import text_lines
from scripts.lib.photos.crs import CoordinateSystem
from scripts.lib.photos.photo_index import PhotoIndex
from scripts.lib.photos.rows import Row, located_row

SEPARATORS = ("\t", ";", ",", None)  # None: blanks
SYSTEM_ADVICE = (
    "write EPSG:4326 for longitude and latitude, or the EPSG code of the survey's system"
)
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}[\"']?$")


def content_lines(text: str) -> list[tuple[int, str]]:
    """Numbers and text of the lines that are neither empty nor comments."""
    lines = [(number, line.strip()) for number, line in enumerate(text_lines(text), 1)]
    return [(n, line) for n, line in lines if line.strip(" ,;\t") and not line.startswith("#")]


def read_geo(text: str, system: CoordinateSystem, index: PhotoIndex, folder: str) -> list[Row]:
    """The rows of a geo.txt that lies in `folder` of the source, without its first line.

    `image x y [z] [omega phi kappa] [horizontal accuracy] [vertical accuracy] [anything]`, where
    fewer than three angles cannot be told from accuracies and are therefore not allowed. Tabs, commas,
    semicolons or blanks separate; an empty cell or NaN is a value that is not known.
    """
    lines = [(n, split_line(line, index, folder)) for n, line in content_lines(text)[1:]]
    decimal = decimal_sign([cell for _, s in lines if s for cell in s[1][:2]], ",")
    lengths = decimal_sign([cell for _, s in lines if s for cell in s[1][2:8]], decimal)
    return [_row(number, s, system, (decimal, lengths), index, folder) for number, s in lines]


def _row(
    number: int,
    split: tuple[str, list[str]] | None,
    system: CoordinateSystem,
    decimals: tuple[str, str],
    index: PhotoIndex,
    folder: str,
) -> Row:
    if split is None:
        return Row(number, fault="lacks coordinates: write image x y [z]")
    name, cells = split
    match = index.find(name, folder)
    x, y = (parse_number(cell, decimals[0]) for cell in cells[:2])
    if x is None or y is None:
        if is_unknown(cells[0]) and is_unknown(cells[1]):
            return Row(number, name, match)  # a photo without a fix
        return Row(
            number, name, match, fault=f"lacks coordinates after {name}: write image x y [z]"
        )
    place = system.place(x, y)
    if place is None:
        why = (
            f"{x:g} {y:g} is not a valid position in {system.name}; check the first line and the order x y "
            "(longitude latitude)"
        )
        return Row(number, name, match, fault=why)
    lengths = [
        None if is_unknown(cell) else parse_length(cell, unit, decimals[1])
        for cell, unit in zip(
            [*cells[2:8], *[""] * 6][:6], [system.height_m, *[1.0] * 5], strict=True
        )
    ]
    unread = [
        i for i in range(6) if lengths[i] is None and not is_unknown("".join(cells[2 + i : 3 + i]))
    ]
    if unread and (unread[0] == 0 or any(v is not None for v in lengths[unread[0] :])):
        return Row(
            number, name, match, fault=f"needs a number, not {cells[2 + unread[0]]!r} after x y"
        )
    return located_row(number, name, match, place, lengths[0], (lengths[4], lengths[5]))


def split_line(line: str, index: PhotoIndex, folder: str) -> tuple[str, list[str]] | None:
    """The photo's name and the cells that follow it; None when no two numbers follow a name.

    Names may contain the separator: of all ways to cut, one whose name is that of a photo wins, then
    one whose name ends in a suffix.
    """
    best: tuple[tuple[int, ...], str, list[str]] | None = None
    for name, cells in _cuts(line):
        rank = name_rank(name, index, folder)
        if best is None or rank > best[0]:
            best = (rank, name, cells)
    return best and best[1:]


def name_rank(name: str, index: PhotoIndex, folder: str) -> tuple[int, ...]:
    """How much a piece of a line looks like a photo's name, to compare ways of cutting the line."""
    match = index.find(name, folder)
    return match.rank[0] > 1, bool(_SUFFIX.search(name)), len(name) if match.photos else 0


def _cuts(line: str) -> Iterator[tuple[str, list[str]]]:
    for separator in SEPARATORS:
        pieces = line.split(separator)
        cells = [piece.strip().strip('"') for piece in pieces]
        for at in range(1, len(cells) - 1):
            first, second = cells[at : at + 2]
            if _is_value(first) and _is_value(second) and (at == 1 or first):
                yield (separator or " ").join(pieces[:at]).strip(" \"'"), cells[at:]


def _is_value(cell: str) -> bool:
    return parse_number(cell) is not None or is_unknown(cell)
