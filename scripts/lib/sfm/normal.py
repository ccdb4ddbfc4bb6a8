"""The normal equations of an adjusted model for its poses and lenses, its points eliminated.

COLMAP's own leave out what positions from GPS say, so they are built here: points are eliminated one by one
(Schur complement), what is left are poses and lenses. See Triggs et al., "Bundle Adjustment - A Modern
Synthesis" (2000), sections 6.1 and 9 (gauge).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pycolmap
from scipy.linalg import cho_factor

from scripts.lib.core.geo import Array
from scripts.lib.sfm.adjust import Prior, deviations_of
from scripts.lib.sfm.projection import (
    Seen,
    lens_jacobian,
    local_point_jacobian,
    point_roots,
    rotation_jacobian,
    seen_by,
)
from scripts.lib.sfm.rigs import exact_cameras
from scripts.lib.sfm.schur import eliminated
from scripts.lib.sfm.tables import Rows

POSE = 6  # a turn about the camera's axes, and the camera's centre


@dataclass(frozen=True)
class Unknowns:
    """What stands where in N x = b of an adjusted model, for small changes x of its poses and lenses.

    towards: b (size,), of the sightings alone. columns: where each (camera, parameter) stands; poses stand
    first, photo by photo. unit_variance: of a coordinate of a sighting, square pixels; variance: what N is to
    be divided by.
    """

    images: list[pycolmap.Image]
    columns: dict[tuple[int, int], int]
    towards: Array
    unit_variance: float
    variance: float

    @property
    def centres(self) -> Array:
        """(P, 3) positions of the photos."""
        return np.array([image.projection_center() for image in self.images])

    def of_camera(self, number: int) -> list[int]:
        """Columns of a camera's free parameters, ascending."""
        return [column for (camera, _), column in self.columns.items() if camera == number]

    def pull(self, priors: Mapping[str, Prior]) -> Array:
        """What positions add to the diagonal (size,) of the information."""
        added = np.zeros(len(self.towards))
        for row, image in enumerate(self.images):
            prior = priors.get(image.name)
            if prior is not None:
                added[POSE * row + 3 : POSE * row + 6] = 1 / deviations_of(prior) ** 2
        return added

    def motions(self) -> Array:
        """How each motion of the whole (size, 7) changes the poses: shift, turn about the middle, scale."""
        centres = self.centres
        middle = centres.mean(axis=0)
        motions = np.zeros((len(self.towards), 7))
        for row, (centre, image) in enumerate(zip(centres, self.images, strict=True)):
            R = image.cam_from_world().rotation.matrix()
            at = POSE * row
            motions[at + 3 : at + 6, :3] = np.eye(3)
            offset = centre - middle
            for axis, turn in enumerate(np.eye(3)):
                # The world turns: the camera, in its own axes, turns with it.
                motions[at : at + 3, 3 + axis] = -R @ turn
                motions[at + 3 : at + 6, 3 + axis] = np.cross(turn, offset)
            motions[at + 3 : at + 6, 6] = offset
        return motions


@dataclass(frozen=True)
class Normal(Unknowns):
    """information: N (size, size), of sightings that weigh as a SOFT_L1 loss of one pixel has them."""

    information: Array


def normal_equations(
    model: pycolmap.Reconstruction, free: Mapping[int, Sequence[int]], held: bool
) -> Normal | None:
    """The normal equations of an adjusted model; None when it has no more sightings than unknowns.

    free: the lens parameters that may change, by camera. held: whether positions hold the frame. The views
    of a panorama have one pose, that of the first of them.
    """
    images = [model.image(number) for number in sorted(model.reg_image_ids())]
    seen = seen_by(model)
    seen = seen.only(seen.usable())
    columns, size = lens_columns(free, POSE * len(images))
    first, joint = joined_poses(model, images, size)
    redundancy = 2 * len(seen.photo) - joint.shape[1] - 3 * len(seen.points) + (0 if held else 7)
    if not len(seen.photo) or redundancy <= 0:
        return None
    residual = seen.residual
    weight = 1 / np.sqrt(1 + (residual**2).sum(axis=1))
    equations = _reduced(model, seen, weight, free, columns, size)
    unit_variance = variance_of(residual, weight, redundancy)
    information, towards = equations[:size, :size], equations[:size, size]
    if len(first) < len(images):
        information, towards = joint.T @ information @ joint, joint.T @ towards
        fewer = POSE * (len(images) - len(first))
        columns = {of: column - fewer for of, column in columns.items()}
    return Normal(
        first,
        columns,
        information=information,
        towards=towards,
        unit_variance=unit_variance,
        # The information counts each sighting by its weight.
        variance=unit_variance * float(weight.mean()),
    )


