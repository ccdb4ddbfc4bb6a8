"""Ground control points from OpenDroneMap's gcp_list.txt: surveyed places and where photos show them."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from scripts.lib.core.console import UserError
from scripts.lib.core.quantities import decimal_sign, is_unknown, parse_length, parse_number
from scripts.lib.photos.crs import CoordinateSystem, feet_remark, find_system
from scripts.lib.photos.geo_txt import SEPARATORS, SYSTEM_ADVICE, content_lines, name_rank
from scripts.lib.photos.photo_index import Match, PhotoIndex
from scripts.lib.photos.wording import counted, some_of

GCP_FILE = "gcp_list.txt"
SIGHTING = "x y z pixel_x pixel_y image [label]"
NUMBERS = 5
# Places of one label that are nearer than this are one point, written with more or fewer digits.
SAME_PLACE_M = 0.1
DEGREE_M = 111_320.0


@dataclass(frozen=True)
class GroundPoint:
    """One sighting: WGS84 degrees and metres, and the pixel in the photo as it is stored.

    `altitude` is None where the survey does not know it (NaN): such a point counts across only.
    `match` tells which photo of the source the name `image` means.
    """

    label: str
    latitude: float
    longitude: float
    altitude: float | None
    image: str
    x: float
    y: float
    match: Match = Match()
    written: str = ""  # the label as the file has it; `label` tells points apart


@dataclass(frozen=True)
class Survey:
    """The sightings of a gcp_list.txt, and what to tell of it as a whole."""

    points: Sequence[GroundPoint]
    remark: str | None = None


def read_gcp_list(name: str, text: str, index: PhotoIndex) -> Survey:
    """Sightings of a gcp_list.txt: the coordinate system, then lines `x y z pixel_x pixel_y image [label]`.

    Blanks, tabs, commas or semicolons separate; z may be NaN or, between separators, empty. Points are
    told apart by label and place: one label at several places is several points, and points without a label
    are numbered. Raises UserError with the line that is wrong.
    """
    lines = content_lines(text)
    if not lines:
        raise UserError(f"{name} is empty; its first line names the coordinate system")
    system = find_system(lines[0][1])
    if system is None:
        raise UserError(
            f"{name} begins with {lines[0][1][:60]!r}, which is not a coordinate system; {SYSTEM_ADVICE}"
        )
    path = PurePosixPath(name)
    folder = "" if path.parent == PurePosixPath(".") else path.parent.as_posix()
    split = [(number, split_sighting(line, index, folder)) for number, line in lines[1:]]
    rows = [parts[0] for _, parts in split if parts]
    ground = decimal_sign([cell for row in rows for cell in row[:2]], ",")
    signs = (ground, *(decimal_sign([row[at] for row in rows], ground) for at in (2, 3, 4)))
    found = []
    for number, parts in split:
        if parts is None:
            raise UserError(f"{name} line {number} is not a sighting: {SIGHTING}")
        try:
            point = _sighting(*parts, system, signs)
        except ValueError as error:
            raise UserError(f"{name} line {number}: {error}") from None
        found.append(replace(point, match=index.find(point.image, folder)))
    return Survey(named_by_place(found), feet_remark(system))


def split_sighting(line: str, index: PhotoIndex, folder: str) -> tuple[list[str], str, str] | None:
    """The five numbers of a line as text, the image's name and the label; None when they are not there.

    Blanks may stand in the image's name: of all ways to cut, one whose name is that of a photo wins, then
    the first whose name ends in a suffix.
    """
    best: tuple[tuple[int, ...], list[str], str, str] | None = None
    for separator in SEPARATORS:
        pieces = line.split(separator)
        cells = [piece.strip().strip('"') for piece in pieces]
        numbers, names = cells[:NUMBERS], cells[NUMBERS:]
        if not names or not names[0] or not all(_is_number(cell) for cell in numbers):
            continue
        for end in range(NUMBERS + 1, len(cells) + 1):
            image = (separator or " ").join(pieces[NUMBERS:end]).strip(" \"'")
            label = next((cell for cell in cells[end:] if cell), "").strip("\"'")
            rank = name_rank(image, index, folder)
            if best is None or rank > best[0]:
                best = (rank, numbers, image, label)
    return best and best[1:]


def _is_number(cell: str) -> bool:
    return is_unknown(cell) or parse_length(cell) is not None


def _sighting(
    numbers: Sequence[str], image: str, label: str, system: CoordinateSystem, signs: Sequence[str]
) -> GroundPoint:
    """The sighting of one line. Raises ValueError with what is wrong."""
    x, y = (parse_number(cell, signs[0]) for cell in numbers[:2])
    pixel_x, pixel_y = (parse_number(numbers[at], signs[at - 1]) for at in (3, 4))
    if x is None or y is None or pixel_x is None or pixel_y is None:
        raise ValueError(
            f"x, y and the pixel must be numbers, not {' '.join(numbers)!r}: {SIGHTING}"
        )
    place = system.place(x, y)
    if place is None:
        raise ValueError(f"{x:g} {y:g} is not a valid position in {system.name}")
    altitude = None
    if not is_unknown(numbers[2]):
        altitude = parse_length(numbers[2], system.height_m, signs[1])
        if altitude is None or not -12000 < altitude < 20000:
            raise ValueError(f"{numbers[2]} is not a height; write NaN if it is not known")
    return GroundPoint(label, *place, altitude, image, pixel_x, pixel_y, written=label)


def named_by_place(points: Sequence[GroundPoint]) -> list[GroundPoint]:
    """The sightings with a label for each place: the one given, made unique where it stands for several."""
    places: list[tuple[GroundPoint, list[int]]] = []
    for i, point in enumerate(points):
        for first, members in places:
            if _same(first, point):
                members.append(i)
                break
        else:
            places.append((point, [i]))
    given = [
        next((points[i].label for i in members if points[i].label), "") for _, members in places
    ]
    taken = {label for label in given if given.count(label) == 1 and label}
    named = list(points)
    for (_, members), label in zip(places, given, strict=True):
        name = label if label in taken else _free(label or "gcp", taken, bool(label))
        taken.add(name)
        height = next((points[i].altitude for i in members if points[i].altitude is not None), None)
        for i in members:
            named[i] = replace(points[i], label=name, altitude=height)
    return named


def _same(first: GroundPoint, point: GroundPoint) -> bool:
    """Whether two sightings are of one point: at one place, or a hand's breadth apart under one label."""
    north = (point.latitude - first.latitude) * DEGREE_M
    east = (point.longitude - first.longitude) * DEGREE_M * math.cos(math.radians(first.latitude))
    up = 0.0
    if first.altitude is not None and point.altitude is not None:
        up = point.altitude - first.altitude
    alike = first.label == point.label and bool(point.label)
    return math.hypot(north, east, up) < (SAME_PLACE_M if alike else 1e-3)


