"""Tracks that verified matches make, as many of each photo as tell whether its camera only turned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pycolmap

from scripts.lib.core.geo import Array
from scripts.lib.sfm.thinning import join

SEEN = 60  # tracks wanted in each photo: three unknowns of a rotation need far fewer
FEWEST_TRACKS = 10
# How wrong the model's lens may be. Models of turned cameras were seen with focal lengths 0.6 to 1.8 times
# the true one; where EXIF tells it, it is known better, cropped copies allowed for. A lens without bounds
# would explain a flight over a plain: far enough away, a turn is a step to the side.
UNKNOWN_FOCAL, KNOWN_FOCAL, BEND = (0.5, 2.0), (0.7, 1.4), (-0.1, 0.1)

Index = npt.NDArray[Any]  # of whole numbers


@dataclass(frozen=True)
class Tracks:
    """Observations in parallel arrays: photo, track and lens (N,), focal length in pixels (N,), and
    coordinates on the plane at depth 1 (N, 2), `undistorted` by the model's lens, and `pinhole` by one
    without distortion: an invented model's may be far off."""

    photo: Index
    track: Index
    lens: Index
    undistorted: Array
    pinhole: Array
    focal: Array
    photos: int
    tracks: int
    low: Array  # (lenses, 2) bounds of the focal length's factor and the radial term
    high: Array


def sampled_tracks(
    model: pycolmap.Reconstruction,
    matches: Mapping[tuple[int, int], Index],
    known: Mapping[int, float],
) -> Tracks | None:
    """A sample of the tracks that the matches make; None when there are too few."""
    numbers = sorted(model.reg_image_ids())
    lens_of = {number: i for i, number in enumerate(sorted(model.cameras))}
    joined = join({number: model.image(number).num_points2D() for number in numbers}, matches)
    photo, feature, track = joined.photo, joined.feature, joined.track
    rows = _sample(photo, track, len(numbers))
    photo, feature, track = photo[rows], feature[rows], track[rows]
    undistorted, pinhole = np.zeros((len(rows), 2)), np.zeros((len(rows), 2))
    focal, lens = np.zeros(len(rows)), np.zeros(len(rows), int)
    by_photo = np.argsort(photo, kind="stable")
    ends = np.searchsorted(photo[by_photo], np.arange(len(numbers) + 1))
    for i, number in enumerate(numbers):
        mine = by_photo[ends[i] : ends[i + 1]]
        if len(mine):
            image = model.image(number)
            camera = model.cameras[image.camera_id]
            pixels = np.array([image.points2D[int(k)].xy for k in feature[mine]])
            undistorted[mine] = np.asarray(camera.cam_from_img(pixels))[:, :2]
            middle = [camera.principal_point_x, camera.principal_point_y]
            pinhole[mine] = (pixels - middle) / camera.mean_focal_length()
            focal[mine], lens[mine] = camera.mean_focal_length(), lens_of[image.camera_id]
    good = np.isfinite(undistorted).all(axis=1)
    if good.any():
        good &= np.bincount(track, good)[track] >= 2
    kept, track = np.unique(track[good], return_inverse=True)
    if len(kept) < FEWEST_TRACKS:
        return None
    bounds = []
    for key in lens_of:
        told = known.get(key)
        factor = told / model.cameras[key].mean_focal_length() if told else 1.0
        focal_low, focal_high = KNOWN_FOCAL if told else UNKNOWN_FOCAL
        bounds.append([[factor * focal_low, BEND[0]], [factor * focal_high, BEND[1]]])
    low, high = np.array(bounds).transpose(1, 0, 2)
    observed = (photo[good], track, lens[good], undistorted[good], pinhole[good], focal[good])
    return Tracks(*observed, len(numbers), len(kept), low, high)


def _sample(photo: Index, track: Index, photos: int) -> Index:
    """Rows of some tracks, the longer than two first, until each photo has SEEN of them."""
    order = np.argsort(track, kind="stable")
    begin = (
        np.searchsorted(track[order], np.arange(track.max() + 2))
        if len(track)
        else np.zeros(1, int)
    )
    length = np.diff(begin)
    mixed = np.random.default_rng(0).permutation(len(length))
    mixed = mixed[np.argsort(length[mixed] < 3, kind="stable")]
    seen = np.zeros(photos, int)
    chosen: list[Index] = []
    for number in mixed:
        rows = order[begin[number] : begin[number + 1]]
        if seen[photo[rows]].min() < SEEN:
            seen[photo[rows]] += 1
            chosen.append(rows)
            if seen.min() >= SEEN:
                break
    return np.concatenate(chosen) if chosen else np.zeros(0, int)
