"""Lenses with all their terms free at once, and a prior that holds those the photos do not determine.

A lens of which only a part is free takes into that part what the rest should have had: with tangential terms
held at 0, the principal point of seven portraits was 3.3 pixels off, four stated standard deviations. With
everything free and no prior, few photos bend it at will. Real lenses are nearly centred, have square pixels,
and small tangential and higher radial terms. With that as a prior, a term follows the photos as far as they
tell it, and the stated deviations know of all terms.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pycolmap
from scipy.linalg import cho_solve

from scripts.lib.contracts.sfm import Calibration
from scripts.lib.core.geo import Array
from scripts.lib.sfm.adjust import DENSE_UP_TO, Adjust, Prior, deviations_of
from scripts.lib.sfm.lenses import LENSES, free_parameters, parameters, set_lens
from scripts.lib.sfm.many import Blocks, ManyNormal, factored, many_normal_equations
from scripts.lib.sfm.normal import POSE, Normal, Unknowns, factor, normal_equations

RICHEST = "OPENCV"  # the model that the prior is about
# Standard deviations of lenses about one that is centred, with square pixels and one radial term. Of the
# principal point, of the longer side; of the pixel's aspect; and by how much tangential and second radial
# terms move the corners of the picture, of their distance from its middle (tangential terms of 0.002 for a
# wide lens).
CENTRE, ASPECT, TANGENTIAL, SECOND_RADIAL = 0.015, 0.001, 0.0015, 0.01
# Each step is linear. The first goes nearly all the way; one below this share of a standard deviation is
# not worth an adjustment.
STEPS, ARRIVED = 3, 0.1
# COLMAP's Cauchy loss for positions: the 95 % of chi square with three degrees of freedom.
CAUCHY = 7.815


@dataclass(frozen=True)
class _Usual:
    """What is known of a lens before: information (n, n) about its n parameters, and that times their most
    probable values (n,)."""

    information: Array
    weighted: Array


def _usual(camera: pycolmap.Camera) -> _Usual:
    names = list(parameters(camera))
    focal, side = camera.mean_focal_length(), max(camera.width, camera.height)
    corner = np.hypot(camera.width, camera.height) / 2 / focal
    rows, means = [], []
    for name, deviation, mean in (
        ("cx", CENTRE * side, camera.width / 2),
        ("cy", CENTRE * side, camera.height / 2),
        ("k2", SECOND_RADIAL / corner**4, 0.0),
        ("p1", TANGENTIAL / corner, 0.0),
        ("p2", TANGENTIAL / corner, 0.0),
    ):
        rows.append(np.eye(len(names))[names.index(name)] / deviation)
        means.append(mean / deviation)
    square = np.eye(len(names))[names.index("fx")] - np.eye(len(names))[names.index("fy")]
    rows.append(square / (ASPECT * focal))
    means.append(0.0)
    by = np.array(rows)
    return _Usual(by.T @ by, by.T @ np.array(means))


def usual_cameras(calibration: Calibration | None) -> frozenset[int]:
    """Cameras whose lens stands under the prior, by COLMAP's number."""
    lines = calibration.cameras if calibration else ()
    return frozenset(
        line.camera for line in lines if line.principal_point and line.after.model == RICHEST
    )


def with_all_terms(
    model: pycolmap.Reconstruction,
) -> tuple[pycolmap.Reconstruction, frozenset[int]]:
    """The same model with every camera `RICHEST` that can be, and those cameras; the given model stays."""
    names = {lens.model for lens in LENSES}
    found = frozenset(n for n, camera in model.cameras.items() if camera.model_name in names)
    if any(model.cameras[number].model_name != RICHEST for number in found):
        model = pycolmap.Reconstruction(model)
        for number in found:
            set_lens(model.cameras[number], RICHEST)
    return model, found


def under_prior(
    model: pycolmap.Reconstruction,
    normal: Normal,
    cameras: Collection[int],
    priors: Mapping[str, Prior] | None,
) -> tuple[Array, Array]:
    """The information of `normal` with that about the lenses of `cameras`, and its right side with what that
    and the positions ask: (size, size), (size,).

    All parameters of these cameras must be free in `normal`.
    """
    information, towards = normal.information.copy(), normal.towards + _pulled(normal, priors or {})
    _add_usual(model, normal, cameras, information, towards)
    return information, towards


def many_under_prior(
    model: pycolmap.Reconstruction,
    normal: ManyNormal,
    cameras: Collection[int],
    priors: Mapping[str, Prior] | None,
) -> tuple[Blocks, Array]:
    """As `under_prior`, of a model of many photos."""
    corner, towards = normal.blocks.corner.copy(), normal.towards + _pulled(normal, priors or {})
    first = len(towards) - len(corner)
    _add_usual(model, normal, cameras, corner, towards, first)
    return replace(normal.blocks, corner=corner), towards


