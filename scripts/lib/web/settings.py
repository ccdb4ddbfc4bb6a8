"""settings.json of the viewer: background, where a visit starts, and the tour, in the viewer's own world."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from scripts.lib.contracts.view import Keyframes, View
from scripts.lib.core.json_type import Json

FRAME_RATE = 30


def viewer_settings(
    view: View, background: str, template: str, tour: bool = True
) -> dict[str, Json]:
    """settings.json: the template with background, start view (position, target, fov) and tour.

    The viewer applies `fov`, in degrees, to the longer side of the window, as the view does.
    """
    settings: dict[str, Json] = json.loads(template)
    background_part = settings["background"]
    assert isinstance(background_part, Mapping)  # of our own template
    shade = [round(value, 6) for value in colour(background)]
    settings["background"] = {**background_part, "color": shade}
    initial: dict[str, Json] = {
        "position": to_viewer(view.position),
        "target": to_viewer(view.target),
        "fov": view.fov,
    }
    settings["cameras"] = [{"initial": initial}]
    if tour and view.tour:
        settings["animTracks"] = [track(view.tour)]
        settings["startMode"] = "animTrack"
    return settings


def track(tour: Keyframes) -> dict[str, Json]:
    """The tour of view.json as the viewer's animation track, in its own world."""
    return {
        "name": "tour",
        "duration": tour.times[-1],
        "frameRate": FRAME_RATE,
        "loopMode": "none",
        "interpolation": "spline",
        "smoothness": 1,
        "keyframes": {
            "times": [round(time * FRAME_RATE, 3) for time in tour.times],
            "values": {
                "position": [v for point in tour.position for v in to_viewer(point)],
                "target": [v for point in tour.target for v in to_viewer(point)],
                "fov": list(tour.fov),
            },
        },
    }


def to_viewer(point: Sequence[float]) -> list[float]:
    """A point (3,) of our frame (Z up) in the viewer's world (Y up): the page turns the splat alike."""
    x, y, z = (float(value) for value in point)
    return [x, z, -y]


def colour(background: str) -> list[float]:
    """`#rrggbb` as three numbers from 0 to 1, the form settings.json wants."""
    return [int(background[i : i + 2], 16) / 255 for i in (1, 3, 5)]
