"""Ground control points in a model: where the photos' sightings meet, and how far that is from the survey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pycolmap

from scripts.lib.geo import Array, Sim3, fit_sim3, fit_sim3_upright

MIN_POINTS = 3  # a similarity has seven unknowns
MIN_SIGHTINGS = 2
MIN_ANGLE_DEG = 1.0
FILLS = 50  # rounds in which unknown heights settle, from a start that the known ones give
MAX_MISS_PX = 20.0  # of a sighting: beyond it was clicked on the wrong thing


@dataclass(frozen=True)
class ControlFit:
    """Similarity from the model to the survey's frame, residuals (N, 3) of the fit and of each point
    when it is left out (None with three points), metres; NaN up where a height is not known."""

    sim3: Sim3
    labels: list[str]
    residuals: Array
    check: Array | None


def triangulate(
    model: pycolmap.Reconstruction, gcps: Sequence[Mapping[str, Any]]
) -> dict[str, Array]:
    """Places (3,) in the model's frame of the points that at least two of its photos sight well."""
    images = {model.image(number).name: model.image(number) for number in model.reg_image_ids()}
    sightings: dict[str, list[tuple[pycolmap.Image, Array]]] = {}
    for gcp in gcps:
        if gcp["file"] in images:
            pixel = np.array([gcp["x"], gcp["y"]], float)
            sightings.setdefault(gcp["label"], []).append((images[gcp["file"]], pixel))
    return {
        label: place
        for label, seen in sightings.items()
        if len(seen) >= MIN_SIGHTINGS and (place := _meet(model, seen)) is not None
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
    place = np.linalg.solve(across.sum(axis=0), np.einsum("nij,nj->i", across, np.array(centres)))
    for image, pixel in seen:
        local = image.cam_from_world() * place
        missed = np.asarray(model.cameras[image.camera_id].img_from_cam(local[None]))[0] - pixel
        if local[2] <= 0 or np.linalg.norm(missed) > MAX_MISS_PX:
            return None
    return place


def fit_control(places: Mapping[str, Array], survey: Mapping[str, Array]) -> ControlFit | None:
    """Similarity from model places to surveyed ones, by label; None without three points in a triangle.

    The model's Z is up. A surveyed point whose height is NaN counts across only.
    """
    labels = sorted(set(places) & set(survey))
    if len(labels) < MIN_POINTS:
        return None
    a = np.array([places[label] for label in labels])
    b = np.array([survey[label] for label in labels])
    if _in_a_row(b if np.isfinite(b).all() else b[:, :2]):
        return None
    sim3 = _fit(a, b)
    check = None
    if len(labels) > MIN_POINTS:
        rows = []
        for i in range(len(labels)):
            others = np.arange(len(labels)) != i
            rows.append(_fit(a[others], b[others]).apply(a[i : i + 1])[0] - b[i])
        check = np.array(rows)
    return ControlFit(sim3, labels, sim3.apply(a) - b, check)


def _in_a_row(points: Array) -> bool:
    """Whether the points lie in a row: the turn about it is then unknown."""
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(spread[1] < 0.02 * spread[0])


def _fit(a: Array, b: Array) -> Sim3:
    """The similarity from `a` to `b` (N, 3), of which heights may be NaN.

    Where too few heights are known to tell which way is up, the model's own up stays.
    """
    known = np.isfinite(b[:, 2])
    if known.all():
        return fit_sim3(a, b)
    filled = np.nan_to_num(b)
    if known.sum() < MIN_POINTS or _in_a_row(b[known]):
        sim3 = fit_sim3_upright(a, filled)
        rise = (b - sim3.apply(a))[known, 2]
        lift = float(rise.mean()) if len(rise) else 0.0
        return Sim3(sim3.scale, sim3.rotation, sim3.translation + [0.0, 0.0, lift])
    sim3 = fit_sim3(a[known], b[known])
    for _ in range(FILLS):
        filled[~known, 2] = sim3.apply(a)[~known, 2]  # the height that fits pulls across only
        sim3 = fit_sim3(a, filled)
    return sim3
