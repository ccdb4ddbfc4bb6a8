"""Ground control points in a model: where the photos' sightings meet, how far that is from the survey, and
whether the survey can be right: its points must agree with each other, and with the photos' GPS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pycolmap

from scripts.lib.contracts.photos import Sighting
from scripts.lib.core.geo import Array, Sim3, enu_from_geodetic, middle_of
from scripts.lib.core.quantities import length_text
from scripts.lib.sfm.agreement import (
    LEAST_AGREEING,
    MIN_POINTS,
    agreeing,
    fit_positions,
    in_a_row,
    length,
)

FOOT_M = 0.3048
# Survey and GPS may differ in scale by this, plus three times the GPS misfit over its extent; in position by
# this, as datums do; and a height is that of feet when metres miss GPS by more than datums do (geoid and
# ellipsoid lie up to 100 m apart) and feet by five times less.
SCALE_SLACK, POSITION_M, HEIGHT_M, FEET_BETTER = 0.1, 1000.0, 120.0, 5.0
# Without such a height: heights as feet must fit the photos by so much better than as metres.
FEET_FIT, FEET_FIT_OF_SPREAD = 4.0, 0.02

MIN_SIGHTINGS = 2
MIN_ANGLE_DEG = 1.0
MAX_MISS_PX = 20.0  # of a sighting: beyond it was clicked on the wrong thing


@dataclass(frozen=True)
class ControlFit:
    """Similarity from the model to the survey's frame, residuals (N, 3) of the fit and of each point
    when it is left out (None with three points), metres; NaN up where a height is not known.

    `points` (N, 3) are where the fit puts them. `wrong` are points that contradict the others and
    GPS, with their residuals; they decide nothing.
    """

    sim3: Sim3
    labels: list[str]
    residuals: Array
    check: Array | None
    points: Array
    wrong: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Survey:
    """What became of the surveyed points: a fit relative to `origin` (WGS84) or None, and sentences."""

    fit: ControlFit | None
    origin: tuple[float, float, float] | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reference:
    """The GPS that aligned the model before the survey is used: its origin, misfit and extent in metres."""

    origin: tuple[float, float, float]
    misfit: float
    spread: float
    heights: bool


def distinct_points(gcps: Sequence[Sighting]) -> list[Sighting]:
    """The sightings with a label for each position: some lists give all points the same label."""
    positions: dict[str, list[tuple[float, float, float | None]]] = {}
    numbers = []
    for gcp in gcps:
        position = (gcp.latitude, gcp.longitude, gcp.altitude)
        known = positions.setdefault(gcp.label, [])
        if position not in known:
            known.append(position)
        numbers.append(known.index(position) + 1)
    return [
        replace(gcp, label=f"{gcp.label} ({number})") if len(positions[gcp.label]) > 1 else gcp
        for gcp, number in zip(gcps, numbers, strict=True)
    ]


def survey_fit(
    model: pycolmap.Reconstruction,
    gcps: Sequence[Sighting],
    level: Sim3,
    reference: Reference | None,
) -> Survey:
    """Similarity from the levelled model to the survey, or the reason why it is not used.

    `level` makes the model's Z up, and where there is a `reference`, metres at its origin.
    """
    sightings = distinct_points(gcps)
    rows = {g.label: _position(g) for g in sightings}
    found = triangulate(model, sightings)
    positions = {label: level.apply(position[None])[0] for label, position in found.items()}

    def unused(reason: str) -> Survey:
        return Survey(None, None, (f"The surveyed points are not used: {reason}",))

    if len(positions) < MIN_POINTS:
        return unused(
            f"only {len(positions)} of {len(rows)} were found in at least two registered photos; "
            f"{MIN_POINTS} are needed."
        )
    origin = reference.origin if reference else middle_of(list(rows.values()))
    fit = fit_control(positions, _local(rows, origin))
    if fit is None:
        return unused("they lie in one line, so the rotation about that line is not determined.")
    if _heights_in_feet(fit, positions, rows, origin, reference):
        return unused("their heights look like feet (3.28 times what fits); give metres.")
    if reference is not None and (reason := _contradiction(fit, positions, reference)):
        return unused(reason)
    notes = []
    if fit.wrong:
        misses = ", ".join(
            f"{label} (by {length_text(float(length(miss)))})"
            for label, miss in sorted(fit.wrong.items())
        )
        notes.append(
            f"{misses} contradicts the other {len(fit.labels)} surveyed points, which agree, and is "
            "not used. "
            "Check its coordinates, and where it was clicked in the photos."
        )
    return Survey(fit, origin, tuple(notes))


def _position(gcp: Sighting) -> tuple[float, float, float]:
    """Latitude, longitude and altitude of a sighting's point; NaN for a height that is not known."""
    altitude = gcp.altitude
    return gcp.latitude, gcp.longitude, np.nan if altitude is None else altitude


def _local(
    rows: Mapping[str, tuple[float, float, float]], origin: tuple[float, float, float]
) -> dict[str, Array]:
    """Metres from `origin` by label; heights that are not known stay NaN."""
    array = np.array(list(rows.values()))
    filled = np.where(np.isfinite(array), array, origin)
    local = enu_from_geodetic([tuple(row) for row in filled], origin)
    local[~np.isfinite(array[:, 2]), 2] = np.nan
    return dict(zip(rows, local, strict=True))