def _free(label: str, taken: Collection[str], given: bool) -> str:
    number = 1
    while (name := f"{label}-{number}" if given else f"{label}{number}") in taken:
        number += 1
    return name


def upright_pixel(x: float, y: float, size: tuple[int, int], turn: int) -> tuple[float, float]:
    """Where pixel (x, y) of a stored photo of `size` lies once its EXIF orientation is undone."""
    width, height = size
    return {
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (height - y, x),
        7: (height - y, width - x),
        8: (y, width - x),
    }.get(turn, (x, y))


def gcp_note(
    survey: Survey, used: Collection[GroundPoint], outside: Collection[GroundPoint]
) -> str:
    """One line on what became of a survey's sightings.

    `used` went into photos.json; those `outside` have a pixel that their photo does not have.
    """
    points = survey.points
    if not points:
        return "not used: it has no sightings"
    lost = _lost(points, used, outside)
    if not used:
        return "; ".join(["not used: no sighting is in a photo", *lost])
    labels = {point.label for point in used}
    count = sum(point in used for point in points)
    said = [f"{counted(count, 'sighting')} of {counted(len(labels), 'surveyed point')}", *lost]
    shared = sorted({p.written for p in points if p.written and p.written != p.label})
    if shared:
        names = f"{shared[0]}-1, {shared[0]}-2"
        said.append(f"{some_of(shared)} labels several points, which are now called {names}")
    unknown = {point.label for point in used if point.altitude is None}
    if unknown:
        said.append(
            f"{counted(len(unknown), 'point')} without a height, used for the horizontal position only"
        )
    return "; ".join([*said, survey.remark] if survey.remark else said)


def _lost(
    points: Sequence[GroundPoint],
    used: Collection[GroundPoint],
    outside: Collection[GroundPoint],
) -> list[str]:
    """How many sightings were not used, by the reason, with the first names."""
    groups: dict[str, list[str]] = {}
    for point in points:
        if point in used:
            continue
        if not point.match.photos:
            why = "whose photo is not in the source"
        elif len(point.match.photos) > 1:
            why = "whose name several photos have; write the folder before it"
        elif point in outside:
            why = "outside the photo"
        else:
            why = "in photos that were left out"
        groups.setdefault(why, []).append(point.image)
    return [f"{len(g)} {why} ({some_of(list(dict.fromkeys(g)))})" for why, g in groups.items()]
