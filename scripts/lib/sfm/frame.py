"""The model's final frame: east, north, up in metres when GPS agrees, else Z up at a comfortable scale."""

from __future__ import annotations

from collections.abc import Sequence
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
    up_from_cameras,
)

# EPSG:4979 (WGS84, height in metres) is the origin's system; the frame is east, north, up there.
EPSG = 4979
MIN_GPS_PHOTOS = 4
MIN_SPREAD_M = (
    3.0  # consumer GPS repeats within a metre or two: less movement than this says nothing
)
MIN_AGREEING = 0.6
MAX_RMSE_OF_SPREAD = 0.25
# Without GPS: the median distance from camera to point becomes this many units, so that viewers,
# near planes and quantised formats meet numbers of the size they expect.
MEDIAN_DISTANCE = 4.0


def place_model(
    model: pycolmap.Reconstruction, photos: Sequence[dict[str, Any]], use_gps: bool = True
) -> dict[str, Any]:
    """Transform `model` in place into its final frame; returns georef.json's content."""
    level = Sim3(1.0, rotation_to_z(up_from_cameras(_rotations(model))), np.zeros(3))
    report: dict[str, Any] = {"georeferenced": False, "reason": "GPS is switched off"}
    if use_gps:
        placed, report = _georeference(model, photos, level)
        if placed is not None:
            model.transform(pycolmap.Sim3d(placed.matrix()[:3]))
            return {**report, "world_from_sfm": placed.matrix().tolist()}
    placed = _comfortable(model, level)
    model.transform(pycolmap.Sim3d(placed.matrix()[:3]))
    return {
        "georeferenced": False,
        "reason": report["reason"],
        "epsg": None,
        "origin": None,
        "units": "arbitrary",
        "frame": "Z up",
        "scale": placed.scale,
        "rmse_horizontal_m": None,
        "rmse_vertical_m": None,
        "gps_photos": report.get("gps_photos", 0),
        "inliers": [],
        "outliers": [],
        "world_from_sfm": placed.matrix().tolist(),
    }


def _georeference(
    model: pycolmap.Reconstruction, photos: Sequence[dict[str, Any]], level: Sim3
) -> tuple[Sim3 | None, dict[str, Any]]:
    """Similarity from the model to local metres, or None with the reason."""
    centres = {image.name: image.projection_center() for image in _registered(model)}
    located = [
        photo for photo in photos if photo["file"] in centres and photo.get("latitude") is not None
    ]
    facts: dict[str, Any] = {"gps_photos": len(located)}
    if len(located) < MIN_GPS_PHOTOS:
        few = f"{len(located)} registered photos have GPS, {MIN_GPS_PHOTOS} are needed"
        return None, {**facts, "reason": few}
    heights = [photo["altitude"] for photo in located if photo.get("altitude") is not None]
    fallback = float(np.median(heights)) if heights else 0.0
    places = np.array(
        [
            (
                p["latitude"],
                p["longitude"],
                p["altitude"] if p.get("altitude") is not None else fallback,
            )
            for p in located
        ]
    )
    origin = np.median(places, axis=0)
    target = enu_from_geodetic([tuple(row) for row in places], tuple(origin))
    source = level.apply([centres[photo["file"]] for photo in located])
    spread = float(np.sqrt(target[:, :2].var(axis=0).sum()))
    if spread < MIN_SPREAD_M:
        near = f"the GPS positions spread over {spread:.1f} m only, {MIN_SPREAD_M:.0f} m are needed"
        return None, {**facts, "reason": near}
    fit = _fit(source, target)
    if fit is None:
        return None, {**facts, "reason": "the GPS positions do not agree with the poses"}
    agreeing = int(fit.inliers.sum())
    squares = (fit.residuals[fit.inliers] ** 2).mean(axis=0)
    horizontal, vertical = float(np.sqrt(squares[:2].sum())), float(np.sqrt(squares[2]))
    if agreeing < max(MIN_GPS_PHOTOS, MIN_AGREEING * len(located)):
        apart = f"only {agreeing} of {len(located)} GPS positions agree with the poses"
        return None, {**facts, "reason": apart}
    if horizontal > MAX_RMSE_OF_SPREAD * spread:
        rough = f"GPS misses the poses by {horizontal:.1f} m in a scene {spread:.1f} m wide"
        return None, {**facts, "reason": rough}
    placed = fit.sim3.after(level)
    ground = _ground(placed.apply(_points(model)))
    lowered = Sim3(placed.scale, placed.rotation, placed.translation - [0.0, 0.0, ground])
    names = [photo["file"] for photo in located]
    return lowered, {
        **facts,
        "georeferenced": True,
        "reason": f"{agreeing} of {len(located)} GPS positions agree",
        "epsg": EPSG,
        "origin": {
            "latitude": float(origin[0]),
            "longitude": float(origin[1]),
            # Moved to the ground with the model; the vertical datum is the camera's own.
            "altitude": float(origin[2] + ground),
        },
        "units": "metres",
        "frame": "east, north, up",
        "scale": lowered.scale,
        "rmse_horizontal_m": horizontal,
        "rmse_vertical_m": vertical,
        "upright_only": fit.upright,
        "inliers": [name for name, good in zip(names, fit.inliers, strict=True) if good],
        "outliers": [name for name, good in zip(names, fit.inliers, strict=True) if not good],
    }


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


def _registered(model: pycolmap.Reconstruction) -> list[pycolmap.Image]:
    return [model.image(number) for number in sorted(model.reg_image_ids())]


def _rotations(model: pycolmap.Reconstruction) -> Array:
    return np.array([i.cam_from_world().rotation.matrix() for i in _registered(model)])
