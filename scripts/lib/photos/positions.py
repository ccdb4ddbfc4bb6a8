"""Positions that come beside the photos: which files tell them, and which photo gets which.

What is meant and what is a bystander:

- A geo.txt, and a table that the option `positions` names, are meant: a line of theirs that cannot be read
  stops the import. So does a table that is found by itself and gives photos of the source positions.
- Any other table beside the photos (a flight log, notes, survey points) is left aside with one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from scripts.lib.contracts.photos import Beside, Photo
from scripts.lib.core.console import UserError
from scripts.lib.core.text_files import decode_text
from scripts.lib.photos.crs import feet_remark, find_system
from scripts.lib.photos.geo_txt import SYSTEM_ADVICE, content_lines, read_geo
from scripts.lib.photos.options import RejectedError
from scripts.lib.photos.photo_index import PhotoIndex
from scripts.lib.photos.rows import Position, Row
from scripts.lib.photos.table_header import asked_columns
from scripts.lib.photos.tables import NotUsedError, Table, read_table
from scripts.lib.photos.wording import counted, some_of

GEO_FILE = "geo.txt"
TABLE_SUFFIXES = (".csv", ".tsv")
# Lists of photos also come as .txt; one that names none is a text file like any other.
LIST_SUFFIX = ".txt"
SPREADSHEET_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")


@dataclass(frozen=True)
class PositionFile:
    """A file beside the photos that may tell positions: its rows, or why it tells none."""

    name: str
    rows: Sequence[Row] = ()
    unused: str | None = None
    remark: str | None = None


@dataclass(frozen=True)
class Given:
    """The position of one photo and the file that tells it."""

    position: Position
    file: str

    def stored_in(self, photo: Photo) -> Photo:
        """The photo at this position."""
        return replace(
            photo,
            latitude=self.position.latitude,
            longitude=self.position.longitude,
            altitude=self.position.altitude,
            position_source=self.file,
            accuracy_horizontal_m=self.position.horizontal,
            accuracy_vertical_m=self.position.vertical,
        )


@dataclass(frozen=True)
class Positions:
    """All files of positions of a source, and what each photo gets from them, by its name there."""

    files: Sequence[PositionFile]
    of: Mapping[str, Given]

    def notes(self, kept: Collection[str]) -> list[Beside]:
        """Lines for photos.json's `others`: what each file gave to the photos `kept`, and what it did not."""
        return [Beside(file.name, "positions", self._note(file, kept)) for file in self.files]

    def _note(self, file: PositionFile, kept: Collection[str]) -> str:
        if file.unused:
            return f"not used: {file.unused}"
        given = {photo for photo, told in self.of.items() if told.file == file.name}
        used = len(given.intersection(kept))
        said = [f"positions of {counted(used, 'photo')}"] if used else []
        lost = _lost(file, self.of, given)
        if len(given) > used:
            lost.append(f"{counted(len(given) - used, 'photo')} with a position, but left out")
        if not lost and not used:
            lost = ["it has no positions"]
        said += [file.remark] if file.remark else []
        return "; ".join([*said, *lost] if used else ["not used: " + "; ".join(lost)])


def find_position_files(names: Sequence[str], asked: str) -> list[str]:
    """The files that may tell positions: those of the name asked for, else geo.txt, then every table.

    Raises UserError when the one asked for is not there.
    """
    if asked:
        found = [n for n in names if n == asked or PurePosixPath(n).name == asked]
        if not found:
            raise UserError(
                f"import_photos.positions names {asked}, which is not in the source; put it next to "
                "the photos"
            )
        return found
    geo = [name for name in names if _is_geo(name)]
    suffixes = (*TABLE_SUFFIXES, *SPREADSHEET_SUFFIXES, LIST_SUFFIX)
    tables = [n for n in names if PurePosixPath(n).suffix.lower() in suffixes]
    return geo + [name for name in tables if name not in geo]


def read_positions(
    sources: Mapping[str, Callable[[], bytes]], index: PhotoIndex, asked: bool, columns: str
) -> Positions:
    """The positions of the files `sources`, in their order: what an earlier one tells counts.

    `asked` says that the user named them; `columns` is the option `position_columns`. A .txt that
    names no photo is not among the files of the result. Raises UserError with the line that cannot
    be read of a file that is meant.
    """
    asked_columns(columns)
    files = [
        file
        for name, read in sources.items()
        if (file := read_file_of_positions(name, read, index, asked, columns)) is not None
    ]
    tables = [file for file in files if not _is_geo(file.name)]
    if columns and tables and all(file.unused for file in tables):
        raise UserError(
            f"import_photos.position_columns does not fit {tables[0].name}: {tables[0].unused}; "
            "write its columns as they are spelled there: file=..., latitude=..., longitude=..."
        )
    given: dict[str, Given] = {}
    for file in files:
        for photo, row in _best_rows(file).items():
            if row is not None and row.position is not None:
                given.setdefault(photo, Given(row.position, file.name))
    return Positions(files, given)


