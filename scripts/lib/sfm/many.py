"""The normal equations of a model of many photos, whose poses are tied only to those of photos near them.

Photos lie in levels: how many steps of common points they are from a first one. Those of a level are tied to
each other and to the levels next to it alone. So the matrix of all poses has blocks along its diagonal and
beside it, and work and memory go with the number of levels, not with the cube and the square of the photos.
Lenses, which many photos share, stand in a border. Blocks of the inverse are found from the last level back
(Takahashi, Fagan and Chen, "Formation of a sparse bus impedance matrix and its application to short circuit
study", 1973).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pycolmap
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.csgraph import shortest_path

from scripts.lib.core.geo import Array
from scripts.lib.sfm.normal import (
    POSE,
    Unknowns,
    jacobians,
    joined_rows,
    lens_columns,
    variance_of,
)
from scripts.lib.sfm.projection import Seen, seen_by
from scripts.lib.sfm.schur import eliminated
from scripts.lib.sfm.tables import Rows

# Poses of a block: smaller levels are put together, as they are not worth a call of LAPACK; larger ones take
# too much memory, as where all photos see the same.
LEAST_BLOCK, LARGEST_BLOCK = 40, 1200


@dataclass(frozen=True)
class Blocks:
    """A symmetric matrix of poses in levels and of lenses.

    diagonal: (m, m) of each level. below: (m', m) of each level but the first, with the level before it.
    border: (n, poses); corner: (n, n).
    """

    diagonal: list[Array]
    below: list[Array]
    border: Array
    corner: Array

    def plus(self, diagonal: Array) -> Blocks:
        """The matrix with `diagonal` (size,) added to its diagonal."""
        parts = np.split(diagonal, np.cumsum([len(block) for block in self.diagonal]))
        return replace(
            self,
            diagonal=[
                block + np.diag(part) for block, part in zip(self.diagonal, parts[:-1], strict=True)
            ],
            corner=self.corner + np.diag(parts[-1]),
        )


@dataclass(frozen=True)
class ManyNormal(Unknowns):
    """As `Normal`, the photos in the order of their levels. blocks: N."""

    blocks: Blocks

    def held(self) -> Array:
        """What holds the frame, and no more, on the diagonal (size,): the first pose, and a coordinate of the
        last one. It is as much as the photos themselves say there, so that all numbers keep their size."""
        centres = self.centres
        axis = int(np.argmax(np.abs(centres[-1] - centres[0])))
        held = np.zeros(len(self.towards))
        held[:POSE] = np.diag(self.blocks.diagonal[0])[:POSE]
        last = POSE * (len(centres) - 1) + 3 + axis
        held[last] = self.blocks.diagonal[-1][axis + 3 - POSE, axis + 3 - POSE]
        return held


@dataclass(frozen=True)
class Factored:
    """A positive matrix of `Blocks`, ready to solve with.

    roots: Cholesky factors of what is left of each level when those before it are eliminated. carried:
    (m, m') of each level but the last, how it follows the next one. border: (poses, n), how the poses follow
    the lenses; corner: factor of what is left of these.
    """

    roots: list[Any]
    carried: list[Array]
    border: Array
    corner: Any

    def solve(self, right: Array) -> Array:
        """x of A x = right, (size, k)."""
        poses, lenses = right[: len(self.border)], right[len(self.border) :]
        solved = _solve_poses(self.roots, self.carried, poses)
        # border is A_pp^-1 A_pl, so its product with the right side is A_lp A_pp^-1 of that.
        of_lenses = cho_solve(self.corner, lenses - self.border.T @ poses)
        return np.concatenate([solved - self.border @ of_lenses, of_lenses])

    def of_lenses(self) -> Array:
        """The inverse's part of the lenses (n, n)."""
        inverse: Array = cho_solve(self.corner, np.eye(self.border.shape[1]))
        return inverse

    def of_centres(self) -> Array:
        """The inverse's blocks of each pose's centre with itself, (poses, 3, 3)."""
        found: list[Array] = []
        inverse = np.zeros((0, 0))
        for level in reversed(range(len(self.roots))):
            own = cho_solve(self.roots[level], np.eye(len(self.roots[level][0])))
            if level < len(self.carried):
                own += self.carried[level] @ inverse @ self.carried[level].T
            inverse = own
            count = len(own) // POSE
            each = np.arange(count)
            found.append(own.reshape(count, POSE, count, POSE)[each, 3:, each, 3:])
        poses, lenses = self.border.shape
        rows = self.border.reshape(poses // POSE, POSE, lenses)[:, 3:]
        blocks: Array = np.concatenate(found[::-1]) + rows @ self.of_lenses() @ rows.transpose(
            0, 2, 1
        )
        return blocks


def factored(blocks: Blocks) -> Factored | None:
    """Eliminate level by level, then the lenses; None when the matrix is not positive."""
    roots: list[Any] = []
    carried: list[Array] = []
    try:
        for level, block in enumerate(blocks.diagonal):
            own = block
            if level:
                own = own - blocks.below[level - 1] @ carried[level - 1]
            roots.append(cho_factor(own, lower=True))
            if level < len(blocks.below):
                carried.append(cho_solve(roots[level], blocks.below[level].T))
        border = _solve_poses(roots, carried, blocks.border.T)
        corner = cho_factor(blocks.corner - blocks.border @ border, lower=True)
    except np.linalg.LinAlgError:
        return None
    return Factored(roots, carried, border, corner)


def _solve_poses(roots: Sequence[Any], carried: Sequence[Array], right: Array) -> Array:
    """x of A x = right (poses, k), of the poses alone."""
    parts = np.split(right, np.cumsum([len(root[0]) for root in roots])[:-1])
    for level, by in enumerate(carried):
        parts[level + 1] = parts[level + 1] - by.T @ parts[level]
    parts = [cho_solve(root, part) for root, part in zip(roots, parts, strict=True)]
    for level in reversed(range(len(carried))):
        parts[level] = parts[level] - carried[level] @ parts[level + 1]
    return np.concatenate(parts)


def many_normal_equations(
    model: pycolmap.Reconstruction, free: Mapping[int, Sequence[int]], held: bool
) -> ManyNormal | None:
    """As `normal_equations`, for a model of many photos.

    None also where photos fall apart into several places, or where too many of them see the same.
    """
    images = [model.image(number) for number in sorted(model.reg_image_ids())]
    first, row = joined_rows(model, images)
    seen = seen_by(model)
    seen = seen.only(seen.usable())
    redundancy = 2 * len(seen.photo) - POSE * len(first) - 3 * len(seen.points) + (0 if held else 7)
    redundancy -= sum(len(numbers) for numbers in free.values())
    if not len(seen.photo) or redundancy <= 0:
        return None
    turns = np.array(
        [
            (image.cam_from_world() * first[at].cam_from_world().inverse()).rotation.matrix()
            for image, at in zip(images, row.tolist(), strict=True)
        ]
    )
    pose = row[seen.photo]
    level = _levels(pose, seen.point, len(first), len(seen.points))
    if level is None or np.bincount(level).max() > LARGEST_BLOCK:
        return None
    order = np.argsort(level, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    columns, size = lens_columns(free, POSE * len(first))
    weight = 1 / np.sqrt(1 + (seen.residual**2).sum(axis=1))
    blocks, towards = _accumulated(
        *(model, seen, weight, free, columns, size),
        *(place[pose], level[order], turns),
    )
    unit_variance = variance_of(seen.residual, weight, redundancy)
    return ManyNormal(
        images=[first[number] for number in order],
        columns=columns,
        towards=towards,
        unit_variance=unit_variance,
        variance=unit_variance * float(weight.mean()),
        blocks=blocks,
    )


def _levels(pose: Rows, point: Rows, poses: int, points: int) -> Rows | None:
    """The level (poses,) of each pose; those that see a point together are at most one apart.

    pose, point: of each sighting. None where they are not all connected.
    """
    sees = sparse.csr_array((np.ones(len(pose), np.float32), (pose, point)), shape=(poses, points))
    together = sparse.csr_array(sees @ sees.T)
    start = 0
    for _ in range(2):  # the second time from one that is far off: many small levels
        steps = shortest_path(together, method="D", unweighted=True, indices=start)
        if not np.isfinite(steps).all():
            return None
        start = int(np.argmax(steps))
    sizes = np.bincount(steps.astype(np.int64))
    joined, inside = [], 0
    level = 0
    for size in sizes.tolist():
        if inside >= LEAST_BLOCK:
            level, inside = level + 1, 0
        joined.append(level)
        inside += size
    found: Rows = np.array(joined, np.int64)[steps.astype(np.int64)]
    return found


def _accumulated(
    model: pycolmap.Reconstruction,
    seen: Seen,
    weight: Array,
    free: Mapping[int, Sequence[int]],
    columns: Mapping[tuple[int, int], int],
    size: int,
    place: Rows,
    level: Rows,
    turns: Array,
) -> tuple[Blocks, Array]:
    """The matrix and what the residuals ask, (size,): level by level, of the points that it sees first.

    place: of the pose of each sighting, in the order of levels. level: of each place. Such a point is seen by
    its level and the next one only, so a small dense matrix holds all that it says. turns: rotations
    (P, 3, 3) from the camera of each photo's pose to its own.
    """
    sizes = POSE * np.bincount(level)
    ends = np.cumsum(sizes)
    lenses = size - int(ends[-1])
    diagonal = [np.zeros((count, count)) for count in sizes]
    below = [np.zeros((after, before)) for before, after in zip(sizes, sizes[1:], strict=False)]
    border, corner = np.zeros((lenses, int(ends[-1]))), np.zeros((lenses, lenses))
    towards = np.zeros(size)
    lowest = np.full(len(seen.points), len(sizes))
    np.minimum.at(lowest, seen.point, level[place])
    of_point = lowest[seen.point]
    for number, count in enumerate(sizes.tolist()):
        rows = of_point == number
        if not rows.any():
            continue
        own = seen.only(rows)
        begin = int(ends[number]) - count
        end = int(ends[min(number + 1, len(sizes) - 1)])
        wide = end - begin
        jacobian, whitened, at = jacobians(model, own, weight[rows], free, columns)
        jacobian[:, :, :3] = jacobian[:, :, :3] @ turns[own.photo]
        # Columns of this level and the next one, then the lenses, then what the residuals ask.
        at[at >= 0] += wide - int(ends[-1])
        at[:, :POSE] = POSE * place[rows][:, None] - begin + np.arange(POSE)
        at[:, -1] = wide + lenses
        whole = eliminated(jacobian, at, whitened, own.point, wide + lenses + 1)
        diagonal[number] += whole[:count, :count]
        if wide > count:
            diagonal[number + 1] += whole[count:wide, count:wide]
            below[number] += whole[count:wide, :count]
        border[:, begin:end] += whole[wide:-1, :wide]
        corner += whole[wide:-1, wide:-1]
        towards[begin:end] += whole[:wide, -1]
        towards[size - lenses :] += whole[wide:-1, -1]
    return Blocks(diagonal, below, border, corner), towards
