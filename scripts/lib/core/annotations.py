"""Notes that a user puts into a scene: checked before the first job, and placed on the page."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from scripts.lib.core.console import UserError
from scripts.lib.core.crop import numbers

KEYS = ("title", "text", "position", "camera")


class Camera(TypedDict):
    """From where to look at a note, and at what (3,), world units."""

    position: list[float]
    target: list[float]


class Annotation(TypedDict):
    """A note: texts without blanks around, its place (3,) in world units, and a camera where it has one."""

    title: str
    text: str
    position: list[float]
    camera: Camera | None


def parse_annotations(given: Sequence[Any]) -> list[Annotation]:
    """The annotations that somebody wrote.

    Raises UserError that names the first one without a title or a usable place, or with an unknown key.
    """
    return [_parse(number, item) for number, item in enumerate(given, 1)]


def _parse(number: int, item: Any) -> Annotation:
    name = f"annotation {number} of bundle_web.annotations"
    known = item if isinstance(item, Mapping) else {}
    if unknown := [str(key) for key in known if key not in KEYS]:
        close = difflib.get_close_matches(unknown[0], KEYS, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"it may have {', '.join(KEYS)}"
        raise UserError(f"{name} has an unknown key {unknown[0]!r}; {hint}")
    title = known.get("title")
    try:
        position = numbers(known.get("position"), 3)
        camera = known.get("camera") or None
        if camera is not None:
            camera = Camera(
                position=numbers(camera["position"], 3), target=numbers(camera["target"], 3)
            )
            if math.dist(camera["position"], camera["target"]) == 0:
                raise ValueError("the camera and its target are the same point")
    except (KeyError, TypeError, ValueError):
        position, camera = [], None
    if not position or not str("" if title is None else title).strip():
        raise UserError(
            f"{name} needs a title and a position of three numbers, and a camera, where it has one,"
            " a position and another target; open the page with ?edit and click the place to get it"
        )
    return {
        "title": str(title).strip(),
        "text": str(known.get("text") or "").strip(),
        "position": position,
        "camera": camera,
    }
