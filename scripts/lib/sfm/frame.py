"""The model's final frame: east, north, up in metres when GPS or surveyed points agree, else Z up.

Without either the scale is free: the median camera then stands a comfortable distance from what it sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pycolmap

from scripts.lib.geo import (
    Array,
    RobustFit,
    Sim3,
    enu_from_geodetic,
    robust_sim3,
    rotation_to_z,
    utm_epsg,
)
from scripts.lib.sfm.adjust import Prior, adjust_with_positions
from scripts.lib.sfm.control import ControlFit, fit_control, triangulate
from scripts.lib.sfm.gravity import up_direction

# EPSG:4979 (WGS84, height in metres) is the origin's system; the frame is east, north, up there.
EPSG = 4979
MIN_GPS_PHOTOS = 4
# Consumer GPS repeats within a metre or two: less movement than this says nothing.
MIN_SPREAD_M = 3.0
MIN_AGREEING = 0.6
MAX_RMSE_OF_SPREAD = 0.25
# Without GPS: the median distance from camera to point becomes this many units, so that viewers,
# near planes and quantised formats meet numbers of the size they expect.
MEDIAN_DISTANCE = 4.0


@dataclass(frozen=True)
class Located:
    """Photos of the model with a position: names, WGS84 rows (N, 3), local metres (N, 3) from `origin`."""

    names: list[str]
    origin: tuple[float, float, float]
    target: Array
    accuracy: list[tuple[float | None, float | None]]  # what the receiver claims, metres


@dataclass(frozen=True)
class Verdict:
    """A similarity to local metres, or None; in both cases the reason and the facts for the report."""

    sim3: Sim3 | None
    facts: dict[str, Any]
    inliers: list[bool]


def place_model(
    model: pycolmap.Reconstruction,
    photos: Sequence[dict[str, Any]],
    use_gps: bool = True,
    *,
    adjust: bool = False,
    gcps: Sequence[Mapping[str, Any]] = (),
    seed: int = 0,
) -> tuple[pycolmap.Reconstruction, dict[str, Any]]:
    """The model in its final frame, and georef.json's content.

    Surveyed points (`gcps` of photos.json) decide where there are three, else GPS. With `adjust`,
    GPS positions take part in a last bundle adjustment. The given model is transformed in place.
    """
    up, gravity = up_direction(model, photos)
    level = Sim3(1.0, rotation_to_z(up), np.zeros(3))
    located = _located(model, photos) if use_gps else None
    control, origin = _control(model, gcps, level, located)
    gps = _from_gps(model, located, level) if located else Verdict(None, _no_gps(use_gps), [])
    if control is not None:
        placed = control.sim3.after(level)
        reason = f"{len(control.labels)} surveyed points"
    elif gps.sim3 is not None and located is not None:
        placed, origin, reason = gps.sim3.after(level), located.origin, gps.facts["reason"]
    else:
        placed = _comfortable(model, level)
        model.transform(pycolmap.Sim3d(placed.matrix()[:3]))
        return model, {**_free(placed), **gps.facts, "gravity": gravity}
    model.transform(pycolmap.Sim3d(placed.matrix()[:3]))
    adjustment = None
    if adjust and control is None and located is not None:
        model, adjustment = adjust_with_positions(model, _priors(model, located, gps), seed)
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
        facts.update(_residuals(model, located, gps.inliers, ground))
    return model, {
        **facts,
        "georeferenced": True,
        "reason": reason,
        **_where(place),
        "gravity": "survey" if control is not None else "GPS",
        "scale": lowered.scale,
        "world_from_sfm": lowered.matrix().tolist(),
        "sfm_from_world": np.linalg.inv(lowered.matrix()).tolist(),
        "gcp": _told(control),
        "adjustment": adjustment,
    }


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


def _no_gps(use_gps: bool) -> dict[str, Any]:
    reason = (
        f"0 registered photos have GPS, {MIN_GPS_PHOTOS} are needed"
        if use_gps
        else "GPS is switched off"
    )
    return {"gps_photos": 0, "reason": reason}


def _located(model: pycolmap.Reconstruction, photos: Sequence[dict[str, Any]]) -> Located | None:
    """Registered photos with a position; None when there is none."""
    registered = {image.name for image in _registered(model)}
    having = [p for p in photos if p["file"] in registered and p.get("latitude") is not None]
    if not having:
        return None
    heights = [p["altitude"] for p in having if p.get("altitude") is not None]
    usual = float(np.median(heights)) if heights else 0.0
    rows = [
        (p["latitude"], p["longitude"], usual if p.get("altitude") is None else p["altitude"])
        for p in having
    ]
    middle = np.median(rows, axis=0)
    origin = (float(middle[0]), float(middle[1]), float(middle[2]))
    claims = [(p.get("accuracy_horizontal_m"), p.get("accuracy_vertical_m")) for p in having]
    names = [str(p["file"]) for p in having]
    return Located(names, origin, enu_from_geodetic(rows, origin), claims)


def _from_gps(model: pycolmap.Reconstruction, located: Located, level: Sim3) -> Verdict:
    """Similarity from the levelled model to local metres, or None with the reason."""
    count = len(located.names)
    facts: dict[str, Any] = {"gps_photos": count}
    nothing = [False] * count

    def refused(reason: str) -> Verdict:
        return Verdict(None, {**facts, "reason": reason}, nothing)

    if count < MIN_GPS_PHOTOS:
        return refused(f"{count} registered photos have GPS, {MIN_GPS_PHOTOS} are needed")
    spread = float(np.sqrt(located.target[:, :2].var(axis=0).sum()))
    if spread < MIN_SPREAD_M:
        return refused(
            f"the GPS positions spread over {spread:.1f} m only, {MIN_SPREAD_M:.0f} m are needed"
        )
    centres = _centres(model)
    fit = _fit(level.apply([centres[name] for name in located.names]), located.target)
    if fit is None:
        return refused("the GPS positions do not agree with the poses")
    agreeing = int(fit.inliers.sum())
    if agreeing < max(MIN_GPS_PHOTOS, MIN_AGREEING * count):
        return refused(f"only {agreeing} of {count} GPS positions agree with the poses")
    horizontal, _ = _rms(fit.residuals[fit.inliers])
    if horizontal > MAX_RMSE_OF_SPREAD * spread:
        return refused(f"GPS misses the poses by {horizontal:.1f} m in a scene {spread:.1f} m wide")
    facts.update(
        reason=f"{agreeing} of {count} GPS positions agree",
        upright_only=fit.upright,
        inliers=[n for n, good in zip(located.names, fit.inliers, strict=True) if good],
        outliers=[n for n, good in zip(located.names, fit.inliers, strict=True) if not good],
    )
    return Verdict(fit.sim3, facts, fit.inliers.tolist())


def _fit(source: Array, target: Array) -> RobustFit | None:
    """A free similarity when the cameras span an area that GPS resolves, else one about the vertical."""
    free = robust_sim3(source, target)
    if free is None:
        return robust_sim3(source, target, upright=True)
    across = np.linalg.svd(
        target[free.inliers] - target[free.inliers].mean(axis=0), compute_uv=False
    )[1] / np.sqrt(free.inliers.sum())
    error = float(np.sqrt((free.residuals[free.inliers] ** 2).sum(axis=1).mean()))
    if across > max(2.0, 4.0 * error):
        return free
    return robust_sim3(source, target, upright=True) or free


def _priors(model: pycolmap.Reconstruction, located: Located, gps: Verdict) -> dict[str, Prior]:
    """Priors of the photos whose GPS agrees, as uncertain as they proved to be or claim, the larger.

    A receiver's claim leaves out antenna, shutter delay and datum; the misfit to a rigid model has
    all of them.
    """
    centres = _centres(model)
    misses = np.array([centres[n] for n in located.names]) - located.target
    good = np.array(gps.inliers)
    horizontal, vertical = _rms(misses[good])
    horizontal /= np.sqrt(2)  # per axis
    return {
        name: Prior(place, max(horizontal, claim[0] or 0.0), max(vertical, claim[1] or 0.0))
        for name, place, claim, agrees in zip(
            located.names, located.target, located.accuracy, gps.inliers, strict=True
        )
        if agrees
    }


def _residuals(
    model: pycolmap.Reconstruction, located: Located, inliers: list[bool], ground: float
) -> dict[str, Any]:
    """RMSE of the finished model against the GPS that agrees (all of it, where surveyed points decided)."""
    centres = _centres(model)
    misses = np.array([centres[n] for n in located.names]) - located.target + [0, 0, ground]
    good = np.array(inliers) if any(inliers) else np.ones(len(misses), bool)
    horizontal, vertical = _rms(misses[good])
    return {
        "rmse_horizontal_m": horizontal,
        "rmse_vertical_m": vertical,
        "residuals_m": {
            name: [round(float(v), 3) for v in miss]
            for name, miss in zip(located.names, misses, strict=True)
        },
    }


def _control(
    model: pycolmap.Reconstruction,
    gcps: Sequence[Mapping[str, Any]],
    level: Sim3,
    located: Located | None,
) -> tuple[ControlFit | None, tuple[float, float, float] | None]:
    """A fit to surveyed points and the origin it is relative to; None where there are too few."""
    if not gcps:
        return None, None
    rows = {g["label"]: (g["latitude"], g["longitude"], g["altitude"]) for g in gcps}
    middle = np.mean(list(rows.values()), axis=0)
    origin = located.origin if located else (float(middle[0]), float(middle[1]), float(middle[2]))
    survey = dict(zip(rows, enu_from_geodetic(list(rows.values()), origin), strict=True))
    places = {
        label: level.apply(place[None])[0] for label, place in triangulate(model, gcps).items()
    }
    fit = fit_control(places, survey)
    return fit, origin if fit else None


def _told(control: ControlFit | None) -> dict[str, Any] | None:
    """Surveyed points for the report: how well they fit, and how well each is met without itself."""
    if control is None:
        return None
    horizontal, vertical = _rms(control.residuals)
    report: dict[str, Any] = {
        "points": control.labels,
        "rmse_horizontal_m": horizontal,
        "rmse_vertical_m": vertical,
        "check_rmse_horizontal_m": None,
        "check_rmse_vertical_m": None,
        "check_residuals_m": None,
    }
    if control.check is not None:
        across, up = _rms(control.check)
        report.update(check_rmse_horizontal_m=across, check_rmse_vertical_m=up)
        report["check_residuals_m"] = {
            label: [round(float(v), 3) for v in row]
            for label, row in zip(control.labels, control.check, strict=True)
        }
    return report


def _rms(residuals: Array) -> tuple[float, float]:
    """Root mean squares (across, up) of residuals (N, 3)."""
    squares = (residuals**2).mean(axis=0)
    return float(np.sqrt(squares[:2].sum())), float(np.sqrt(squares[2]))


def _comfortable(model: pycolmap.Reconstruction, level: Sim3) -> Sim3:
    """Z up, median camera-to-point distance MEDIAN_DISTANCE, centred on the points, ground at 0."""
    points = level.apply(_points(model))
    centres = level.apply([image.projection_center() for image in _registered(model)])
    scale = MEDIAN_DISTANCE / _median_distance(model)
    middle = np.median(points if len(points) else centres, axis=0)
    middle[2] = _ground(points) if len(points) else centres[:, 2].min()
    return Sim3(scale, level.rotation, -scale * middle)


def _median_distance(model: pycolmap.Reconstruction) -> float:
    """Median distance from a camera to the points it observes, in model units."""
    distances = []
    for image in _registered(model):
        seen = [p.point3D_id for p in image.points2D if p.has_point3D()]
        if seen:
            places = np.array([model.point3D(number).xyz for number in seen])
            distances.append(
                float(np.median(np.linalg.norm(places - image.projection_center(), axis=1)))
            )
    return float(np.median(distances)) if distances else 1.0


def _ground(points: Array) -> float:
    """Height below which only stray points lie."""
    return float(np.percentile(points[:, 2], 2)) if len(points) else 0.0


def _points(model: pycolmap.Reconstruction) -> Array:
    return np.array([point.xyz for point in model.points3D.values()], float).reshape(-1, 3)


def _centres(model: pycolmap.Reconstruction) -> dict[str, Array]:
    return {image.name: image.projection_center() for image in _registered(model)}


def _registered(model: pycolmap.Reconstruction) -> list[pycolmap.Image]:
    return [model.image(number) for number in sorted(model.reg_image_ids())]
