"""How certain an adjusted model is: standard deviations of lenses and of camera positions.

COLMAP's own covariance leaves out what positions from GPS say, so the normal equations are built here: points
are eliminated one by one (Schur complement), what is left are poses and lenses. See Triggs et al., "Bundle
Adjustment - A Modern Synthesis" (2000), sections 6.1 and 9 (gauge).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pycolmap
from scipy.linalg import cho_factor, cho_solve

from scripts.lib.core.geo import Array
from scripts.lib.sfm.adjust import LEAST_DEVIATION_M, Prior
from scripts.lib.sfm.projection import (
    Seen,
    lens_jacobian,
    local_point_jacobian,
    point_roots,
    rotation_jacobian,
    seen_by,
)
from scripts.lib.sfm.schur import eliminated

POSE = 6  # a turn about the camera's axes, and the camera's centre


@dataclass(frozen=True)
class Certainty:
    """Standard deviations of a model.

    lenses: one for each parameter of each camera, NaN for those that were held. centres: covariance (3, 3) of
    each camera's position, in the model's units. unit_deviation: of one coordinate of a sighting, in pixels.
    motion: covariance (7, 7) of the frame as a whole: shift of the cameras' middle (units), turn about the
    axes there (radians), logarithm of the scale. It is 0 where nothing outside the photos held the frame.
    """

    lenses: dict[int, Array]
    centres: dict[str, Array]
    unit_deviation: float
    motion: Array


def certainty(
    model: pycolmap.Reconstruction,
    free: Mapping[int, Sequence[int]],
    priors: Mapping[str, Prior] | None = None,
) -> Certainty | None:
    """The certainty of an adjusted model; None when it is not determined at all.

    free: the lens parameters that the adjustment was free to change, by camera. priors: positions that took
    part in the adjustment, in the model's frame; without them the frame is the one in which the mean of the
    cameras' positions, their spread and their turn stand still (inner constraints). Sightings weigh as a
    SOFT_L1 loss of one pixel has them.
    """
    images = [model.image(number) for number in sorted(model.reg_image_ids())]
    seen = seen_by(model)
    seen = seen.only(seen.usable())
    if not len(seen.photo):
        return None
    columns, size = _lens_columns(free, POSE * len(images))
    residual = seen.residual
    weight = 1 / np.sqrt(1 + (residual**2).sum(axis=1))
    information = _reduced(model, seen, weight, free, columns, size)
    used = POSE * len(images) + sum(len(numbers) for numbers in free.values())
    redundancy = 2 * len(weight) - used - 3 * len(seen.points) + (0 if priors else 7)
    if redundancy <= 0:
        return None
    unit_variance = _variance(residual, weight, redundancy)
    # The information counts each sighting by its weight.
    variance = unit_variance * float(weight.mean())
    centres = np.array([image.projection_center() for image in images])
    motions = _motions(
        centres, [image.cam_from_world().rotation.matrix() for image in images], size
    )
    if priors:
        covariance = _held(information, _pull(images, priors, size), variance)
    else:
        covariance = _floating(information, motions, len(images))
        covariance = None if covariance is None else variance * covariance
    if covariance is None:
        return None
    lenses = {}
    for number, numbers in free.items():
        deviations = np.full(len(model.cameras[number].params), np.nan)
        where = [columns[number, p] for p in numbers]
        deviations[list(numbers)] = np.sqrt(np.maximum(np.diag(covariance)[where], 0.0))
        lenses[number] = deviations
    at = np.array([POSE * row + 3 + axis for row in range(len(images)) for axis in range(3)])
    blocks = covariance[np.ix_(at, at)]
    # The motion nearest to what the centres do.
    nearest = np.linalg.pinv(motions[at])
    motion = nearest @ blocks @ nearest.T if priors else np.zeros((7, 7))
    positions = {
        image.name: blocks[3 * row : 3 * row + 3, 3 * row : 3 * row + 3]
        for row, image in enumerate(images)
    }
    return Certainty(lenses, positions, float(np.sqrt(unit_variance)), motion)


def _variance(residual: Array, weight: Array, redundancy: int) -> float:
    """Variance of one coordinate, from weighted residuals of a robust adjustment.

    Huber, "Robust Statistics" (1981), 7.6: the weighted sum of squares is corrected by the mean derivative of
    the weighted residual, which is w for the across part and w^3 for the part along the residual.
    """
    squares = float((weight**2 * (residual**2).sum(axis=1)).sum()) / redundancy
    derivative = float(((weight + weight**3) / 2).mean())
    return squares / derivative**2


def _lens_columns(
    free: Mapping[int, Sequence[int]], first: int
) -> tuple[dict[tuple[int, int], int], int]:
    columns = {}
    for number in sorted(free):
        for parameter in free[number]:
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
    """Information (size, size) of poses and lenses once the points are eliminated."""
    root = np.sqrt(weight)[:, None, None]
    local = local_point_jacobian(model, seen)
    to_world = root * (local @ seen.turns(model)[seen.photo])
    # A camera that moves sees the world move the other way.
    parts = [
        root * rotation_jacobian(seen, local),
        -to_world,
        root * lens_jacobian(model, seen, free),
    ]
    jacobian = np.concatenate(parts, axis=2)
    count = len(seen.points)
    whitened = to_world @ point_roots(to_world, seen.point, count)[seen.point]
    column_of = np.full((len(weight), jacobian.shape[2]), -1)
    column_of[:, :POSE] = POSE * seen.photo[:, None] + np.arange(POSE)
    for row, number in enumerate(seen.cameras):
        for column, parameter in enumerate(free.get(number, ())):
            column_of[seen.camera == row, POSE + column] = columns[number, parameter]
    return eliminated(jacobian, column_of, whitened, seen.point, size)


def _pull(images: Sequence[pycolmap.Image], priors: Mapping[str, Prior], size: int) -> Array:
    """What positions add to the diagonal (size,) of the information."""
    added = np.zeros(size)
    for row, image in enumerate(images):
        prior = priors.get(image.name)
        if prior is not None:
            deviations = np.maximum(
                [prior.horizontal, prior.horizontal, prior.vertical], LEAST_DEVIATION_M
            )
            added[POSE * row + 3 : POSE * row + 6] = 1 / deviations**2
    return added


def _held(information: Array, pull: Array, variance: float) -> Array | None:
    """Covariance where positions hold the frame; None when it is singular.

    The adjustment weighs a sighting as if it were certain to one pixel. With A the information as it has it,
    N of the sightings and P of the positions, the covariance is A^-1 (variance N + P) A^-1.
    """
    inverse = _inverse(information + np.diag(pull))
    if inverse is None:
        return None
    covariance: Array = variance * inverse + (1 - variance) * (inverse * pull) @ inverse
    return covariance


def _inverse(information: Array) -> Array | None:
    """Inverse of a positive matrix whose rows differ widely in size; None when it is singular."""
    scale = np.sqrt(np.diag(information))
    if not np.all(scale > 0):
        return None
    try:
        factor = cho_factor(information / np.outer(scale, scale), lower=True)
    except np.linalg.LinAlgError:
        return None
    inverse: Array = cho_solve(factor, np.eye(len(scale))) / np.outer(scale, scale)
    return inverse


def _motions(centres: Array, turns: Sequence[Array], size: int) -> Array:
    """How each motion of the whole (size, 7) changes the poses: shift, turn about the middle, scale."""
    middle = centres.mean(axis=0)
    motions = np.zeros((size, 7))
    for row, (centre, R) in enumerate(zip(centres, turns, strict=True)):
        at = POSE * row
        motions[at + 3 : at + 6, :3] = np.eye(3)
        offset = centre - middle
        for axis, turn in enumerate(np.eye(3)):
            # The world turns: the camera, in its own axes, turns with it.
            motions[at : at + 3, 3 + axis] = -R @ turn
            motions[at + 3 : at + 6, 3 + axis] = np.cross(turn, offset)
        motions[at + 3 : at + 6, 6] = offset
    return motions


def _floating(information: Array, motions: Array, photos: int) -> Array | None:
    """Inverse where the frame is free: the camera centres decide it (inner constraints).

    With the seven motions G of the whole, which change no picture, (N + G G^T)^-1 - G G^T is a generalised
    inverse when G is orthonormal; it is then moved to the frame of the centres.
    """
    size = len(information)
    only_centres = np.zeros(size)
    only_centres[: POSE * photos].reshape(photos, POSE)[:, 3:] = 1.0
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    scaled_motions, _ = np.linalg.qr(motions * scale[:, None])
    scaled = information / np.outer(scale, scale)
    try:
        factor = cho_factor(scaled + scaled_motions @ scaled_motions.T, lower=True)
    except np.linalg.LinAlgError:
        return None
    inner = cho_solve(factor, np.eye(size)) - scaled_motions @ scaled_motions.T
    general = inner / np.outer(scale, scale)
    constraint = motions * only_centres[:, None]
    project = np.eye(size) - motions @ np.linalg.solve(constraint.T @ motions, constraint.T)
    covariance: Array = project @ general @ project.T
    return covariance
