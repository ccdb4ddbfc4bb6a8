"""Distances on the page: whether they are offered, how exact they are, and how the page says so."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.georeferencing import georeferencing
from scripts.lib.contracts.view import View


@dataclass(frozen=True)
class Measure:
    """How exact distances are."""

    error: float | None  # share of a length; None where it is not known
    survey: bool  # from surveyed points, else from GPS
    source: str | None = None  # what else told the metres


def measuring(georef: Georef, view: View) -> Measure | None:
    """How exact distances are; None without metres.

    Errors of single photos or surveyed points average out over them, and weigh less the wider the
    photos lie.
    """
    photos = view.map.photos if view.map else ()
    found = georeferencing(georef)
    if found is None and georef.metric:
        return Measure(None, False, georef.scale_from)
    if found is None or len(photos) < 3:
        return None
    rmse = math.hypot(found.horizontal or 0.0, found.vertical or 0.0)
    middle = [sum(photo[i] for photo in photos) / len(photos) for i in range(3)]
    spread = math.sqrt(sum(math.dist(photo[:3], middle) ** 2 for photo in photos) / len(photos))
    count = found.points if found.survey else len(photos)
    return Measure(rmse / max(spread, 1e-9) / math.sqrt(count), found.survey)


def accuracy(measure: Measure | None) -> str:
    """One sentence on how far to trust a distance; empty where none is offered."""
    if measure is None:
        return ""
    if measure.error is None:
        return f"In metres, from {measure.source}: how accurate its scale is, is not known."
    percent = 100 * measure.error
    said = "better than 0.1" if percent < 0.1 else f"about {percent:.1g}"
    source = "surveyed points" if measure.survey else "the photos' GPS"
    return f"In metres, from {source}: scale accurate to {said} %, plus how exactly you click."
