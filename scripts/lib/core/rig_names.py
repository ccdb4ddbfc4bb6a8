"""Names of the views that one frame of a rig gives: `square_01__view_front.jpg` of `square_01.jpg`.

The name alone tells which views stand together: stages after mapping know photos by nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MARK = "__view_"
_VIEW = re.compile(rf"(?P<frame>.+){MARK}(?P<sensor>[a-z0-9]+)(?:\.[A-Za-z]+)?$")


def view_name(stem: str, sensor: str) -> str:
    """Name in the archive of a frame's view by `sensor` (letters and digits)."""
    return f"{stem}{MARK}{sensor}.jpg"


def frame_of(name: str) -> str:
    """What all views of one frame have in common; of other photos their own name."""
    found = _VIEW.match(name)
    return found["frame"] if found else name


def sensor_of(name: str) -> str | None:
    """The sensor of a rig that took the view; None for other photos."""
    found = _VIEW.match(name)
    return found["sensor"] if found else None


def frames_of(names: Sequence[str]) -> dict[str, list[int]]:
    """The places of the names by their frame, frames in the order of their first names."""
    frames: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        frames.setdefault(frame_of(name), []).append(place)
    return frames
