"""How accurately the cameras are known: their lenses, and where they stood."""

from __future__ import annotations

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.sfm import Sfm
from scripts.lib.core.quantities import length_text
from scripts.lib.report.values import DASH
from scripts.lib.report.verdicts import NOT_MEASURED, Level, Verdict

# Error of the median camera as a share of the capture's extent. At a thousandth, things as far away as the
# capture is wide move by a pixel or two in the picture; at a hundredth, edges appear twice.
POSITION_GOOD, POSITION_FAIR = 0.001, 0.005
WIDE = 1.96  # standard deviations: 95 % of the errors
KINDS = {
    "SIMPLE_PINHOLE": "no distortion",
    "SIMPLE_RADIAL": "one distortion parameter",
    "RADIAL": "two distortion parameters",
    "OPENCV": "four distortion parameters",
}


def lens(sfm: Sfm) -> tuple[str, Verdict]:
    """The lens of the first camera, and what the calibration changed."""
    cameras = sfm.calibration.cameras if sfm.calibration else ()
    if not sfm.calibration or not cameras:
        return sfm.cameras[0].model if sfm.cameras else DASH, NOT_MEASURED
    changed = [camera for camera in cameras if camera.changed]
    if not changed:
        reason = sfm.calibration.reason.rstrip(".")
        return cameras[0].after.model, Verdict(
            Level.GOOD, f"The simple lens model is kept: {reason}."
        )
    first = changed[0]
    model = first.after.model
    said = f"Calibrated from these photos: {KINDS.get(model, model)}"
    off, error = first.off_centre_px, (first.sigma or {}).get("cx")
    if first.principal_point:
        said += (
            f"; its optical axis meets the picture {_side(off[0], 'right of', 'left of')} and "
            f"{_side(off[1], 'below', 'above')} the middle"
        )
        said += f" (± {WIDE * error:.1f} px)" if error is not None else ""
    gain = first.held_out_gain
    if gain is not None:
        said += f"; points that were not used for the calibration fit {100 * gain:.1f} % better"
    more = (
        f" The same holds for {len(changed)} of {len(cameras)} cameras." if len(cameras) > 1 else ""
    )
    return model, Verdict(Level.GOOD, f"{said}.{more}")


def certainty(sfm: Sfm, metres: bool) -> tuple[str, Verdict]:
    """Where the middle camera stands, plus or minus per axis (95 %), and whether that is exact enough."""
    told = sfm.certainty
    if told is None or not told.extent:
        return DASH, NOT_MEASURED
    sigma, extent = told.sigma_median, told.extent
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
        return value, Verdict(Level.GOOD, "The camera positions are accurate.")
    if share <= POSITION_FAIR:
        return value, Verdict(
            Level.FAIR,
            "The camera positions are good enough for viewing, but too rough for exact measurements.",
        )
    return value, Verdict(
        Level.WEAK, "The camera positions are uncertain; more overlapping photos would help."
    )


def position(georef: Georef | None) -> str:
    """How accurate the scene's position and lengths are (95 %), a sentence; empty where not known."""
    told = georef.certainty if georef else None
    if told is None:
        return ""
    scale = told.scale_within_95_percent
    east, north, up = (length_text(value) for value in told.within_95_m)
    return (
        f" The position of the whole scene is accurate to ± {east} east, ± {north} north and ± {up} up, and "
        f"lengths to ± {scale:.2g} % (95 %; an error that all positions have in common cannot be detected)."
    )


def _side(pixels: float, positive: str, negative: str) -> str:
    return f"{abs(pixels):.0f} px {positive if pixels > 0 else negative}"


def motions(sfm: Sfm) -> tuple[str, bool]:
    """What moved within the photos (rolling shutter, stabiliser, focus), in words, and whether all of it was
    taken into the lenses; empty where nothing was found."""
    told = sfm.residuals
    if told is None:
        return "", True
    return told.sentence, all(name in told.corrected for name in told.findings)
