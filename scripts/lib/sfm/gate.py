"""The gate: a hopeless scene stops before it costs a training run, with words on what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from scripts.lib.contracts.photos import Photo
from scripts.lib.core.console import UserError, say
from scripts.lib.sfm.mapping import MapOptions

NAMES_SHOWN = 8
# Below this median angle between two views of a point there is no depth to speak of: a step of one
# part in forty of the distance.
MIN_ANGLE_DEG = 1.5
# Photos of a flat thing look like a turned camera too, so only a clear majority says something.
MOSTLY = 0.6
MIN_GROUP = 3  # photos of a separate piece worth telling


def require_scene(report: dict[str, Any], dropped: Sequence[Photo], options: MapOptions) -> None:
    """Judge sfm.json's content; adds `verdict` and `advice` to it.

    `dropped` are the lines of photos.json that were not kept. Raises UserError with one paragraph
    when the scene is hopeless and `options.force` is not set, or there is no model to go on with.
    """
    faults = _faults(report, options)
    advice = _advice(report, dropped, bool(faults))
    report["advice"] = advice
    forced = options.force and report["registered"] > 0  # nothing goes on without a model
    report["verdict"] = "passed" if not faults else "forced" if forced else "refused"
    if faults and not forced:
        something = not options.force and (report["registered"] or report.get("turned"))
        way_on = "To go on with what there is, set map_scene.force to true."
        raise UserError(" ".join([*faults, *advice, *([way_on] if something else [])]))
    for sentence in [*faults, *advice]:
        say(f"Note: {sentence}")


def _faults(report: dict[str, Any], options: MapOptions) -> list[str]:
    """What stops the scene."""
    total, registered = report["photos"], report["registered"]
    needed = max(options.min_photos, math.ceil(options.min_registered_fraction * total))
    turned = report.get("turned") or 0
    # Beside too few photos with a place, or, with `force`, in the very model that goes on.
    if turned and turned >= registered and (registered < needed or not report.get("parallax")):
        return [
            f"a camera that only turned explains {turned} of {total} photos as well as any model does: "
            "they were taken from one spot, and show no depth."
        ]
    if registered == 0:
        return [f"none of {total} photos found its place."]
    if registered < needed:
        return [f"only {registered} of {total} photos found their place, {needed} are needed."]
    angle = report.get("triangulation_angle_deg")
    if angle is not None and angle < MIN_ANGLE_DEG:
        return [
            f"the photos see the same points from one spot (median angle {angle:.1f} degrees): walk "
            "sideways, a step of a twentieth of the distance or more between photos."
        ]
    error, track = report["reprojection_error_px"], report["track_length"]
    if error is not None and error > options.max_reprojection_error:
        return [
            f"the cameras fit badly: {error:.1f} px, {options.max_reprojection_error:g} allowed."
        ]
    if track is not None and track < options.min_track_length:
        return [
            f"points are seen by {track:.2f} photos on average, {options.min_track_length:g} are needed."
        ]
    return []


def _advice(report: dict[str, Any], dropped: Sequence[Photo], refused: bool) -> list[str]:
    """Sentences on what is wrong with the capture and what to do, most telling first."""
    found = []
    total = report["photos"]
    turned = _only_turned(report)
    pieces = [part for part in report.get("components", []) if part["registered"] >= MIN_GROUP]
    if turned and refused:
        found.append(
            "Most pairs of photos differ by a turn of the camera only: depth needs steps sideways, "
            "so walk around the subject, a step between photos, instead of turning on the spot."
        )
    if len(pieces) > 1:
        groups = "; ".join(f"{p['registered']} photos ({_span(p['photos'])})" for p in pieces)
        found.append(
            f"The photos fall into {len(pieces)} groups with too little in common: {groups}. If they show "
            "two places, make two scenes of them; if one, take photos on the way between the groups."
        )
    grouped = {name for part in pieces for name in part["photos"]}
    alone = [name for name in report.get("alone", []) if name not in grouped]
    if alone:
        stands = "stands" if len(alone) == 1 else "stand"
        found.append(f"{_listed(alone)} {stands} alone: no other photo shows the same thing.")
    missing = [n for n in report["unregistered"] if n not in alone and n not in grouped]
    if missing and report["registered"]:
        found.append(f"Without a place: {_listed(missing)}.")
    twins = sum(1 for line in dropped if line.twin)
    if twins and (refused or twins > total):
        found.append(
            f"{twins} of {twins + total} photos are the same view as another and were left out: each "
            "photo needs a step to the side of the one before."
        )
    soft = sum(1 for line in dropped if line.reason.startswith("blurred"))
    if soft and refused:
        found.append(f"{soft} blurred photos were left out: hold still, or use more light.")
    if refused and not turned:
        found.append(
            "Take more photos between these and their neighbours, so that each overlaps the next by "
            "two thirds, walking rather than turning, in focus."
        )
    return found


def _only_turned(report: dict[str, Any]) -> bool:
    """Whether most pairs show no way of the camera, and the model (if any) no depth."""
    kinds = report.get("pair_kinds", {})
    count = sum(kinds.values())
    if (report.get("turned") or 0) > report["registered"]:
        return True
    turned = kinds.get("turned", 0) + kinds.get("flat_or_turned", 0)
    angle = report.get("triangulation_angle_deg")
    if angle is not None and angle >= 2 * MIN_ANGLE_DEG and report["registered"] >= MIN_GROUP:
        return False
    return bool(count) and turned > MOSTLY * count


def _span(names: Sequence[str]) -> str:
    return f"{names[0]} to {names[-1]}" if len(names) > 1 else names[0]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
