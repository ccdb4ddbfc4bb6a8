"""How certain an adjusted model is: standard deviations of lenses and of camera positions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pycolmap
from scipy.linalg import cho_solve

from scripts.lib.core.geo import Array
from scripts.lib.sfm.adjust import DENSE_UP_TO, Prior
from scripts.lib.sfm.lens_prior import many_under_prior, under_prior
from scripts.lib.sfm.many import factored, many_normal_equations
from scripts.lib.sfm.normal import POSE, Unknowns, factor, normal_equations
from scripts.lib.sfm.tables import Rows

# By this share the weight of the positions is changed to see what that changes.
SMALL = 1e-3


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
    if model.num_reg_images() > DENSE_UP_TO:
        return certainty_of_many(model, free, priors, usual)
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
    at = np.array([POSE * row + 3 + axis for row in range(len(normal.images)) for axis in range(3)])
    blocks = covariance[np.ix_(at, at)]
    # The motion nearest to what the centres do.
    nearest = np.linalg.pinv(motions[at])
    motion = nearest @ blocks @ nearest.T if priors else np.zeros((7, 7))
    centres = np.array(
        [blocks[3 * row : 3 * row + 3, 3 * row : 3 * row + 3] for row in range(len(normal.images))]
    )
    lens_variances = np.diag(covariance)[POSE * len(normal.images) :]
    return _told(model, normal, free, centres, lens_variances, motion)


def _told(
    model: pycolmap.Reconstruction,
    normal: Unknowns,
    free: Mapping[int, Sequence[int]],
    centres: Array,
    lens_variances: Array,
    motion: Array,
) -> Certainty:
    """What is known by camera and photo; centres: (poses, 3, 3), lens_variances: (n,)."""
    lenses = {}
    for number, numbers in free.items():
        deviations = np.full(len(model.cameras[number].params), np.nan)
        where = np.array(normal.of_camera(number), np.int64) - POSE * len(normal.images)
        deviations[sorted(numbers)] = np.sqrt(np.maximum(lens_variances[where], 0.0))
        lenses[number] = deviations
    positions = {image.name: block for image, block in zip(normal.images, centres, strict=True)}
    placed = {image.frame_id: positions[image.name] for image in normal.images}
    for number in model.reg_image_ids():  # views of panoramas that stand where the first one does
        image = model.image(number)
        positions.setdefault(image.name, placed[image.frame_id])
    return Certainty(lenses, positions, float(np.sqrt(normal.unit_variance)), motion)


def certainty_of_many(
    model: pycolmap.Reconstruction,
    free: Mapping[int, Sequence[int]],
    priors: Mapping[str, Prior] | None = None,
    usual: Collection[int] = (),
) -> Certainty | None:
    """As `certainty`, by blocks: of many photos the whole inverse would take all memory.

    None also where photos fall apart, or where too many of them see the same (`many_normal_equations`).
    """
    normal = many_normal_equations(model, free, bool(priors))
    if normal is None:
        return None
    variance, first_lens = normal.variance, POSE * len(normal.images)
    blocks, wanted = many_under_prior(model, normal, usual, priors)
    motions, pull = normal.motions(), normal.pull(priors or {})
    at = _rows_of_centres(len(normal.images))
    if priors:
        found = factored(blocks.plus(pull))
        sides = [factored(blocks.plus((1 + sign * SMALL) * pull)) for sign in (-1, 1)]
        if found is None or sides[0] is None or sides[1] is None:
            return None
        # A^-1 P A^-1 is how A^-1 changes with the weight of the positions, for the worse.
        centres, lenses = found.of_centres(), np.diag(found.of_lenses())
        pulled = (sides[0].of_centres() - sides[1].of_centres()) / (2 * SMALL)
        of_lenses = np.diag(sides[0].of_lenses() - sides[1].of_lenses()) / (2 * SMALL)
        centres = variance * centres + (1 - variance) * pulled
        lenses = variance * lenses + (1 - variance) * of_lenses
        nearest = np.zeros((len(wanted), 7))
        nearest[at] = np.linalg.pinv(motions[at]).T
        answered = found.solve(nearest)
        motion = variance * nearest.T @ answered
        motion += (1 - variance) * answered.T @ (pull[:, None] * answered)
    else:
        found = factored(blocks.plus(normal.held()))
        if found is None:
            return None
        # Where the frame was held does not matter: it is moved to that of the centres (see `_floating`).
        constraint = np.zeros_like(motions)
        constraint[at] = motions[at]
        onto = np.asarray(np.linalg.solve(constraint.T @ motions, constraint.T).T, float)
        answered = found.solve(onto)
        by, moved = motions[at].reshape(-1, 3, 7), answered[at].reshape(-1, 3, 7)
        crossed = by @ moved.transpose(0, 2, 1)
        centres = found.of_centres() - crossed - crossed.transpose(0, 2, 1)
        centres = variance * (centres + by @ (onto.T @ answered) @ by.transpose(0, 2, 1))
        lenses = variance * np.diag(found.of_lenses())
        motion, nearest = np.zeros((7, 7)), np.zeros((len(wanted), 7))
    if usual:
        missed = found.solve(wanted[:, None])[:, 0]
        if priors:
            motion += np.outer(nearest.T @ missed, nearest.T @ missed)
        else:
            missed = missed - motions @ (onto.T @ missed)
        each = missed[at].reshape(-1, 3)
        centres = centres + each[:, :, None] * each[:, None, :]
        lenses = lenses + missed[first_lens:] ** 2
    return _told(model, normal, free, centres, lenses, motion)


def _rows_of_centres(poses: int) -> Rows:
    return np.add.outer(POSE * np.arange(poses), np.arange(3, POSE)).ravel()


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
