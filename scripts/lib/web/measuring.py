"""Distances on the page: whether they are offered, how exact they are, and how the page says so.

The page states each distance with the half width inside which it lies in 95 of 100 cases. It adds up, as
independent errors: the scale of the scene, and at both ends the cameras' positions, the place of the surface
and the click. `uncertainty` is the arithmetic; scripts/viewer/page/uncertainty.js does the same for a
visitor. Both refuse far from every photo, and far from every point of structure from motion: on the sample,
whose true depths are known, 40 of 100 places drawn by chance are refused, and of the distances between the
others 95 of 100 lie inside what is stated (tests/bench/NOTES.md).
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.lib.contracts.eval import DepthErrors
from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.georeferencing import georeferencing
from scripts.lib.contracts.sfm import Sfm
from scripts.lib.contracts.view import View

WIDE = 1.96  # standard deviations within which 95 of 100 normal errors lie
# How far from the nearest known place an end may be, as a share of its distance from the photos. Up to there
# surfaces are off by less than that distance in 95 of 100 cases; beyond, they may be anywhere.
REACH = 0.1
FARTHEST = 1.25  # times the depth up to which surfaces were compared: farther out nobody knows
PHOTOS = 300  # at most, spread evenly: the page is loaded by phones


@dataclass(frozen=True)
class Places:
    """Places in few bytes: `origin` plus `step` times whole numbers, which are base64 of x, y, z as
    little-endian int16."""

    origin: tuple[float, float, float]
    step: float
    numbers: str

    @classmethod
    def of(cls, places: Sequence[tuple[float, float, float]]) -> Places:
        """Places rounded to a 60 000th of their extent."""
        low = [min(place[axis] for place in places) for axis in range(3)]
        high = [max(place[axis] for place in places) for axis in range(3)]
        middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
        step = max(b - a for a, b in zip(low, high, strict=True)) / 60_000 or 1.0
        whole = [
            round((value - middle[i]) / step) for place in places for i, value in enumerate(place)
        ]
        packed = struct.pack(f"<{len(whole)}h", *whole)
        return cls((middle[0], middle[1], middle[2]), step, base64.b64encode(packed).decode())

    def unpacked(self) -> list[tuple[float, float, float]]:
        """The places again."""
        data = base64.b64decode(self.numbers)
        x, y, z = self.origin
        return [
            (x + self.step * a, y + self.step * b, z + self.step * c)
            for a, b, c in struct.iter_unpack("<3h", data)
        ]


@dataclass(frozen=True)
class Measure:
    """How exact distances are: half widths that hold in 95 of 100 cases."""

    error: float | None  # of the scale, share of a length; None where it is not known
    survey: bool  # from surveyed points, else from GPS
    source: str | None = None  # what else told the metres
    cameras: float = 0.0  # of a camera's position among the others, metres
    # Up to which distance from a photo (metres) surfaces are off by which share of it; empty: not compared.
    surfaces: tuple[tuple[float, float], ...] = ()
    # x, y, z, heading (degrees clockwise from +Y), pitch (degrees up) of photos
    photos: tuple[tuple[float, float, float, float, float], ...] = ()
    known: Places | None = None
    reach: float = REACH


@dataclass(frozen=True)
class End:
    """One end of a distance: how far the nearest photo that looks there is, how far the nearest known place,
    and half widths of the click and of a surface that is not smooth, all in metres."""

    away: float
    beside: float = 0.0
    click: float = 0.0
    rough: float = 0.0


def measuring(
    georef: Georef, view: View, sfm: Sfm | None = None, errors: DepthErrors | None = None
) -> Measure | None:
    """How exact distances are; None without metres."""
    photos = view.map.photos if view.map else ()
    found = georeferencing(georef)
    if found is None and georef.metric:
        return Measure(None, False, georef.scale_from)
    if found is None or len(photos) < 3:
        return None
    step = max(1, math.ceil(len(photos) / PHOTOS))
    return Measure(
        _scale(georef, photos),
        found.survey,
        cameras=_cameras(georef, sfm),
        surfaces=_surfaces(errors) if view.known else (),
        photos=tuple(
            (round(x, 2), round(y, 2), round(z, 2), round(heading, 1), round(pitch, 1))
            for x, y, z, heading, pitch, _ in photos[::step]
        ),
        known=Places.of(view.known) if view.known and errors else None,
    )


def _scale(georef: Georef, photos: Sequence[tuple[float, ...]]) -> float:
    """Half width of the scale, as a share. Where the frame's covariance is not known: errors of single photos
    or surveyed points average out over them, and weigh less the wider the photos lie."""
    if georef.certainty is not None:
        return georef.certainty.scale_within_95_percent / 100
    found = georeferencing(georef)
    assert found is not None
    rmse = math.hypot(found.horizontal or 0.0, found.vertical or 0.0)
    middle = [sum(photo[i] for photo in photos) / len(photos) for i in range(3)]
    spread = math.sqrt(sum(math.dist(photo[:3], middle) ** 2 for photo in photos) / len(photos))
    count = found.points if found.survey else len(photos)
    return WIDE * rmse / max(spread, 1e-9) / math.sqrt(count)


def _cameras(georef: Georef, sfm: Sfm | None) -> float:
    """Half width of the middle camera's position, metres; without the shift that all share, which moves no
    distance."""
    if sfm is None or sfm.certainty is None:
        return 0.0
    own = sum(sigma**2 for sigma in sfm.certainty.sigma_median)
    shared = 0.0
    if georef.certainty is not None and sfm.certainty.frame != "photos":
        shared = sum(sigma**2 for sigma in georef.certainty.sigma_m)
    return WIDE * math.sqrt(max(own - shared, 0.0) / 3)


def _surfaces(errors: DepthErrors | None) -> tuple[tuple[float, float], ...]:
    """Half widths by distance, from what evaluate_splat measured."""
    if errors is None:
        return ()
    bands = errors.bands or (errors.all,)
    return tuple(
        (
            round(band.farthest * (FARTHEST if band is bands[-1] else 1), 2),
            round(band.within_95, 5),
        )
        for band in bands
    )


def uncertainty(measure: Measure, length: float, ends: Sequence[End]) -> float | None:
    """Half width (95 %) of a measured `length` in metres; None where an end is farther from every photo than
    surfaces were compared, or too far from every known place, or where the scale is not known."""
    if measure.error is None:
        return None
    parts = [measure.error * length]
    for end in ends:
        share = next((share for up_to, share in measure.surfaces if end.away <= up_to), None)
        if share is None or end.beside > measure.reach * end.away:
            return None
        parts += [share * end.away, measure.cameras, end.beside, end.click, end.rough]
    return math.hypot(*parts)


def accuracy(measure: Measure | None) -> str:
    """One sentence on how far to trust a distance; empty where none is offered."""
    if measure is None:
        return ""
    if measure.error is None:
        return f"In metres, from {measure.source}: how accurate its scale is, is not known."
    percent = 100 * measure.error
    said = "better than 0.1" if percent < 0.1 else f"about {percent:.1g}"
    source = "surveyed points" if measure.survey else "the photos' GPS"
    told = f"In metres, from {source}: scale accurate to {said} %"
    if not measure.surfaces:
        return f"{told}, plus how exactly you click. How exact the surfaces are was not measured."
    return f"{told}; ± holds in 95 of 100 cases."
