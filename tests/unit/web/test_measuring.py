"""What the page says of its distances."""

from __future__ import annotations

from dataclasses import replace

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.view import View
from scripts.lib.web.measuring import accuracy, measuring

EYE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
FREE = Georef(georeferenced=False, reason="no photo has GPS", scale=1.0, world_from_sfm=EYE)


def test_distances_are_offered_in_the_metres_of_brought_poses() -> None:
    view = View(name="a.jpg", position=(0.0, 0.0, 1.0), target=(1.0, 0.0, 1.0), fov=60.0)
    assert measuring(FREE, view) is None
    told = measuring(replace(FREE, units="metres", scale_from="metadata.json (ARKit)"), view)
    assert told is not None and told.error is None and not told.survey
    assert accuracy(told) == (
        "In metres, from metadata.json (ARKit): how accurate its scale is, is not known."
    )
