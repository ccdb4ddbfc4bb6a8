"""Annotations of the page, each with a camera to look at it from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.lib.contracts.view import View
from scripts.lib.core.annotations import Annotation, Camera, parse_annotations
from scripts.lib.core.json_type import Json


def placed_notes(given: Sequence[Mapping[str, Any]], view: View) -> list[dict[str, Json]]:
    """Annotations for the page, each with a camera. Raises UserError when one has no usable place."""
    return [_placed(note, view) for note in parse_annotations(given)]


def _placed(note: Annotation, view: View) -> dict[str, Json]:
    camera = note["camera"] or nearest_camera(note["position"], view)
    return {
        "title": note["title"],
        "text": note["text"],
        "position": note["position"],
        "camera": {"position": camera["position"], "target": camera["target"]},
    }


def nearest_camera(point: Sequence[float], view: View) -> Camera:
    """From where to look at an annotation: the capture camera nearest to it, aimed at it."""
    photos = view.map.photos if view.map else ()
    places = [photo[:3] for photo in photos] or [view.position]
    position = min(places, key=lambda place: math.dist(place, point))
    return {"position": list(position), "target": list(point)}
