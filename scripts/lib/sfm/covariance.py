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
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

from scripts.lib.geo import Array
from scripts.lib.sfm.adjust import LEAST_DEVIATION_M, Prior

POSE = 6  # a turn about the camera's axes, and the camera's centre
STEP = 1e-6  # of numeric derivatives, relative


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


@dataclass(frozen=True)
class _Sightings:
    """K sightings of points: rows of photos and points, residuals (K, 2) in pixels, and their slopes."""

    photo: Array
    point: Array
    residual: Array
    by_pose: Array  # (K, 2, 6)
    by_point: Array  # (K, 2, 3)
    by_lens: list[Array]  # of each photo (k, 2, P)
    camera: Array


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
    seen = _sightings(model, images, free)
    if seen is None:
        return None
    columns, size = _lens_columns(free, POSE * len(images))
    weight = 1 / np.sqrt(1 + (seen.residual**2).sum(axis=1))
    information = _reduced(seen, weight, columns, size)
    if information is None:
        return None
    used = POSE * len(images) + sum(len(numbers) for numbers in free.values())
    points = len(np.unique(seen.point))
    redundancy = 2 * len(weight) - used - 3 * points + (0 if priors else 7)
    if redundancy <= 0:
        return None
    unit_variance = _variance(seen.residual, weight, redundancy)
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
    places = {
        image.name: blocks[3 * row : 3 * row + 3, 3 * row : 3 * row + 3]
        for row, image in enumerate(images)
    }
    return Certainty(lenses, places, float(np.sqrt(unit_variance)), motion)


def _variance(residual: Array, weight: Array, redundancy: int) -> float:
    """Variance of one coordinate, from weighted residuals of a robust adjustment.

    Huber, "Robust Statistics" (1981), 7.6: the weighted sum of squares is put right by the mean slope of the
    weighted residual, which is w for the across part and w^3 for the part along the residual.
    """
    squares = float((weight**2 * (residual**2).sum(axis=1)).sum()) / redundancy
    slope = float(((weight + weight**3) / 2).mean())
    return squares / slope**2


def _lens_columns(
    free: Mapping[int, Sequence[int]], first: int
) -> tuple[dict[tuple[int, int], int], int]:
    columns = {}
    for number in sorted(free):
        for parameter in free[number]:
            columns[number, parameter] = first
            first += 1
    return columns, first


def _sightings(
    model: pycolmap.Reconstruction,
    images: Sequence[pycolmap.Image],
    free: Mapping[int, Sequence[int]],
) -> _Sightings | None:
    numbers: dict[int, int] = {}
    photos, points, residuals, by_pose, by_point, by_lens, cameras = [], [], [], [], [], [], []
    for row, image in enumerate(images):
        pairs = [(p.xy, p.point3D_id) for p in image.get_observation_points2D()]
        if not pairs:
            continue
        xy = np.array([xy for xy, _ in pairs])
        xyz = np.array([model.point3D(number).xyz for _, number in pairs])
        pose = image.cam_from_world()
        R = pose.rotation.matrix()
        local = (xyz - image.projection_center()) @ R.T
        camera = model.cameras[image.camera_id]
        projected = np.asarray(camera.img_from_cam(local), float)
        ok = np.isfinite(projected).all(axis=1) & (local[:, 2] > 0)
        local, projected, xy = local[ok], projected[ok], xy[ok]
        slope = _by_local(camera, local)
        # Turning the camera by p moves a point of its frame by p x local; moving its centre by c, by -R c.
        cross = np.zeros((len(local), 3, 3))
        cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = local[:, 2], -local[:, 1], local[:, 0]
        cross -= cross.transpose(0, 2, 1)
        to_world = slope @ R
        photos.append(np.full(len(local), row))
        points.append(
            [
                numbers.setdefault(number, len(numbers))
                for (_, number), good in zip(pairs, ok, strict=True)
                if good
            ]
        )
        residuals.append(projected - xy)
        by_pose.append(np.concatenate([slope @ cross, -to_world], axis=2))
        by_point.append(to_world)
        by_lens.append(_by_lens(camera, local, free.get(image.camera_id, ())))
        cameras.append(image.camera_id)
    if not photos:
        return None
    return _Sightings(
        np.concatenate(photos),
        np.concatenate([np.asarray(p, int) for p in points]),
        np.concatenate(residuals),
        np.concatenate(by_pose),
        np.concatenate(by_point),
        by_lens,
        np.array(cameras),
    )


