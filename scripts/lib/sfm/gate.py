"""The check before training: a hopeless scene stops here, with advice, before it costs a training run."""

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
# Below this median angle between two views of a point there is almost no depth: the camera moved by a
# fortieth of the distance.
MIN_ANGLE_DEG = 1.5
# Photos of a flat thing look like a turned camera too, so only a clear majority says something.
MOSTLY = 0.6
MIN_GROUP = 3  # photos of a separate piece worth telling


@dataclass(frozen=True)
class Judgement:
    """sfm.json's content with `verdict` and `advice`, and what is said about a scene."""

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
    way_on = "To continue anyway, set map_scene.force to true." if something else ""
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


def further_note(further: Sequence[int]) -> str:
    """How to get pages of the further groups of photos, of so many photos each; empty without one."""
    if not further:
        return ""
    sizes = ", ".join(map(str, further))
    what = (
        f"a group of {sizes} photos can have a page of its own"
        if len(further) == 1
        else f"{len(further)} groups of {sizes} photos can have pages of their own"
    )
    return (
        f"Beside the largest group, {what}: set components to {len(further) + 1}, in the configuration or in "
        "a column of the sheet."
    )


def _faults(report: Sfm, options: MapOptions) -> list[str]:
    """What stops the scene."""
    total, registered = report.photos, report.registered
    needed = max(options.min_photos, math.ceil(options.min_registered_fraction * total))
    turned = report.turned
    # Beside too few registered photos, or, with `force`, in the very model that goes on.
    if turned and turned >= registered and (registered < needed or not report.parallax):
        return [
            f"{turned} of {total} photos could also come from a camera that only turned on the spot: they "
            "were taken from one position and contain no depth."
        ]
    if registered == 0:
        return [f"none of the {total} photos could be registered."]
    if registered < needed:
        return [f"only {registered} of {total} photos could be registered; {needed} are needed."]
    angle = report.triangulation_angle_deg
    if angle is not None and angle < MIN_ANGLE_DEG:
        return [
            f"the photos were taken from nearly one position (median angle {angle:.1f} degrees): move "
            "sideways between photos, by at least a twentieth of the distance to the subject."
        ]
    error, track = report.reprojection_error_px, report.track_length
    if error is not None and error > options.max_reprojection_error:
        return [
            f"the camera positions fit badly: the mean reprojection error is {error:.1f} px, and "
            f"map_scene.max_reprojection_error allows {options.max_reprojection_error:g}."
        ]
    if track is not None and track < options.min_track_length:
        return [
            f"points are seen by {track:.2f} photos on average; map_scene.min_track_length needs "
            f"{options.min_track_length:g}."
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
            "Between most photos the camera only turned. Depth needs steps to the side: walk around the "
            "subject, one step between photos, instead of turning on the spot."
        )
    if len(pieces) > 1:
        groups = "; ".join(f"{p.registered} photos ({_span(p.photos)})" for p in pieces)
        found.append(
            f"The photos form {len(pieces)} groups that overlap too little: {groups}. If they show "
            "different places, make a scene of each; if not, take photos between the groups."
        )
    grouped = {name for part in pieces for name in part.photos}
    alone = [name for name in report.alone if name not in grouped]
    if alone:
        matches = "matches" if len(alone) == 1 else "match"
        found.append(f"{_listed(alone)} {matches} no other photo.")
    missing = [n for n in report.unregistered if n not in alone and n not in grouped]
    if missing and report.registered:
        found.append(f"These photos could not be registered: {_listed(missing)}.")
    twins = sum(1 for line in dropped if line.twin)
    if twins and (refused or twins > total):
        found.append(
            f"{twins} of {twins + total} photos repeat the view of another photo and were left out: take a "
            "step to the side before each photo."
        )
    soft = sum(1 for line in dropped if line.reason.startswith("blurred"))
    if soft and refused:
        found.append(
            f"{soft} blurred photos were left out: hold the camera still, or use more light."
        )
    if refused and not turned:
        found.append(
            "Take more photos in between, so that each overlaps the next by two thirds. Walk instead of "
            "turning, and make sure that the photos are sharp."
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
