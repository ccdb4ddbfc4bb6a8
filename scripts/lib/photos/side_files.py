"""Files beside the photos that tell positions and surveyed points, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from scripts.lib.contracts.photos import Beside, Sighting
from scripts.lib.core.console import UserError
from scripts.lib.photos.gcp import (
    GCP_FILE,
    GroundPoint,
    Survey,
    gcp_note,
    named_by_place,
    read_gcp_list,
    upright_pixel,
)
from scripts.lib.photos.options import ImportOptions, RejectedError
from scripts.lib.photos.photo_index import PhotoIndex
from scripts.lib.photos.positions import Positions, find_position_files, read_positions, read_text
from scripts.lib.photos.prepare import Item
from scripts.lib.photos.source import SourceFile, read_file
from scripts.lib.photos.tables import NotUsedError

MAX_BYTES = 64_000_000  # a line has a hundred: enough for half a million photos


@dataclass(frozen=True)
class SideFiles:
    """What the files beside the photos tell: positions, and the survey of each gcp_list.txt."""

    positions: Positions
    surveys: Mapping[str, Survey]

    @property
    def names(self) -> set[str]:
        """The files that were read here and are no photos."""
        return {file.name for file in self.positions.files} | set(self.surveys)


def read_side_files(
    files: Sequence[SourceFile], photos: Collection[str], options: ImportOptions
) -> SideFiles:
    """Read every geo.txt, gcp_list.txt and table of the source `files`; `photos` are the names they can mean.

    Raises UserError when one that is meant cannot be read.
    """
    index = PhotoIndex(photos)
    by_name = {file.name: file for file in files}

    def reader(file: SourceFile) -> Callable[[], bytes]:
        def read() -> bytes:
            if file.size > MAX_BYTES:
                raise RejectedError(
                    f"too large for a table of positions ({file.size / 1e6:.0f} MB)"
                )
            return read_file(file)

        return read

    lists = [name for name in by_name if PurePosixPath(name).name.lower() == GCP_FILE]
    found = find_position_files([n for n in by_name if n not in lists], options.positions)
    positions = read_positions(
        {name: reader(by_name[name]) for name in found},
        index,
        bool(options.positions),
        options.position_columns,
    )
    surveys: dict[str, Survey] = {}
    for name in lists:
        try:
            text = read_text(reader(by_name[name]))
        except NotUsedError as error:
            raise UserError(f"{name} cannot be used for surveyed points: {error}") from None
        surveys[name] = read_gcp_list(name, text, index)
    if len(lists) > 1:  # their labels are those of one survey
        together = [point for survey in surveys.values() for point in survey.points]
        named = iter(named_by_place(together))
        surveys = {
            name: replace(survey, points=[next(named) for _ in survey.points])
            for name, survey in surveys.items()
        }
    return SideFiles(positions, surveys)


def told(side: SideFiles, items: Sequence[Item]) -> tuple[list[Beside], list[Sighting]]:
    """For photos.json: a line on each file (`others`), and the sightings in photos that are kept (`gcps`)."""
    kept = {item.photo.original: item for item in items if item.photo.kept}
    others = side.positions.notes(kept)
    gcps: list[Sighting] = []
    for name, survey in side.surveys.items():
        used: set[GroundPoint] = set()
        outside: set[GroundPoint] = set()
        for point in survey.points:
            item = kept.get(point.match.photos[0]) if len(point.match.photos) == 1 else None
            if item is None or not item.photo.width:
                continue
            width, height = item.stored_size
            if not (0 <= point.x <= width and 0 <= point.y <= height):
                outside.add(point)
                continue
            used.add(point)
            gcps.append(_entry(point, item))
        note = gcp_note(survey, used, outside)
        others.append(Beside(name, "control points", note))
    return others, gcps


def _entry(point: GroundPoint, item: Item) -> Sighting:
    """A sighting with its pixel in the archived photo."""
    x, y = upright_pixel(point.x, point.y, item.stored_size, item.turn)
    factor = max(item.photo.size) / max(item.stored_size)
    place = point.latitude, point.longitude, point.altitude
    return Sighting(point.label, *place, item.photo.file, x * factor, y * factor)