def _by_local(camera: pycolmap.Camera, local: Array) -> Array:
    """Slope (K, 2, 3) of the projection by the point in the camera's frame."""
    slope = np.empty((len(local), 2, 3))
    step = STEP * np.maximum(np.linalg.norm(local, axis=1), 1e-9)
    for axis in range(3):
        moved = np.zeros_like(local)
        moved[:, axis] = step
        difference = np.asarray(camera.img_from_cam(local + moved)) - np.asarray(
            camera.img_from_cam(local - moved)
        )
        slope[:, :, axis] = difference / (2 * step[:, None])
    return slope


def _by_lens(camera: pycolmap.Camera, local: Array, numbers: Sequence[int]) -> Array:
    """Slope (K, 2, P) of the projection by the free parameters of the lens."""
    slope = np.empty((len(local), 2, len(numbers)))
    for column, number in enumerate(numbers):
        step = STEP * max(1.0, abs(float(camera.params[number])))
        ends = []
        for sign in (1, -1):
            moved = pycolmap.Camera(camera.todict())
            params = list(map(float, camera.params))
            params[number] += sign * step
            moved.params = params
            ends.append(np.asarray(moved.img_from_cam(local)))
        slope[:, :, column] = (ends[0] - ends[1]) / (2 * step)
    return slope


def _reduced(
    seen: _Sightings,
    weight: Array,
    columns: Mapping[tuple[int, int], int],
    size: int,
) -> Array | None:
    """Information (size, size) of poses and lenses once the points are eliminated."""
    count = len(weight)
    # Sparse Jacobian by poses and lenses: two rows for each sighting.
    lens_of: dict[int, list[int]] = {}
    for (camera, _), column in sorted(columns.items()):
        lens_of.setdefault(camera, []).append(column)
    root = np.sqrt(weight)
    blocks_row, blocks_column, blocks_value = [], [], []
    rows = np.arange(2 * count).reshape(count, 2)
    pose_columns = POSE * seen.photo[:, None] + np.arange(POSE)
    blocks_row.append(np.repeat(rows[:, :, None], POSE, axis=2).ravel())
    blocks_column.append(np.repeat(pose_columns[:, None, :], 2, axis=1).ravel())
    blocks_value.append((root[:, None, None] * seen.by_pose).ravel())
    begin = 0
    for slopes, camera in zip(seen.by_lens, seen.camera, strict=True):
        end = begin + len(slopes)
        where = np.array(lens_of.get(int(camera), []), int)
        if len(where):
            blocks_row.append(np.repeat(rows[begin:end, :, None], len(where), axis=2).ravel())
            blocks_column.append(np.broadcast_to(where, (len(slopes), 2, len(where))).ravel())
            blocks_value.append((root[begin:end, None, None] * slopes).ravel())
        begin = end
    jacobian = sparse.csr_array(
        (
            np.concatenate(blocks_value),
            (np.concatenate(blocks_row), np.concatenate(blocks_column)),
        ),
        shape=(2 * count, size),
    )
    points = int(seen.point.max()) + 1
    weighted = root[:, None, None] * seen.by_point
    squares = np.einsum("kai,kaj->kij", weighted, weighted)
    own = np.stack(
        [np.bincount(seen.point, squares[:, i, j], points) for i in range(3) for j in range(3)], 1
    ).reshape(points, 3, 3)
    values, vectors = np.linalg.eigh(own)
    if (values[:, -1] <= 0).any():
        return None
    # A direction in which a point is hardly held takes nothing away from the poses.
    inverse_root = np.where(
        values > 1e-12 * values[:, -1:], 1 / np.sqrt(np.maximum(values, 1e-300)), 0
    )
    whiten = vectors * inverse_root[:, None, :]  # (points, 3, 3): own^-1 = whiten whiten^T
    by_point = np.einsum("kai,kij->kaj", weighted, whiten[seen.point])
    point_columns = 3 * seen.point[:, None] + np.arange(3)
    right = sparse.csr_array(
        (
            by_point.ravel(),
            (
                np.repeat(rows[:, :, None], 3, axis=2).ravel(),
                np.repeat(point_columns[:, None, :], 2, axis=1).ravel(),
            ),
        ),
        shape=(2 * count, 3 * points),
    )
    cross = (jacobian.T @ right).tocsr()
    full = (jacobian.T @ jacobian - cross @ cross.T).toarray()
    information: Array = (full + full.T) / 2
    return information


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
