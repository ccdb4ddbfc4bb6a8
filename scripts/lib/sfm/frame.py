"""The model's final frame: east, north, up in metres when GPS or surveyed points agree, else Z up.

Without either the scale is free: the median camera then stands a comfortable distance from what it sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pycolmap

from scripts.lib.contracts.photos import Photo, Sighting
from scripts.lib.core.geo import Array, Sim3, rotation_to_z, utm_epsg
from scripts.lib.sfm.adjust import (
    Prior,
    adjust_with_positions,
    free_adjustment,
    position_adjustment,
    raise_again,
)
from scripts.lib.sfm.agreement import MIN_POINTS
from scripts.lib.sfm.calibration import calibrate
from scripts.lib.sfm.control import ControlFit, Reference, Survey, survey_fit
from scripts.lib.sfm.gps import (
    Located,
    Verdict,
    centres,
    find_located,
    fit_to_gps,
    known_rms,
    no_gps,
    priors,
    registered,
    residuals,
    rms,
)
from scripts.lib.sfm.gravity import up_direction
from scripts.lib.sfm.projection import seen_by
from scripts.lib.sfm.uncertainty import Frame, fitted_frame

# EPSG:4979 (WGS84, height in metres) is the origin's system; the frame is east, north, up there.
EPSG = 4979
# Without GPS: the median distance from camera to point becomes this many units, so that viewers,
# near planes and quantised formats meet numbers of the size they expect.
MEDIAN_DISTANCE = 4.0


@dataclass(frozen=True)
class Placed:
    """A model in its final frame, and georef.json's content.

    priors: positions that pulled it in the adjustment, in that frame; fitted: else the certainty of its fit
    to surveyed points or to GPS.
    """

    model: pycolmap.Reconstruction
    georef: dict[str, Any]
    priors: dict[str, Prior] | None = None
    fitted: Frame | None = None


def place_calibrated(
    model: pycolmap.Reconstruction,
    photos: Sequence[Photo],
    use_gps: bool = True,
    *,
    adjust: bool = False,
    gcps: Sequence[Sighting] = (),
    seed: int = 0,
    calibration: str | bool = "auto",
) -> tuple[Placed, dict[str, Any] | None]:
    """The model in its final frame with its lenses calibrated, and sfm.json's `calibration`.

    Surveyed points (`gcps` of photos.json) decide where there are three, else GPS. With `adjust`, GPS
    positions take part in a last bundle adjustment, and in the calibration as well (see `calibrate`). What
    that changed is placed once more, since lens and place depend on each other. The given model is
    transformed in place.
    """
    first = _place(model, photos, use_gps, adjust, gcps, seed)
    priors = first.priors
    solve = position_adjustment(priors, seed) if priors else free_adjustment
    calibrated, lenses = calibrate(first.model, solve, seed, calibration, priors)
    if calibrated is first.model:
        return first, lenses
    if priors and first.georef["upright_only"]:
        raise_again(calibrated, first.model, priors)
    second = _place(calibrated, photos, use_gps, adjust, gcps, seed)
    # The mapper's frame is still the one that the matrices tell of.
    whole = np.array(second.georef["world_from_sfm"]) @ np.array(first.georef["world_from_sfm"])
    second.georef.update(
        scale=first.georef["scale"] * second.georef["scale"],
        world_from_sfm=whole.tolist(),
        sfm_from_world=np.linalg.inv(whole).tolist(),
    )
    return second, lenses


def _place(
    model: pycolmap.Reconstruction,
    photos: Sequence[Photo],
    use_gps: bool,
    adjust: bool,
    gcps: Sequence[Sighting],
    seed: int,
) -> Placed:
    up, gravity = up_direction(model, photos)
    level = Sim3(1.0, rotation_to_z(up), np.zeros(3))
    located = find_located(model, photos) if use_gps else None
    gps = fit_to_gps(model, located, level) if located else Verdict(None, no_gps(use_gps), [])
    # Where surveyed points have no heights, GPS tells which way is up better than the cameras do.
    upright = gps.sim3.after(level) if gps.sim3 is not None else level
    survey = Survey(None, None)
    if gcps:
        survey = survey_fit(model, gcps, upright, _reference(model, located, gps, upright))
    control, origin = survey.fit, survey.origin
    if control is not None and located is not None and np.isnan(control.residuals[:, 2]).all():
        control = _at_height_of(located, control, upright, model)
    notes = [*survey.notes, *gps.notes]
    if control is not None:
        placed = control.sim3.after(upright)
        reason = f"{len(control.labels)} surveyed points"
    elif gps.sim3 is not None and located is not None:
        placed, origin, reason = gps.sim3.after(level), located.origin, gps.facts["reason"]
    else:
        placed = _comfortable(model, level)
        model.transform(pycolmap.Sim3d(placed.matrix()[:3]))
        georef = {**_free(placed), **gps.facts, "gravity": gravity, "notes": notes}
        return Placed(model, georef)
    model.transform(pycolmap.Sim3d(placed.matrix()[:3]))
    adjustment, pulling = None, None
    if adjust and control is None and located is not None:
        given = priors(model, located, gps)
        model, adjustment = adjust_with_positions(
            model, given, seed, upright=gps.facts["upright_only"]
        )
        pulling = given if adjustment["used"] else None
    ground = _ground(_points(model))
    model.transform(pycolmap.Sim3d(1.0, pycolmap.Rotation3d(), np.array([0.0, 0.0, -ground])))
    lowered = Sim3(placed.scale, placed.rotation, placed.translation - [0.0, 0.0, ground])
    assert origin is not None  # both ways to get here set it
    place = (origin[0], origin[1], origin[2] + ground)
    unknown: dict[str, Any] = {
        "rmse_horizontal_m": None,
        "rmse_vertical_m": None,
        "residuals_m": {},
    }
    facts = {"inliers": [], "outliers": [], **unknown, **gps.facts}
    if located is not None:
        facts.update(residuals(model, located, gps, ground))
    georef = {
        **facts,
        "georeferenced": True,
        "reason": reason,
        **_where(place),
        "gravity": _gravity(control, gps, gravity),
        "scale": lowered.scale,
        "world_from_sfm": lowered.matrix().tolist(),
        "sfm_from_world": np.linalg.inv(lowered.matrix()).tolist(),
        "gcp": _told(control),
        "adjustment": adjustment,
        "notes": notes,
    }
    lowering = np.array([0.0, 0.0, ground])
    moved = {n: replace(p, position=p.position - lowering) for n, p in (pulling or {}).items()}
    return Placed(
        model, georef, moved or None, None if moved else _fitted(control, gps, located, model)
    )


def _fitted(
    control: ControlFit | None,
    gps: Verdict,
    located: Located | None,
    model: pycolmap.Reconstruction,
) -> Frame | None:
    """The certainty of the fit that placed the model; None where it cannot be told."""
    if control is not None:
        return fitted_frame(control.places, control.residuals)
    if located is None:
        return None
    found = centres(model)
    good = np.array(gps.inliers)
    places = np.array([found[name] for name in located.names])[good]
    misses = places - located.target[good]
    # The model was lowered to the ground since; that is no misfit.
    known = (located.heights & gps.heights)[good]
    misses[:, 2] -= np.median(misses[known, 2]) if known.any() else 0.0
    misses[~known, 2] = np.nan
    return fitted_frame(places, misses)


def _where(place: tuple[float, float, float]) -> dict[str, Any]:
    """The origin in WGS84 and in the UTM zone it lies in."""
    epsg, easting, northing = utm_epsg(place[0], place[1])
    return {
        "epsg": EPSG,
        "crs": "WGS84 (EPSG:4979); local axes east, north, up at the origin",
        "origin": {
            "latitude": float(place[0]),
            "longitude": float(place[1]),
            # Moved to the ground with the model; the vertical datum is the camera's own.
            "altitude": float(place[2]),
        },
        "projected": {"epsg": epsg, "easting": easting, "northing": northing},
        "units": "metres",
        "frame": "east, north, up",
    }


def _free(placed: Sim3) -> dict[str, Any]:
    """The report of a model without a place on Earth."""
    return {
        "georeferenced": False,
        "epsg": None,
        "crs": None,
        "origin": None,
        "projected": None,
        "units": "arbitrary",
        "frame": "Z up",
        "scale": placed.scale,
        "rmse_horizontal_m": None,
        "rmse_vertical_m": None,
        "residuals_m": {},
        "inliers": [],
        "outliers": [],
        "world_from_sfm": placed.matrix().tolist(),
        "sfm_from_world": np.linalg.inv(placed.matrix()).tolist(),
        "gcp": None,
        "adjustment": None,
    }


def _reference(
    model: pycolmap.Reconstruction, located: Located | None, gps: Verdict, placed: Sim3
) -> Reference | None:
    """What GPS says of scale and place, to judge a survey by; None where GPS was refused."""
    if located is None or gps.sim3 is None:
        return None
    found = centres(model)
    good = np.array(gps.inliers)
    misses = placed.apply([found[name] for name in located.names]) - located.target
    spread = float(np.sqrt(located.target[good, :2].var(axis=0).sum()))
    return Reference(located.origin, rms(misses[good])[0], spread, gps.heights)


def _at_height_of(
    located: Located, fit: ControlFit, level: Sim3, model: pycolmap.Reconstruction
) -> ControlFit:
    """The fit to points without heights, raised to where GPS has the photos."""
    found = centres(model)
    placed = fit.sim3.apply(level.apply([found[name] for name in located.names]))
    lift = float(np.median(located.target[:, 2] - placed[:, 2]))
    raised = Sim3(fit.sim3.scale, fit.sim3.rotation, fit.sim3.translation + [0.0, 0.0, lift])
    return replace(fit, sim3=raised)


def _told(control: ControlFit | None) -> dict[str, Any] | None:
    """Surveyed points for the report: how well they fit, and how well each is met without itself."""
    if control is None:
        return None
    horizontal, vertical = known_rms(control.residuals)
    report: dict[str, Any] = {
        "points": control.labels,
        "rmse_horizontal_m": horizontal,
        "rmse_vertical_m": vertical,
        "check_rmse_horizontal_m": None,
        "check_rmse_vertical_m": None,
        "check_residuals_m": None,
        "left_out": {label: _rounded(row) for label, row in control.wrong.items()},
    }
    if control.check is not None:
        across, up = known_rms(control.check)
        report.update(check_rmse_horizontal_m=across, check_rmse_vertical_m=up)
        report["check_residuals_m"] = {
            label: _rounded(row) for label, row in zip(control.labels, control.check, strict=True)
        }
        report["check_residuals_m"] |= report["left_out"]
    return report


def _rounded(residual: Array) -> list[float | None]:
    """A residual in whole millimetres; None where a height is not known."""
    return [round(float(v), 3) if np.isfinite(v) else None for v in residual]


def _gravity(control: ControlFit | None, gps: Verdict, seen: str) -> str:
    """What told which way is up: surveyed heights where there are three, else GPS, else the cameras."""
    if control is not None and np.isfinite(control.residuals[:, 2]).sum() >= MIN_POINTS:
        return "survey"
    return "GPS" if gps.sim3 is not None else seen


def _comfortable(model: pycolmap.Reconstruction, level: Sim3) -> Sim3:
    """Z up, median camera-to-point distance MEDIAN_DISTANCE, centred on the points, ground at 0."""
    points = level.apply(_points(model))
    centres = level.apply([image.projection_center() for image in registered(model)])
    scale = MEDIAN_DISTANCE / _median_distance(model)
    middle = np.median(points if len(points) else centres, axis=0)
    middle[2] = _ground(points) if len(points) else centres[:, 2].min()
    return Sim3(scale, level.rotation, -scale * middle)


def _median_distance(model: pycolmap.Reconstruction) -> float:
    """Median over the cameras of the median distance to the points that they see, in model units."""
    seen = seen_by(model)
    far = np.linalg.norm(seen.local, axis=1)
    distances = [np.median(far[seen.photo == photo]) for photo in np.unique(seen.photo)]
    return float(np.median(distances)) if distances else 1.0


def _ground(points: Array) -> float:
    """Height below which only stray points lie."""
    return float(np.percentile(points[:, 2], 2)) if len(points) else 0.0


def _points(model: pycolmap.Reconstruction) -> Array:
    return np.array([point.xyz for point in model.points3D.values()], float).reshape(-1, 3)
