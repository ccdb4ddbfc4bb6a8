"""Ground control points in a model: where the photos' sightings meet, and how far that is from the survey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pycolmap

from scripts.lib.geo import Array, Sim3, fit_sim3

MIN_POINTS = 3  # a similarity has seven unknowns
MIN_SIGHTINGS = 2
MIN_ANGLE_DEG = 1.0
MAX_MISS_PX = 20.0  # of a sighting: beyond it was clicked on the wrong thing


@dataclass(frozen=True)
class ControlFit:
    """Similarity from the model to the survey's frame, residuals (N, 3) of the fit and of each point
    when it is left out (None with three points), metres."""

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
    """Similarity from model places to surveyed ones, by label; None without three points in a triangle."""
    labels = sorted(set(places) & set(survey))
    if len(labels) < MIN_POINTS:
        return None
    a = np.array([places[label] for label in labels])
    b = np.array([survey[label] for label in labels])
    spread = np.linalg.svd(b - b.mean(axis=0), compute_uv=False)
    if spread[1] < 0.02 * spread[0]:  # in a row: the turn about it is unknown
        return None
    sim3 = fit_sim3(a, b)
    check = None
    if len(labels) > MIN_POINTS:
        rows = []
        for i in range(len(labels)):
            others = np.arange(len(labels)) != i
            rows.append(fit_sim3(a[others], b[others]).apply(a[i : i + 1])[0] - b[i])
        check = np.array(rows)
    return ControlFit(sim3, labels, sim3.apply(a) - b, check)
