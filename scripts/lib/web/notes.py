"""Annotations of the page, each with a camera to look at it from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.lib.contracts.view import View
from scripts.lib.core.annotations import parse_annotations
from scripts.lib.core.json_type import Json


def placed_notes(given: Sequence[Mapping[str, Any]], view: View) -> list[Mapping[str, Json]]:
    """Annotations for the page, each with a camera. Raises UserError when one has no usable place."""
    return [
        note | {"camera": note["camera"] or nearest_camera(note["position"], view)}
        for note in parse_annotations(given)
    ]


def nearest_camera(point: Sequence[float], view: View) -> dict[str, list[float]]:
    """From where to look at an annotation: the capture camera nearest to it, aimed at it."""
    photos = view.map.photos if view.map else ()
    places = [photo[:3] for photo in photos] or [view.position]
    position = min(places, key=lambda place: math.dist(place, point))
    return {"position": list(position), "target": list(point)}
