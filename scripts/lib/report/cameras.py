"""How exactly the cameras are known: their lenses, and where they stood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.lib.core.quantities import length_text
from scripts.lib.report.values import DASH, names, number, numbers, objects, text
from scripts.lib.report.verdicts import NOT_MEASURED, Level, Verdict

# Share of the capture's extent by which the middle camera may be off. At a thousandth, what is as far away as
# the capture is wide moves by a pixel or two in the picture; at a hundredth the edges of things double.
POSITION_GOOD, POSITION_FAIR = 0.001, 0.005
WIDE = 1.96  # standard deviations: 95 % of the errors
KINDS = {
    "SIMPLE_PINHOLE": "no distortion",
    "SIMPLE_RADIAL": "one number for its distortion",
    "RADIAL": "two numbers for its distortion",
    "OPENCV": "four numbers for its distortion",
}


def lens(sfm: Mapping[str, Any]) -> tuple[str, Verdict]:
    """The lens of the camera that took most, and what the calibration made of the lenses."""
    cameras = objects(_mapping(sfm.get("calibration")).get("cameras"))
    if not cameras:
        known = objects(sfm.get("cameras"))
        return (text(known[0].get("model")) or DASH) if known else DASH, NOT_MEASURED
    changed = [camera for camera in cameras if camera.get("changed") is True]
    if not changed:
        reason = text(_mapping(sfm.get("calibration")).get("reason")).rstrip(".")
        return text(_mapping(cameras[0].get("after")).get("model")), Verdict(
            Level.GOOD, f"The plain lens stays: {reason}."
        )
    first = changed[0]
    model = text(_mapping(first.get("after")).get("model"))
    said = f"Calibrated from these photos: {KINDS.get(model, model)}"
    off, sigma = numbers(first.get("off_centre_px")), _mapping(first.get("sigma"))
    if first.get("principal_point") is True and len(off) == 2:
        said += (
            f"; its optical axis meets the picture {_side(off[0], 'right of', 'left of')} and "
            f"{_side(off[1], 'below', 'above')} the middle"
        )
        error = number(sigma.get("cx"))
        said += f" (± {WIDE * error:.1f} px)" if error is not None else ""
    gain = number(first.get("held_out_gain"))
    if gain is not None:
        said += f"; points kept out of the calibration fit {100 * gain:.1f} % better"
    more = f" So for {len(changed)} of {len(cameras)} cameras." if len(cameras) > 1 else ""
    return model, Verdict(Level.GOOD, f"{said}.{more}")


def certainty(sfm: Mapping[str, Any], metres: bool) -> tuple[str, Verdict]:
    """Where the middle camera stands, plus or minus per axis (95 %), and whether that is exact enough."""
    told = _mapping(sfm.get("certainty"))
    sigma, extent = numbers(told.get("sigma_median")), number(told.get("extent"))
    if len(sigma) != 3 or not extent:
        return DASH, NOT_MEASURED
    share = max(sigma) / extent
    names = ("east", "north", "up") if metres else ("x", "y", "z")
    if metres:
        value = ", ".join(
            f"± {length_text(WIDE * s)} {name}" for s, name in zip(sigma, names, strict=True)
        )
    else:
        value = ", ".join(
            f"± {100 * WIDE * s / extent:.3f} % {name}"
            for s, name in zip(sigma, names, strict=True)
        )
    if share <= POSITION_GOOD:
        return value, Verdict(Level.GOOD, "The camera positions are exact.")
    if share <= POSITION_FAIR:
        return value, Verdict(
            Level.FAIR, "The camera positions are good for viewing, rough for measuring."
        )
    return value, Verdict(
        Level.WEAK, "The camera positions are uncertain; more photos that overlap help."
    )


def place(georef: Mapping[str, Any]) -> str:
    """How certain the scene's place and lengths are (95 %), as a sentence; empty where that is not known."""
    told = _mapping(georef.get("certainty"))
    across = numbers(told.get("within_95_m"))
    scale = number(told.get("scale_within_95_percent"))
    if len(across) != 3 or scale is None:
        return ""
    east, north, up = (length_text(value) for value in across)
    return (
        f" The whole scene is placed to ± {east} east, ± {north} north and ± {up} up, and lengths are "
        f"right to ± {scale:.2g} % (95 %; an error that all positions share cannot be seen)."
    )


def _side(pixels: float, positive: str, negative: str) -> str:
    return f"{abs(pixels):.0f} px {positive if pixels > 0 else negative}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def motions(sfm: Mapping[str, Any]) -> tuple[str, bool]:
    """What moved within the photos (rolling shutter, stabiliser, focus), in words, and whether all of it was
    taken into the lenses; empty where nothing was found."""
    told = _mapping(sfm.get("residuals"))
    corrected = names(told.get("corrected"))
    return text(told.get("sentence")), all(
        name in corrected for name in names(told.get("findings"))
    )
