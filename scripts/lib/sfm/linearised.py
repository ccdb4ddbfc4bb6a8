"""One Gauss-Newton step of a bundle adjustment that knows more motions of the picture than the cameras
have.

A finished model has small residuals, so a single linear step says what a further motion of each photo,
or of each camera's lens, would do to them, with poses and points free to follow. Points are eliminated
(Schur complement; Triggs et al., "Bundle Adjustment - A Modern Synthesis", 2000, section 6.1). What a
step is worth is told by tracks that took no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pycolmap
from scipy import sparse

from scripts.lib.core.geo import Array
from scripts.lib.sfm.projection import (
    Flags,
    Seen,
    local_point_jacobian,
    point_roots,
    rotation_jacobian,
    seen_by,
    sparse_rows,
)
from scripts.lib.sfm.robust import in_noise, noise_of
from scripts.lib.sfm.tables import Rows

POSE = 6  # of a camera: a turn about its axes (radians), and its move (units of the model)
# The step is known well enough when its gradient fell to this share; the soft rest moves no residual.
TOLERANCE, ROUNDS = 1e-2, 200


@dataclass(frozen=True)
class Sightings(Seen):
    """K sightings of a finished model, and what moves them.

    offset: (K, 2) pixels from the principal point, as projected. span: (K, 2) width and height of the
    picture. pose_jacobian: (K, 2, 6) and point_jacobian: (K, 2, 3), of the projection. weight: (K,) of a
    robust loss. noise: standard deviation of a coordinate, pixels.
    """

    offset: Array
    span: Array
    pose_jacobian: Array
    point_jacobian: Array
    weight: Array
    noise: float

    def scaled_pose(self) -> Array:
        """pose_jacobian in pixels: turns and moves of the size that shifts the typical sighting by one."""
        size = np.sqrt((self.pose_jacobian**2).sum(axis=1))
        scaled: Array = self.pose_jacobian / np.median(size, axis=0).clip(1e-12)
        return scaled


@dataclass(frozen=True)
class Motion:
    """A motion of the picture with n numbers for each photo, or for each of its `owners` where it is
    shared.

    field: (K, 2, n), what one unit of each number does to each sighting, pixels. deviation: (n,), how
    large the numbers usually are: the prior that keeps what nothing determines at zero.
    """

    field: Array
    deviation: Array
    owners: Rows | None = None


@dataclass(frozen=True)
class Step:
    """A solved step. numbers: for each motion (owners, n). moved: (K, 2), pixels by which poses and
    motions move the projections."""

    numbers: list[Array]
    moved: Array


def sightings(model: pycolmap.Reconstruction, keep: frozenset[int] | None = None) -> Sightings:
    """All sightings of the registered photos; with `keep`, of those points only.

    Raises ValueError when there are none.
    """
    seen = seen_by(model, keep)
    jacobian = local_point_jacobian(model, seen)
    good = seen.usable() & np.isfinite(jacobian).all(axis=(1, 2))
    seen, jacobian = seen.only(good), jacobian[good]
    if not len(seen.photo):
        raise ValueError("the model has no sightings")
    shared = [model.cameras[number] for number in seen.cameras]
    middle = np.array([(c.principal_point_x, c.principal_point_y) for c in shared])
    span = np.array([(c.width, c.height) for c in shared], float)
    noise = noise_of(seen.residual, 1e-6)
    # Cauchy's weight, at the scale where it keeps 95 % of its power on normal noise.
    weight = 1 / (1 + in_noise(seen.residual, noise))
    return Sightings(
        **vars(seen),
        offset=seen.projected - middle[seen.camera],
        span=span[seen.camera],
        pose_jacobian=np.concatenate([rotation_jacobian(seen, jacobian), jacobian], axis=2),
        point_jacobian=jacobian @ seen.turns(model)[seen.photo],
        weight=weight,
        noise=noise,
    )


def solve_step(
    seen: Sightings,
    motions: Sequence[Motion],
    rows: Flags | None = None,
    start: Sequence[Array | None] = (),
) -> Step:
    """Poses and motions that lower the residuals of the sightings `rows` (K,) most, all points free to
    follow.

    `moved` is given for every sighting, also those that took no part. start: what the model has of each
    motion already, (owners, n); the prior is about the whole.
    """
    used = np.ones(len(seen.photo), bool) if rows is None else rows
    own = [number for number, motion in enumerate(motions) if motion.owners is None]
    shared = [number for number, motion in enumerate(motions) if motion.owners is not None]
    # First pose and motions of each photo side by side, then what photos share.
    groups = [(seen.photo, len(seen.images), own)]
    for number in shared:
        owners = motions[number].owners
        assert owners is not None
        groups.append((owners, int(owners.max()) + 1, [number]))
    fields, columns, unknowns, first = [], [], {}, 0
    for owner, count, members in groups:
        parts = [motions[number].field * motions[number].deviation for number in members]
        if members is own:
            parts.insert(0, seen.scaled_pose())
        field = np.concatenate(parts, axis=2)
        width = field.shape[2]
        at = POSE if members is own else 0
        for number in members:
            wide = motions[number].field.shape[2]
            unknowns[number] = first + width * np.arange(count)[:, None] + at + np.arange(wide)
            at += wide
        fields.append(field)
        columns.append(first + width * owner[:, None] + np.arange(width))
        first += width * count
    J = sparse_rows(np.concatenate(fields, axis=2), np.concatenate(columns, axis=1), first)
    root: Array = np.where(used, np.sqrt(seen.weight), 0.0)
    A = sparse.csr_array(sparse.diags_array(np.repeat(root, 2)) @ J)
    Q = _point_space(seen, used)
    back, Q_back = sparse.csr_array(A.T), sparse.csr_array(Q.T)
    # A number as large as its deviation costs as much as one sighting missed by the noise. Nothing tells
    # where the whole model stands, and nothing moves it.
    ridge, had = np.full(first, 1e-6 * float(np.median((A**2).sum(axis=0)))), np.zeros(first)
    for number, motion in enumerate(motions):
        ridge[unknowns[number]] = seen.noise**2
        begun = start[number] if number < len(start) else None
        if begun is not None:
            had[unknowns[number]] = begun / motion.deviation

    def without_points(u: Array) -> Array:
        left: Array = u - Q @ (Q_back @ u)
        return left

    right = back @ without_points(np.repeat(root, 2) * seen.residual.ravel()) - ridge * had
    blocks = [
        _block_sums(seen, Q, root, field, owner, count)
        for field, (owner, count, _) in zip(fields, groups, strict=True)
    ]
    inverse = _inverse_blocks(blocks, ridge)
    solution = _conjugate(
        lambda x: back @ without_points(A @ x) + ridge * x, lambda x: inverse @ x, right
    )
    numbers = [
        solution[unknowns[number]] * motion.deviation for number, motion in enumerate(motions)
    ]
    return Step(numbers, (J @ solution).reshape(-1, 2))


def held_out_residuals(seen: Sightings, motions: Sequence[Motion], chosen: Flags) -> Array:
    """Residuals (K, 2) of each sighting after a step in which its track took no part.

    chosen: (points,) True for the tracks of one half. Each half is judged by the step of the other one,
    its points triangulated again by the moved cameras.
    """
    half = chosen[seen.point]
    left = np.zeros_like(seen.residual)
    for judged in (half, ~half):
        step = solve_step(seen, motions, ~judged)
        root = np.sqrt(seen.weight)[:, None] * judged[:, None]
        rest = (root * (seen.residual - step.moved)).ravel()
        Q = _point_space(seen, judged)
        rest = rest - Q @ (Q.T @ rest)
        left[judged] = (rest.reshape(-1, 2) / np.sqrt(seen.weight)[:, None])[judged]
    return left


def _point_space(seen: Sightings, used: Flags) -> sparse.csr_array:
    """Orthonormal columns (2K, 3 points) of what moving the points does to the weighted residuals of
    `used`."""
    weighted = seen.point_jacobian * (np.sqrt(seen.weight) * used)[:, None, None]
    roots = point_roots(weighted, seen.point, len(seen.points))
    columns = 3 * seen.point[:, None] + np.arange(3)
    return sparse_rows(weighted @ roots[seen.point], columns, 3 * len(seen.points))


def _block_sums(
    seen: Sightings,
    Q: sparse.csr_array,
    root: Array,
    field: Array,
    owner: Rows,
    count: int,
) -> Array:
    """Blocks (count, n, n) of each owner's numbers with themselves, the points eliminated."""
    # Of a photo each point is one sighting, so its own part of Q is all that matters.
    whitened = Q.data.reshape(-1, 2, 3)
    kept = np.eye(2) - np.einsum("kai,kbi->kab", whitened, whitened)
    weighted = field * root[:, None, None]
    products = np.einsum("kai,kab,kbj->kij", weighted, kept, weighted, optimize=True)
    sums = np.zeros((count, *products.shape[1:]))
    order = np.argsort(owner, kind="stable")
    owners, begins = np.unique(owner[order], return_index=True)
    sums[owners] = np.add.reduceat(products[order], begins, axis=0)
    return sums


def _inverse_blocks(blocks: Sequence[Array], ridge: Array) -> sparse.csr_array:
    """Block-diagonal inverse of `blocks` with `ridge` added."""
    inverses, first = [], 0
    for group in blocks:
        count, width, _ = group.shape
        added = ridge[first : first + count * width].reshape(count, width)
        inverses += list(np.linalg.inv(group + added[:, :, None] * np.eye(width)))
        first += count * width
    return sparse.csr_array(sparse.block_diag(inverses))


def _conjugate(
    matrix: Callable[[Array], Array], inverse: Callable[[Array], Array], right: Array
) -> Array:
    """Solution of matrix(x) = right by conjugate gradients; `inverse` is about that of the matrix."""
    x = np.zeros_like(right)
    rest = right.copy()
    better = inverse(rest)
    direction, length = better, float(rest @ better)
    start = length
    for _ in range(ROUNDS):
        if length <= TOLERANCE**2 * start or length <= 0:
            break
        image = matrix(direction)
        along = length / float(direction @ image)
        x += along * direction
        rest -= along * image
        better = inverse(rest)
        length, before = float(rest @ better), length
        direction = better + length / before * direction
    return x
