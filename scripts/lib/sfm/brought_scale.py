"""The unit of camera poses that came with the photos, and what GPS or surveyed points say of it."""

from __future__ import annotations

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.photos import BroughtFrame
from scripts.lib.sfm.free_frame import Unit

UNITS = {
    "metres": 1.0,
    "centimetres": 0.01,
    "millimetres": 0.001,
    "feet": 0.3048,
    "inches": 0.0254,
    "kilometres": 1000.0,
}
NEAR = 0.05  # relative: scales that differ by less are one, however certain both are
UNSURE = 0.3  # relative: positions that tell the scale less exactly tell no unit


def brought_unit(brought: BroughtFrame | None) -> Unit | None:
    """The unit of a model that lies in the frame of brought poses; None where nothing tells it."""
    if brought is None or not brought.metres:
        return None
    return Unit(brought.metres, f"{brought.file} ({brought.metres_from})")


def scale_note(georef: Georef, brought: BroughtFrame | None) -> str | None:
    """What positions on the Earth say of the unit of brought poses, a sentence; None where nothing is odd.

    `georef` is of a model whose mapper's frame is that of the poses.
    """
    if brought is None or not georef.georeferenced:
        return None
    sure = georef.certainty.scale_within_95_percent / 100 if georef.certainty else 0.0
    near = max(NEAR, sure)
    if near > UNSURE:
        return None
    who = "the surveyed points" if georef.gcp is not None else "GPS"
    scale = georef.scale
    unit = next((name for name, metres in UNITS.items() if abs(scale / metres - 1) < near), None)
    claimed = brought.metres
    if claimed and abs(scale / claimed - 1) < near:
        return None
    seen = unit or f"units of {scale:.3g} m"
    if claimed:
        told = next((n for n, m in UNITS.items() if m == claimed), f"units of {claimed:.3g} m")
        return (
            f"According to {who}, the camera poses of {brought.file} are in {seen}, not in {told}, as "
            f"{brought.metres_from} has it: the scale of {who} is used."
        )
    if unit in (None, "metres"):
        return None
    return f"According to {who}, the camera poses of {brought.file} are in {seen}; the scene is in metres."
