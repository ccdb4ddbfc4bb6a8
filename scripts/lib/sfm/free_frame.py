"""The frame of a model that no position on the Earth places: Z up, in metres if poses brought them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pycolmap

from scripts.lib.core.geo import Array, Sim3
from scripts.lib.sfm.gps import registered
from scripts.lib.sfm.projection import seen_by

# The median distance from camera to point becomes this many units, so that viewers, near planes and
# quantised formats meet numbers of the size they expect.
MEDIAN_DISTANCE = 4.0


@dataclass(frozen=True)
class Unit:
    """The unit of a model: how many metres it has, and what tells it."""

    metres: float
    source: str


def standing_frame(model: pycolmap.Reconstruction, level: Sim3, unit: Unit | None = None) -> Sim3:
    """Z up, centred on the points, ground at 0; in metres by `unit`, else with a comfortable scale.

    That is: a median distance from camera to point of MEDIAN_DISTANCE.
    """
    points = level.apply(points_of(model))
    centres = level.apply([image.projection_center() for image in registered(model)])
    scale = unit.metres if unit else MEDIAN_DISTANCE / _median_distance(model)
    middle = np.median(points if len(points) else centres, axis=0)
    middle[2] = ground_of(points) if len(points) else centres[:, 2].min()
    return Sim3(scale, level.rotation, -scale * middle)


def _median_distance(model: pycolmap.Reconstruction) -> float:
    """Median over the cameras of the median distance to the points that they see, in model units."""
    seen = seen_by(model)
    far = np.linalg.norm(seen.local, axis=1)
    distances = [np.median(far[seen.photo == photo]) for photo in np.unique(seen.photo)]
    return float(np.median(distances)) if distances else 1.0


def ground_of(points: Array) -> float:
    """Height below which only stray points lie."""
    return float(np.percentile(points[:, 2], 2)) if len(points) else 0.0


def points_of(model: pycolmap.Reconstruction) -> Array:
    """The model's points (N, 3)."""
    return np.array([point.xyz for point in model.points3D.values()], float).reshape(-1, 3)