def read_file_of_positions(
    name: str, read: Callable[[], bytes], index: PhotoIndex, asked: bool, columns: str
) -> PositionFile | None:
    """One file of positions; None for a .txt that is none. Raises UserError where it is meant and wrong."""
    path = PurePosixPath(name)
    geo = _is_geo(name)
    optional = path.suffix.lower() == LIST_SUFFIX and not (asked or geo)
    folder = "" if path.parent == PurePosixPath(".") else path.parent.as_posix()
    try:
        if path.suffix.lower() in SPREADSHEET_SUFFIXES:
            raise NotUsedError(
                "it is a spreadsheet; save it as CSV if it has the photos' positions"
            )
        table = (_read_geo if geo else read_table)(read_text(read), columns, index, folder)
    except NotUsedError as error:
        if asked or geo:
            raise UserError(f"{name} cannot be used for positions: {error}") from None
        if optional and not error.clear:
            return None
        return PositionFile(name, unused=str(error))
    rows = table.rows
    faults = [row for row in rows if row.fault]
    gives = any(row.match.meant and row.position for row in rows)
    if faults and (asked or geo or gives):
        raise UserError(f"{name} line {faults[0].line} {faults[0].fault}")
    if asked and not any(row.match.photos for row in rows):
        raise UserError(
            f"{name}, which import_photos.positions names, {_no_photo(rows)}; write the names that the "
            "photos have here"
        )
    if optional and not any(row.match.photos for row in rows):
        return None
    unused = f"line {faults[0].line} {faults[0].fault}" if faults else None
    return PositionFile(name, rows, unused, table.remark)


def read_text(read: Callable[[], bytes]) -> str:
    """The text of a file beside the photos. Raises NotUsedError for what is none or cannot be read."""
    try:
        data = read()
    except RejectedError as rejection:
        raise NotUsedError(f"it is {rejection}") from None
    text = decode_text(data)
    if text is None:
        raise NotUsedError("it is not a text file; save it as CSV or as text")
    return text


def _is_geo(name: str) -> bool:
    return PurePosixPath(name).name.lower() == GEO_FILE


def _read_geo(text: str, _: str, index: PhotoIndex, folder: str) -> Table:
    lines = content_lines(text)
    if not lines:
        raise NotUsedError("it is empty; its first line names the coordinate system")
    system = find_system(lines[0][1])
    if system is None:
        raise NotUsedError(
            f"it begins with {lines[0][1][:60]!r}, which is not a coordinate system; {SYSTEM_ADVICE}"
        )
    return Table(read_geo(text, system, index, folder), feet_remark(system))


def _best_rows(file: PositionFile) -> dict[str, Row | None]:
    """For each photo that the file gives a position: the row that names it best, None where two differ."""
    best: dict[str, Row | None] = {}
    ranks: dict[str, tuple[int, int]] = {}
    for row in file.rows if not file.unused else ():
        if row.position is None:
            continue
        for photo in row.match.meant:
            other = best.get(photo)
            if photo not in ranks or row.match.rank > ranks[photo]:
                best[photo], ranks[photo] = row, row.match.rank
            elif row.match.rank == ranks[photo] and (
                other is None or other.position != row.position
            ):
                best[photo] = None
    return best


def _no_photo(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(row.name for row in rows if row.name))
    if not names:
        return "names no photo"
    return f"names no photo of this source ({some_of(names)})"


def _outdone(row: Row, best: Mapping[str, Row | None]) -> bool:
    """Whether other rows name all photos of this one better: another folder's photo of the same name."""
    others = [best.get(photo) for photo in row.match.meant]
    return bool(others) and all(
        other is not None and other.match.rank > row.match.rank and other.position != row.position
        for other in others
    )


def _lost(file: PositionFile, of: Mapping[str, Given], given: Collection[str]) -> list[str]:
    """What of a file's rows no photo got, and why."""
    best = _best_rows(file)
    lost = []
    strangers = list(
        dict.fromkeys(
            r.name for r in file.rows if r.name and (not r.match.photos or _outdone(r, best))
        )
    )
    if strangers and len(strangers) == len({r.name for r in file.rows if r.name}):
        lost.append("it " + _no_photo(file.rows))
    elif strangers:
        lost.append(f"{counted(len(strangers), 'name')} that no photo has ({some_of(strangers)})")
    unclear = list(dict.fromkeys(row.name for row in file.rows if row.match.ambiguous))
    if unclear:
        lost.append(
            f"{counted(len(unclear), 'name')} that photos in several folders have ({some_of(unclear)}): "
            "write the folder before the name"
        )
    twice = [photo for photo, row in best.items() if row is None]
    if twice:
        lost.append(f"{counted(len(twice), 'photo')} with several positions ({some_of(twice)})")
    empty = [row.name for row in file.rows if row.match.photos and row.position is None]
    if empty:
        lost.append(f"{counted(len(empty), 'photo')} without coordinates ({some_of(empty)})")
    earlier = [p for p, row in best.items() if row is not None and p not in given]
    if earlier:
        lost.append(
            f"{counted(len(earlier), 'photo')} with a better position from {of[earlier[0]].file}"
        )
    high = [row.name for row in file.rows if row.no_such_height and row.match.photos]
    if high:
        lost.append(f"{counted(len(high), 'height')} that cannot be right ({some_of(high)})")
    return lost
