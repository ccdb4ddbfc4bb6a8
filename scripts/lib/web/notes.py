"""Annotations of the page, each with a camera to look at it from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.lib.core.annotations import parse_annotations


def placed_notes(
    given: Sequence[Mapping[str, Any]], view: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Annotations for the page, each with a camera. Raises UserError when one has no usable place."""
    return [
        note | {"camera": note["camera"] or nearest_camera(note["position"], view)}
        for note in parse_annotations(given)
    ]


def nearest_camera(point: Sequence[float], view: Mapping[str, Any]) -> dict[str, Any]:
    """From where to look at an annotation: the capture camera nearest to it, aimed at it."""
    photos = (view.get("map") or {}).get("photos") or [view["position"]]
    position = min((photo[:3] for photo in photos), key=lambda place: math.dist(place, point))
    return {"position": list(position), "target": list(point)}