def _heights_in_feet(
    fit: ControlFit,
    positions: Mapping[str, Array],
    rows: Mapping[str, tuple[float, float, float]],
    origin: tuple[float, float, float],
    reference: Reference | None,
) -> bool:
    """Whether heights in feet were given for metres: GPS says so, or the photos do."""
    known = [label for label in sorted(positions) if np.isfinite(rows[label][2])]
    if not known:
        return False
    told = np.array([rows[label][2] for label in known])
    if reference is not None and reference.heights:
        height = np.array([positions[label][2] for label in known]) + origin[2]
        metres, feet = (float(np.median(np.abs(h - height))) for h in (told, FOOT_M * told))
        if metres > HEIGHT_M and metres > FEET_BETTER * feet:
            return True
    if len(known) < LEAST_AGREEING:
        return False
    labels = sorted(positions)
    smaller = {label: (*rows[label][:2], FOOT_M * rows[label][2]) for label in labels}
    local = _local(smaller, (origin[0], origin[1], FOOT_M * origin[2]))
    source, target = np.array([positions[n] for n in labels]), np.array([local[n] for n in labels])
    spread = float(np.linalg.norm(target[:, :2] - target[:, :2].mean(axis=0), axis=1).max())
    as_feet = _root_mean_square(fit_positions(source, target).apply(source) - target)
    as_metres = _root_mean_square(np.array([*fit.residuals, *fit.wrong.values()]))
    return as_metres > max(FEET_FIT * as_feet, FEET_FIT_OF_SPREAD * spread)


def _root_mean_square(residuals: Array) -> float:
    return float(np.sqrt((length(residuals) ** 2).mean()))


def _contradiction(fit: ControlFit, positions: Mapping[str, Array], reference: Reference) -> str:
    """Why the survey cannot be right where the GPS of the photos is; empty when they agree."""
    slack = SCALE_SLACK + 3 * reference.misfit / reference.spread
    ratio = fit.sim3.scale
    if abs(ratio * FOOT_M - 1) < min(slack, 0.3):
        return f"they are {ratio:.2f} times as far apart as GPS says, as if feet were given for metres."
    if abs(np.log(ratio)) > np.log1p(slack):
        return f"they are {ratio:.2f} times as far apart as the GPS of the photos says."
    middle = np.mean([positions[label] for label in fit.labels], axis=0)
    away = float(np.linalg.norm((fit.sim3.apply(middle[None])[0] - middle)[:2]))
    if away > POSITION_M:
        return f"they lie {away / 1000:.0f} km away from the GPS positions of the photos; check the UTM zone."
    return ""


def triangulate(model: pycolmap.Reconstruction, gcps: Sequence[Sighting]) -> dict[str, Array]:
    """Positions (3,) in the model's frame of the points that at least two of its photos sight well."""
    images = {model.image(number).name: model.image(number) for number in model.reg_image_ids()}
    sightings: dict[str, list[tuple[pycolmap.Image, Array]]] = {}
    for gcp in gcps:
        if gcp.file in images:
            pixel = np.array([gcp.x, gcp.y], float)
            sightings.setdefault(gcp.label, []).append((images[gcp.file], pixel))
    return {
        label: position
        for label, seen in sightings.items()
        if len(seen) >= MIN_SIGHTINGS and (position := _meet(model, seen)) is not None
    }


def _meet(
    model: pycolmap.Reconstruction, seen: Sequence[tuple[pycolmap.Image, Array]]
) -> Array | None:
    """The point nearest to all rays; None when they are parallel or miss it."""
    centres, rays = [], []
    for image, pixel in seen:
        local = np.asarray(model.cameras[image.camera_id].cam_from_img(pixel[None]))[0]
        ray = image.cam_from_world().rotation.matrix().T @ np.append(local[:2], 1.0)
        centres.append(image.projection_center())
        rays.append(ray / np.linalg.norm(ray))
    directions = np.array(rays)
    if np.degrees(np.arccos(np.clip((directions @ directions.T).min(), -1, 1))) < MIN_ANGLE_DEG:
        return None
    across = np.eye(3) - directions[:, :, None] * directions[:, None]
    position = np.linalg.solve(
        across.sum(axis=0), np.einsum("nij,nj->i", across, np.array(centres))
    )
    for image, pixel in seen:
        local = image.cam_from_world() * position
        missed = np.asarray(model.cameras[image.camera_id].img_from_cam(local[None]))[0] - pixel
        if local[2] <= 0 or np.linalg.norm(missed) > MAX_MISS_PX:
            return None
    return position


def fit_control(positions: Mapping[str, Array], survey: Mapping[str, Array]) -> ControlFit | None:
    """Similarity from the model to the survey, by label; None without three points in a triangle.

    The model's Z is up. A surveyed point whose height is NaN counts across only. Points that contradict
    all others are left out where at least four agree.
    """
    labels = sorted(set(positions) & set(survey))
    if len(labels) < MIN_POINTS:
        return None
    a = np.array([positions[label] for label in labels])
    b = np.array([survey[label] for label in labels])
    good = agreeing(a, b)
    if in_a_row(b[good] if np.isfinite(b[good]).all() else b[good, :2]):
        return None
    sim3 = fit_positions(a[good], b[good])
    residuals = sim3.apply(a) - b
    kept = np.flatnonzero(good)
    check = None
    if len(kept) > MIN_POINTS:
        rows = []
        for i in kept:
            others = kept[kept != i]
            rows.append(fit_positions(a[others], b[others]).apply(a[i : i + 1])[0] - b[i])
        check = np.array(rows)
    wrong = {labels[i]: residuals[i] for i in np.flatnonzero(~good)}
    return ControlFit(
        sim3, [labels[i] for i in kept], residuals[kept], check, sim3.apply(a[kept]), wrong
    )
