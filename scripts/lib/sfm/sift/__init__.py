"""SIFT on the CPU: the points and descriptors of VLFeat, which COLMAP uses, in an eighth of its time.

David G. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 60 (2004); conventions
as in COLMAP's databases. Three things make it quick: extrema are looked for while the rows that are
blurred are still in the cache, only points that are kept get a direction and a descriptor, and those come
from a patch of a fixed number of samples. One call uses one thread and lets go of Python's lock.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.lib.sfm.sift.choose import best_spread
from scripts.lib.sfm.sift.describe import LENGTH, descriptors, main_directions
from scripts.lib.sfm.sift.extrema import refined
from scripts.lib.sfm.sift.pyramid import BASE_SIGMA, LEVELS, SCALES, Octave, Workspace, octaves

EDGE = 10.0  # curvatures that differ by more than this are those of an edge


@dataclass(frozen=True)
class Settings:
    """What to look for."""

    first_octave: int = 0  # -1: in twice the picture's size; 1: in half of it
    most: int = 4096  # points
    directions: int = 1  # the most that a point may have; each makes a feature
    contrast: float = 0.0067  # least difference of two blurs, of a picture from 0 to 1


@dataclass(frozen=True)
class Features:
    """Keypoints (N, 4) as x, y, sigma and angle in pixels and radians, and descriptors (N, 128).

    The middle of the first pixel is (0.5, 0.5); angles run from x to y.
    """

    keypoints: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


def sift(
    picture: NDArray[np.uint8],
    settings: Settings,
    shown: NDArray[np.bool_] | None = None,
    work: Workspace | None = None,
) -> Features:
    """SIFT features of a grey picture (H, W), finest octave first; the same for the same picture.

    Where `shown`, of any size, is false, none are taken. `work`, of one thread, is memory to use again.
    """
    work = work or Workspace()
    found = []
    for octave in octaves(picture, settings.first_octave, settings.contrast, work):
        points = np.empty((len(octave.candidates), 4), np.float32)
        count = refined(octave.levels, octave.candidates, settings.contrast, EDGE, points)
        found.append((octave, _visible(points[:count], octave.step, picture.shape, shown)))
    kept = best_spread([(points, octave.step) for octave, points in found], settings.most)
    described = [
        _described(octave, points[chosen], settings.directions)
        for (octave, points), chosen in zip(found, kept, strict=True)
    ]
    keypoints = [np.empty((0, 4), np.float32), *(features.keypoints for features in described)]
    texts = [np.empty((0, LENGTH), np.uint8), *(features.descriptors for features in described)]
    return Features(np.concatenate(keypoints), np.concatenate(texts))


def _visible(
    points: NDArray[np.float32],
    step: float,
    size: tuple[int, ...],
    shown: NDArray[np.bool_] | None,
) -> NDArray[np.float32]:
    """Those of the points (N, 4) of an octave that are not hidden."""
    if shown is None:
        return points
    keypoints = (points[:, :2].astype(np.float64) * step + 0.5) * [
        shown.shape[1] / size[1],
        shown.shape[0] / size[0],
    ]
    columns = np.clip(keypoints[:, 0].astype(int), 0, shown.shape[1] - 1)
    rows = np.clip(keypoints[:, 1].astype(int), 0, shown.shape[0] - 1)
    found: NDArray[np.float32] = points[shown[rows, columns]]
    return found


def _described(octave: Octave, found: NDArray[np.float32], most: int) -> Features:
    """Features of the points (N, 4) of an octave: x, y, level, contrast."""
    levels = octave.levels
    flat, (height, width) = levels.reshape(-1), levels.shape[1:]
    points = np.empty((len(found), 4), np.float32)
    points[:, :2] = found[:, :2]
    points[:, 2] = BASE_SIGMA * np.exp2(found[:, 2] / SCALES)
    points[:, 3] = np.clip(np.round(found[:, 2]), 0, LEVELS - 1)
    angles = np.zeros((len(points), most), np.float32)
    counts = main_directions(flat, height, width, points, angles)
    rows = np.repeat(np.arange(len(points)), counts)
    turned = angles[np.arange(most)[None] < counts[:, None]]
    points = points[rows]
    texts = np.empty((len(points), LENGTH), np.uint8)
    descriptors(flat, height, width, points, turned, texts)
    keypoints = np.empty((len(points), 4), np.float32)
    keypoints[:, :2] = points[:, :2] * np.float32(octave.step) + np.float32(0.5)
    keypoints[:, 2] = points[:, 2] * np.float32(octave.step)
    keypoints[:, 3] = turned
    return Features(keypoints, texts)
