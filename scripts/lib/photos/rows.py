"""One line of a file of positions: the photo it names, where that was taken, or what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.lib.photos.photo_index import Match


@dataclass(frozen=True)
class Position:
    """WGS84 degrees, metres; accuracies as one standard deviation in metres."""

    latitude: float
    longitude: float
    altitude: float | None = None
    horizontal: float | None = None
    vertical: float | None = None


@dataclass(frozen=True)
class Row:
    """A line: `position` is None where it tells none, `fault` says what is wrong with it."""

    line: int
    name: str = ""
    match: Match = Match()
    position: Position | None = None
    fault: str | None = None
    no_such_height: bool = False  # its height was impossible and is left out


def located_row(
    line: int,
    name: str,
    match: Match,
    place: tuple[float, float],
    altitude: float | None,
    accuracy: tuple[float | None, float | None],
) -> Row:
    """The row of a photo at `place` (latitude, longitude), heights and accuracies in metres.

    At 0, 0 devices put what they have no fix for; the row then tells no position.
    """
    if place == (0.0, 0.0):
        return Row(line, name, match)
    possible = altitude is None or -1000 < altitude < 20000
    horizontal, vertical = (v if v is not None and 0 < v < 1e4 else None for v in accuracy)
    position = Position(*place, altitude if possible else None, horizontal, vertical)
    return Row(line, name, match, position, no_such_height=not possible)