def _add_usual(
    model: pycolmap.Reconstruction,
    normal: Unknowns,
    cameras: Collection[int],
    information: Array,
    towards: Array,
    first: int = 0,
) -> None:
    """Add what is known of lenses to the information, whose rows begin at `first`, and to `towards`."""
    for number in cameras:
        usual, at = _usual(model.cameras[number]), np.array(normal.of_camera(number), np.int64)
        asked = usual.weighted - usual.information @ np.array(model.cameras[number].params)
        information[np.ix_(at - first, at - first)] += normal.variance * usual.information
        towards[at] += normal.variance * asked


def with_usual_lenses(
    adjust: Adjust, cameras: Collection[int], priors: Mapping[str, Prior] | None
) -> Adjust:
    """`adjust` that also finds the most probable lenses of `cameras` under the prior; they must be `RICHEST`.

    priors: the positions that `adjust` uses, in the model's frame. See Adjust.
    """

    def adjusted(
        model: pycolmap.Reconstruction, principal_point: bool, keep_lenses: frozenset[int]
    ) -> bool:
        used = {model.image(number).camera_id for number in model.reg_image_ids()}
        found = frozenset(cameras) & used - keep_lenses
        held = keep_lenses | found
        if not adjust(model, principal_point and bool(used - held), held):
            return False
        for _ in range(STEPS if found else 0):
            far = _step(model, found, used - held, priors)
            if far is None:
                return False
            if far < ARRIVED:
                break
            if not adjust(model, False, held):
                return False
        return True

    return adjusted


def _step(
    model: pycolmap.Reconstruction,
    cameras: Collection[int],
    others: Collection[int],
    priors: Mapping[str, Prior] | None,
) -> float | None:
    """Move the lenses of `cameras` to where they are most probable by the linearised model.

    Poses, points and the lenses of `others` are free to follow, and stay where they are. Returns how far,
    in standard deviations, the parameter has to go that has to go farthest: below `ARRIVED` none moves. None
    where the model is not determined.
    """
    free = {number: free_parameters(model.cameras[number], True) for number in cameras}
    free |= {number: free_parameters(model.cameras[number], False) for number in others}
    if model.num_reg_images() > DENSE_UP_TO:
        return _step_of_many(model, free, cameras, priors)
    normal = normal_equations(model, free, bool(priors))
    if normal is None:
        return None
    information, wanted = under_prior(model, normal, cameras, priors)
    if priors:
        information += np.diag(normal.pull(priors))
    solvable = factor(information, None if priors else normal.motions())
    if solvable is None:
        return None
    root, scale, _ = solvable
    change = cho_solve(root, wanted / scale) / scale
    variances: dict[int, Array] = {}
    for number in cameras:
        at = normal.of_camera(number)
        units = np.eye(len(scale))[:, at] / scale[:, None]
        variances[number] = np.diag((cho_solve(root, units) / scale[:, None])[at])
    return _moved(model, normal, change, variances)


def _step_of_many(
    model: pycolmap.Reconstruction,
    free: Mapping[int, Sequence[int]],
    cameras: Collection[int],
    priors: Mapping[str, Prior] | None,
) -> float | None:
    """As `_step`, of a model of many photos."""
    normal = many_normal_equations(model, free, bool(priors))
    if normal is None:
        return None
    blocks, wanted = many_under_prior(model, normal, cameras, priors)
    found = factored(blocks.plus(normal.pull(priors) if priors else normal.held()))
    if found is None:
        return None
    variances, first = np.diag(found.of_lenses()), len(wanted) - len(blocks.corner)
    of_camera = {
        number: variances[np.array(normal.of_camera(number), np.int64) - first]
        for number in cameras
    }
    return _moved(model, normal, found.solve(wanted[:, None])[:, 0], of_camera)


def _moved(
    model: pycolmap.Reconstruction,
    normal: Unknowns,
    change: Array,
    variances: Mapping[int, Array],
) -> float:
    """Move lenses by `change` (size,), unless all are there; how far, see `_step`. variances: of the lenses'
    parameters by camera, as the inverse of the information has them."""
    far = 0.0
    for number, inverse in variances.items():
        sigma = np.sqrt(normal.variance * inverse)
        far = max(far, float((np.abs(change[normal.of_camera(number)]) / sigma).max()))
    for number in variances if far >= ARRIVED else ():
        camera = model.cameras[number]
        camera.params = list(np.array(camera.params) + change[normal.of_camera(number)])
    return far


def _pulled(normal: Unknowns, priors: Mapping[str, Prior]) -> Array:
    """What positions ask of the cameras, for the right side (size,) of `normal`."""
    asked = np.zeros_like(normal.towards)
    for row, image in enumerate(normal.images):
        prior = priors.get(image.name)
        if prior is not None:
            deviations = deviations_of(prior)
            miss = prior.position - image.projection_center()
            weight = 1 / (1 + ((miss / deviations) ** 2).sum() / CAUCHY)
            asked[POSE * row + 3 : POSE * row + 6] = weight * miss / deviations**2
    return asked
