"""The scenes sheet: tab-separated text with a scene a line, as editors and spreadsheets write it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.core.console import UserError
from scripts.lib.core.text_files import encoding_of

WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods; .xls
SAVE_AS = (
    "save it as tab-separated text in UTF-8 (Excel: Unicode Text; LibreOffice: Text CSV, with tabs)"
)
# A cell in quotation marks, in which two of them stand for one. It may hold line breaks, and no tab.
QUOTED = re.compile(r'"((?:[^"\t]|"")*)"(?=[\t\n]|\Z)')
PLAIN = re.compile(r"[^\t\n]*")
SHOWN = 40  # characters of a cell in a message


class Row(dict[str, str]):
    """A scene's line: {column: cell}. `where` says in which line of which sheet it stands."""

    def __init__(self, cells: dict[str, str], where: str) -> None:
        super().__init__(cells)
        self.where = where


def where_of(row: Mapping[str, str]) -> str:
    """How a message calls a scene: by its line of the sheet, where that is known."""
    name = f"scene {row['scene']!r}"
    return f"{row.where} ({name})" if isinstance(row, Row) else name


@dataclass(frozen=True)
class Line:
    """A line that says something: its number from 1, and its cells without blanks around."""

    number: int
    cells: list[str]


def read_rows(sheet: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Columns of a sheet, and its rows as (line, {column: cell}). Raises UserError that names the line."""
    lines = list(_lines(sheet, _text(sheet)))
    if not lines:
        raise UserError(f"{sheet} is empty; its first line names the columns: scene and source")
    head, *body = lines
    columns = _without_empty_end(head.cells)
    if len(columns) < 2 and (mark := _other_separator(columns)):
        raise UserError(
            f"{sheet}, line {head.number}: columns are separated by {mark}, but a sheet has tabs; {SAVE_AS}"
        )
    for column in columns:
        if column and columns.count(column) > 1:
            raise UserError(
                f"{sheet}, line {head.number}: the column {column!r} appears twice; remove one of them"
            )
    return columns, [(line.number, _row(sheet, columns, line)) for line in body]


def _row(sheet: Path, columns: list[str], line: Line) -> dict[str, str]:
    """Cells by column, empty ones included. Raises UserError on a cell that no column names."""
    cells = _without_empty_end(line.cells)
    if len(cells) > len(columns):
        raise UserError(
            f"{sheet}, line {line.number}: there are {len(cells)} cells but only {len(columns)} "
            "columns; use one tab between two cells, and name every column in the first line"
        )
    cells += [""] * (len(columns) - len(cells))
    for column, cell in zip(columns, cells, strict=True):
        if cell and not column:
            raise UserError(
                f"{sheet}, line {line.number}: {_short(cell)} is in a column without a name; name the "
                "column in the first line, or remove the tab before the cell"
            )
    return {column: cell for column, cell in zip(columns, cells, strict=True) if column}


def _text(sheet: Path) -> str:
    r"""The sheet's text with line ends as \n. Raises UserError when there is none."""
    try:
        data = sheet.read_bytes()
    except FileNotFoundError:
        place = "" if sheet.is_absolute() else f" in {os.getcwd()}"  # noqa: PTH109 (read by people)
        raise UserError(
            f"the scenes sheet {sheet} does not exist{place}; make one with the columns scene and source,"
            " or pass --config scenes=FILE"
        ) from None
    except IsADirectoryError:
        raise UserError(f"the scenes sheet {sheet} is a folder; give the file in it") from None
    except OSError as error:
        raise UserError(f"the scenes sheet {sheet} cannot be read: {error.strerror}") from None
    if data.startswith(WORKBOOKS):
        raise UserError(f"the scenes sheet {sheet} is a workbook, not text; {SAVE_AS}")
    try:
        text = data.decode(encoding_of(data))
    except UnicodeDecodeError as error:
        line = len(re.findall(rb"\r\n?|\n", data[: error.start])) + 1
        raise UserError(
            f"{sheet}, line {line}: the byte 0x{data[error.start]:02x} is not UTF-8; {SAVE_AS}"
        ) from None
    if "\0" in text:
        raise UserError(f"the scenes sheet {sheet} is not text; {SAVE_AS}")
    return re.sub(r"\r\n?", "\n", text)


def _lines(sheet: Path, text: str) -> Iterator[Line]:
    """The lines that say something. Raises UserError on a cell with a quotation mark that nothing closes."""
    at, number = 0, 1
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        # A spreadsheet puts a comment with a comma into quotation marks.
        if text[at:end].lstrip(' "').startswith("#"):
            at, number = end + 1, number + 1
            continue
        begun, cells = number, list[str]()
        while True:
            quoted = text.startswith('"', at)
            found = (QUOTED if quoted else PLAIN).match(text, at)
            if found is None:
                raise UserError(
                    f"{sheet}, line {number}: the cell {_short(text[at:end])} begins with a quotation "
                    "mark that is not closed at the end of the cell; remove it, or close it"
                )
            cell = found[1].replace('""', '"') if quoted else found[0]
            number += found[0].count("\n")
            cells.append(" ".join(cell.split("\n")).strip())
            at = found.end() + 1
            if at > len(text) or text[at - 1] == "\n":
                break
        number += 1
        if any(cells):
            yield Line(begun, cells)


def _short(cell: str) -> str:
    cell = cell.partition("\t")[0]
    return repr(cell if len(cell) <= SHOWN else cell[:SHOWN] + "...")


def _without_empty_end(cells: list[str]) -> list[str]:
    """Spreadsheets and editors leave tabs at the end of a line."""
    while cells and not cells[-1]:
        cells = cells[:-1]
    return cells


def _other_separator(columns: list[str]) -> str:
    """In words what a line without tabs has in their place; empty when nothing is recognised."""
    line = columns[0] if columns else ""
    known = {",": "commas", ";": "semicolons", "|": "bars"}
    return next((word for mark, word in known.items() if mark in line), "")
