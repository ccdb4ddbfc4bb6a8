"""How certain an adjusted model is: standard deviations of lenses and of camera positions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pycolmap
from scipy.linalg import cho_solve

from scripts.lib.core.geo import Array
from scripts.lib.sfm.adjust import Prior
from scripts.lib.sfm.lens_prior import under_prior
from scripts.lib.sfm.normal import POSE, factor, normal_equations


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
    usual: Collection[int] = (),
) -> Certainty | None:
    """The certainty of an adjusted model; None when it is not determined at all.

    free: the lens parameters that the adjustment was free to change, by camera. priors: positions that took
    part in the adjustment, in the model's frame; without them the frame is the one in which the mean of the
    cameras' positions, their spread and their turn stand still (inner constraints). usual: cameras of which
    all terms count as open under a prior (`lens_prior`), whichever were free: where the model is not the most
    probable one, its distance from that belongs to its error.
    """
    normal = normal_equations(model, free, bool(priors))
    if normal is None:
        return None
    variance = normal.variance
    information, wanted = under_prior(model, normal, usual, priors)
    motions, pull = normal.motions(), normal.pull(priors or {})
    if priors:
        inverse = _inverse(information + np.diag(pull))
    else:
        inverse = _floating(information, motions, len(normal.images))
    if inverse is None:
        return None
    covariance = variance * inverse
    if priors:
        # The adjustment weighs a sighting as if it were certain to one pixel. With A the information as it
        # has it, N of the sightings and P of the positions, the covariance is A^-1 (variance N + P) A^-1.
        covariance += (1 - variance) * (inverse * pull) @ inverse
    if usual:
        missed = inverse @ wanted
        covariance += np.outer(missed, missed)
    lenses = {}
    for number, numbers in free.items():
        deviations = np.full(len(model.cameras[number].params), np.nan)
        where = normal.of_camera(number)
        deviations[sorted(numbers)] = np.sqrt(np.maximum(np.diag(covariance)[where], 0.0))
        lenses[number] = deviations
    at = np.array([POSE * row + 3 + axis for row in range(len(normal.images)) for axis in range(3)])
    blocks = covariance[np.ix_(at, at)]
    # The motion nearest to what the centres do.
    nearest = np.linalg.pinv(motions[at])
    motion = nearest @ blocks @ nearest.T if priors else np.zeros((7, 7))
    positions = {
        image.name: blocks[3 * row : 3 * row + 3, 3 * row : 3 * row + 3]
        for row, image in enumerate(normal.images)
    }
    placed = {image.frame_id: positions[image.name] for image in normal.images}
    for number in model.reg_image_ids():  # views of panoramas that stand where the first one does
        image = model.image(number)
        positions.setdefault(image.name, placed[image.frame_id])
    return Certainty(lenses, positions, float(np.sqrt(normal.unit_variance)), motion)


def _inverse(information: Array) -> Array | None:
    """Inverse of a positive matrix; None when it is singular."""
    found = factor(information)
    if found is None:
        return None
    root, scale, _ = found
    inverse: Array = cho_solve(root, np.eye(len(scale))) / np.outer(scale, scale)
    return inverse


def _floating(information: Array, motions: Array, photos: int) -> Array | None:
    """Inverse where the frame is free: the camera centres decide it (inner constraints).

    With the seven motions G of the whole, which change no picture, (N + G G^T)^-1 - G G^T is a generalised
    inverse when G is orthonormal; it is then moved to the frame of the centres.
    """
    size = len(information)
    only_centres = np.zeros(size)
    only_centres[: POSE * photos].reshape(photos, POSE)[:, 3:] = 1.0
    found = factor(information, motions)
    if found is None:
        return None
    root, scale, loose = found
    inner = cho_solve(root, np.eye(size)) - loose @ loose.T
    general = inner / np.outer(scale, scale)
    constraint = motions * only_centres[:, None]
    project = np.eye(size) - motions @ np.linalg.solve(constraint.T @ motions, constraint.T)
    covariance: Array = project @ general @ project.T
    return covariance