def joined_poses(
    model: pycolmap.Reconstruction, images: Sequence[pycolmap.Image], size: int
) -> tuple[list[pycolmap.Image], Array]:
    """The first photo of each frame, and how what may change there changes all photos: (size, fewer).

    Behind the poses of `images`, `size` counts the parameters of lenses, which stay as they are. Of rigs
    only panoramas are joined: their views turn together about one centre.
    """
    first, rows = joined_rows(model, images)
    lenses = size - POSE * len(images)
    joint = np.zeros((size, POSE * len(first) + lenses))
    joint[size - lenses :, POSE * len(first) :] = np.eye(lenses)
    for at, (image, row) in enumerate(zip(images, rows.tolist(), strict=True)):
        between = image.cam_from_world() * first[row].cam_from_world().inverse()
        turn = slice(POSE * at, POSE * at + 3), slice(POSE * row, POSE * row + 3)
        joint[turn] = between.rotation.matrix()
        centre = slice(POSE * at + 3, POSE * at + 6), slice(POSE * row + 3, POSE * row + 6)
        joint[centre] = np.eye(3)
    return first, joint


def joined_rows(
    model: pycolmap.Reconstruction, images: Sequence[pycolmap.Image]
) -> tuple[list[pycolmap.Image], Rows]:
    """The photos with a pose of their own, of a panorama the first; and whose pose each of `images` has."""
    exact = exact_cameras(model)
    row_of: dict[int, int] = {}
    first: list[pycolmap.Image] = []
    rows = []
    for image in images:
        own = image.frame_id if image.camera_id in exact else -image.image_id
        if own not in row_of:
            row_of[own] = len(first)
            first.append(image)
        rows.append(row_of[own])
    return first, np.array(rows, np.int64)


def factor(information: Array, motions: Array | None = None) -> tuple[Any, Array, Array] | None:
    """Cholesky factor of a positive matrix whose rows differ widely in size; None when it is singular.

    motions (size, n): what it says nothing of, and what may be anything. Returned are the factor of the
    matrix with rows and columns divided by a scale (size,), that scale, and the scaled motions, orthonormal,
    whose squares were added to it.
    """
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    loose = np.zeros((len(scale), 0))
    if motions is not None:
        loose, _ = np.linalg.qr(motions * scale[:, None])
    elif not np.all(np.diag(information) > 0):
        return None
    try:
        found = cho_factor(information / np.outer(scale, scale) + loose @ loose.T, lower=True)
    except np.linalg.LinAlgError:
        return None
    return found, scale, loose


def variance_of(residual: Array, weight: Array, redundancy: int) -> float:
    """Variance of one coordinate, from weighted residuals of a robust adjustment.

    Huber, "Robust Statistics" (1981), 7.6: the weighted sum of squares is corrected by the mean derivative of
    the weighted residual, which is w for the across part and w^3 for the part along the residual.
    """
    squares = float((weight**2 * (residual**2).sum(axis=1)).sum()) / redundancy
    derivative = float(((weight + weight**3) / 2).mean())
    return squares / derivative**2


def lens_columns(
    free: Mapping[int, Sequence[int]], first: int
) -> tuple[dict[tuple[int, int], int], int]:
    """The column of each (camera, parameter) behind `first` others, and how many columns there are then."""
    columns = {}
    for number in sorted(free):
        for parameter in sorted(free[number]):
            columns[number, parameter] = first
            first += 1
    return columns, first


def _reduced(
    model: pycolmap.Reconstruction,
    seen: Seen,
    weight: Array,
    free: Mapping[int, Sequence[int]],
    columns: Mapping[tuple[int, int], int],
    size: int,
) -> Array:
    """Information of poses and lenses once the points are eliminated, and in a last row and column what the
    residuals ask of them: (size + 1, size + 1)."""
    jacobian, whitened, column_of = jacobians(model, seen, weight, free, columns)
    column_of[:, :POSE] = POSE * seen.photo[:, None] + np.arange(POSE)
    column_of[:, -1] = size
    return eliminated(jacobian, column_of, whitened, seen.point, size + 1)


def jacobians(
    model: pycolmap.Reconstruction,
    seen: Seen,
    weight: Array,
    free: Mapping[int, Sequence[int]],
    columns: Mapping[tuple[int, int], int],
) -> tuple[Array, Array, Rows]:
    """What `eliminated` takes of K sightings.

    Derivatives by their pose and lens and, last, the residuals: (K, 2, n). Those by their point, with
    orthonormal columns: (K, 2, 3). The columns of the lenses' parameters, -1 for all others: (K, n).
    """
    root = np.sqrt(weight)[:, None, None]
    local = local_point_jacobian(model, seen)
    to_world = root * (local @ seen.turns(model)[seen.photo])
    # A camera that moves sees the world move the other way.
    parts = [
        root * rotation_jacobian(seen, local),
        -to_world,
        root * lens_jacobian(model, seen, free),
        root * seen.residual[:, :, None],
    ]
    jacobian = np.concatenate(parts, axis=2)
    count = len(seen.points)
    whitened = to_world @ point_roots(to_world, seen.point, count)[seen.point]
    column_of = np.full((len(weight), jacobian.shape[2]), -1)
    for row, number in enumerate(seen.cameras):
        for column, parameter in enumerate(free.get(number, ())):
            column_of[seen.camera == row, POSE + column] = columns[number, parameter]
    return jacobian, whitened, column_of
