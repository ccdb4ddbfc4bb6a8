"""The gate: a hopeless scene stops before it costs a training run, with words on what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from scripts.lib.contracts.photos import Photo
from scripts.lib.contracts.sfm import Sfm
from scripts.lib.core.console import UserError, say
from scripts.lib.sfm.options import MapOptions

NAMES_SHOWN = 8
# Below this median angle between two views of a point there is no depth to speak of: a step of one
# part in forty of the distance.
MIN_ANGLE_DEG = 1.5
# Photos of a flat thing look like a turned camera too, so only a clear majority says something.
MOSTLY = 0.6
MIN_GROUP = 3  # photos of a separate piece worth telling


@dataclass(frozen=True)
class Judgement:
    """sfm.json's content with `verdict` and `advice`, and what is said of a scene."""

    report: Sfm
    faults: list[str]  # what stops it, or would without `force`
    way_on: str  # what else can be done about a refused one


def judge_scene(report: Sfm, dropped: Sequence[Photo], options: MapOptions) -> Judgement:
    """Judge a reconstruction; `dropped` are the lines of photos.json that were not kept."""
    faults = _faults(report, options)
    advice = tuple(_advice(report, dropped, bool(faults)))
    forced = options.force and report.registered > 0  # nothing goes on without a model
    verdict: Literal["passed", "forced", "refused"] = "forced" if forced else "refused"
    something = not options.force and (report.registered or report.turned)
    way_on = "To go on with what there is, set map_scene.force to true." if something else ""
    judged = replace(report, advice=advice, verdict=verdict if faults else "passed")
    return Judgement(judged, faults, way_on)


def require_scene(judgement: Judgement) -> None:
    """Say what is to be said of a scene.

    Raises UserError with one paragraph when it is hopeless and `map_scene.force` is not set, or there is no
    model to go on with.
    """
    sentences = [*judgement.faults, *judgement.report.advice]
    if judgement.report.verdict == "refused":
        raise UserError(" ".join(filter(None, [*sentences, judgement.way_on])))
    for sentence in sentences:
        say(f"Note: {sentence}")


def _faults(report: Sfm, options: MapOptions) -> list[str]:
    """What stops the scene."""
    total, registered = report.photos, report.registered
    needed = max(options.min_photos, math.ceil(options.min_registered_fraction * total))
    turned = report.turned
    # Beside too few registered photos, or, with `force`, in the very model that goes on.
    if turned and turned >= registered and (registered < needed or not report.parallax):
        return [
            f"a camera that only turned explains {turned} of {total} photos as well as any model does: "
            "they were taken from one spot, and show no depth."
        ]
    if registered == 0:
        return [f"none of the {total} photos could be registered."]
    if registered < needed:
        return [f"only {registered} of {total} photos could be registered; {needed} are needed."]
    angle = report.triangulation_angle_deg
    if angle is not None and angle < MIN_ANGLE_DEG:
        return [
            f"the photos see the same points from one spot (median angle {angle:.1f} degrees): walk "
            "sideways, a step of a twentieth of the distance or more between photos."
        ]
    error, track = report.reprojection_error_px, report.track_length
    if error is not None and error > options.max_reprojection_error:
        return [
            f"the cameras fit badly: {error:.1f} px, {options.max_reprojection_error:g} allowed."
        ]
    if track is not None and track < options.min_track_length:
        return [
            f"points are seen by {track:.2f} photos on average, {options.min_track_length:g} are needed."
        ]
    return []


def _advice(report: Sfm, dropped: Sequence[Photo], refused: bool) -> list[str]:
    """Sentences on what is wrong with the capture and what to do, most telling first."""
    found = []
    total = report.photos
    turned = _only_turned(report)
    pieces = [part for part in report.components if part.registered >= MIN_GROUP]
    if turned and refused:
        found.append(
            "Most pairs of photos differ by a turn of the camera only: depth needs steps sideways, "
            "so walk around the subject, a step between photos, instead of turning on the spot."
        )
    if len(pieces) > 1:
        groups = "; ".join(f"{p.registered} photos ({_span(p.photos)})" for p in pieces)
        found.append(
            f"The photos fall into {len(pieces)} groups with too little in common: {groups}. If they show "
            "two places, make two scenes of them; if one, take photos on the way between the groups."
        )
    grouped = {name for part in pieces for name in part.photos}
    alone = [name for name in report.alone if name not in grouped]
    if alone:
        stands = "stands" if len(alone) == 1 else "stand"
        found.append(f"{_listed(alone)} {stands} alone: no other photo shows the same thing.")
    missing = [n for n in report.unregistered if n not in alone and n not in grouped]
    if missing and report.registered:
        found.append(f"These photos could not be registered: {_listed(missing)}.")
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


def _only_turned(report: Sfm) -> bool:
    """Whether most pairs show no way of the camera, and the model (if any) no depth."""
    kinds = report.pair_kinds
    count = sum(kinds.values())
    if report.turned > report.registered:
        return True
    turned = kinds.get("turned", 0) + kinds.get("flat_or_turned", 0)
    angle = report.triangulation_angle_deg
    if angle is not None and angle >= 2 * MIN_ANGLE_DEG and report.registered >= MIN_GROUP:
        return False
    return bool(count) and turned > MOSTLY * count


def _span(names: Sequence[str]) -> str:
    return f"{names[0]} to {names[-1]}" if len(names) > 1 else names[0]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
