"""Models of parts put into one frame by the points of tracks that they have in common.

Each two of them have a similarity of their own first, found robustly; then all move together until common
points meet best, so that rounds close and no error adds up along a chain of parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from scripts.lib.core.geo import Array, Sim3, robust_sim3
from scripts.lib.sfm.divided.submaps import Submap
from scripts.lib.sfm.projection import cross_matrix

MIN_COMMON = 12  # points of a pair of models that can be joined
MIN_AGREEING = 0.5  # of them, as many as a robust fit needs
ENOUGH = 400  # common points that a pair is joined by
# Common points meet within this share of how far photos see: a part alone is bent by about a hundredth.
NEAR = 0.03
# Points in a line leave a turn about it open. How far they spread to the side, as a share of how far photos
# see.
LEAST_SPREAD = 0.02
# Photos of both models must stand alike after the join, degrees and share of how far they see.
MOST_TURNED_DEG, MOST_MOVED = 10.0, 0.15
# Of what counts as near: what common points miss each other by where parts are joined best.
BENT = 0.1
ROUNDS, SETTLED = 30, 1e-4
MOTION = 7  # of a model: shift, turn, scale


@dataclass(frozen=True)
class Edge:
    """Two models (their places in the list) that were joined: `sim3` leads from the second to the first.

    first_xyz, second_xyz: (N, 3) places of the same points in both.
    """

    first: int
    second: int
    sim3: Sim3
    first_xyz: Array
    second_xyz: Array


@dataclass(frozen=True)
class Apart:
    """Two models with common tracks that no similarity brings together."""

    first: int
    second: int
    common: int


@dataclass(frozen=True)
class Group:
    """Models that were joined, their places in the list, and what leads from each into the common frame."""

    members: tuple[int, ...]
    sim3: tuple[Sim3, ...]


def joined_groups(submaps: Sequence[Submap], seed: int = 0) -> tuple[list[Group], list[Apart]]:
    """The models in as few frames as their common points allow, most photos first; and pairs that failed.

    Of the failed pairs only those are told whose models are not joined in another way.
    """
    edges, apart = [], []
    for first, second in _with_common_tracks(submaps):
        found = _joined(submaps, first, second, seed)
        if isinstance(found, Apart):
            apart.append(found)
        elif found is not None:
            edges.append(found)
    groups = [_placed(submaps, members, edges) for members in _connected(len(submaps), edges)]
    groups.sort(key=lambda group: (-_photos(submaps, group), group.members))
    home = {member: number for number, group in enumerate(groups) for member in group.members}
    return groups, [one for one in apart if home[one.first] != home[one.second]]


def _photos(submaps: Sequence[Submap], group: Group) -> int:
    return len({photo for member in group.members for photo in submaps[member].poses})


def _with_common_tracks(submaps: Sequence[Submap]) -> list[tuple[int, int]]:
    """Pairs of models with enough points of the same tracks."""
    rows = np.concatenate([np.full(len(one.tracks), n) for n, one in enumerate(submaps)])
    tracks = np.concatenate([one.tracks for one in submaps])
    shape = (len(submaps), int(tracks.max(initial=0)) + 1)
    has = sparse.csr_array((np.ones(len(rows), np.int64), (rows, tracks)), shape=shape)
    common = sparse.triu(has @ has.T, 1).tocoo()
    pairs = zip(*(axis.tolist() for axis in common.coords), common.data, strict=True)
    return sorted((a, b) for a, b, count in pairs if count >= MIN_COMMON)


def _joined(submaps: Sequence[Submap], first: int, second: int, seed: int) -> Edge | Apart | None:
    """How the second model fits the first; None where their common points cannot tell."""
    one, other = submaps[first], submaps[second]
    common, a, b = np.intersect1d(one.tracks, other.tracks, assume_unique=True, return_indices=True)
    if len(common) > ENOUGH:
        some = np.sort(np.random.default_rng(seed).permutation(len(common))[:ENOUGH])
        a, b = a[some], b[some]
    here, there = one.xyz[a], other.xyz[b]
    fit = robust_sim3(there, here, floor=NEAR * one.reach, seed=seed)
    failed = Apart(first, second, len(common))
    if fit is None:
        return failed
    limit = NEAR * one.reach
    right = np.linalg.norm(fit.residuals, axis=1) <= limit
    if right.sum() < max(MIN_COMMON, MIN_AGREEING * len(right)):
        return failed
    spread = np.linalg.svd(here[right] - here[right].mean(axis=0), compute_uv=False)
    if spread[1] / np.sqrt(right.sum()) < LEAST_SPREAD * one.reach:
        return None
    if not _photos_agree(one, other, fit.sim3):
        return failed
    return Edge(first, second, fit.sim3, here[right], there[right])


def _photos_agree(one: Submap, other: Submap, sim3: Sim3) -> bool:
    """Whether most photos that both models have stand and look alike in both; true without any."""
    good = []
    for number in sorted(one.poses.keys() & other.poses.keys()):
        mine, its = one.poses[number], other.poses[number]
        turn = mine.rotation.matrix() @ sim3.rotation @ its.rotation.matrix().T
        angle = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
        centre = sim3.apply(its.inverse().translation[None])[0]
        moved = np.linalg.norm(centre - mine.inverse().translation)
        good.append(bool(angle <= MOST_TURNED_DEG and moved <= MOST_MOVED * one.reach))
    return not good or float(np.mean(good)) >= MIN_AGREEING


def _connected(count: int, edges: Sequence[Edge]) -> list[list[int]]:
    graph = sparse.coo_array(
        (
            np.ones(len(edges)),
            ([edge.first for edge in edges], [edge.second for edge in edges]),
        ),
        shape=(count, count),
    )
    _, label = connected_components(graph, directed=False)
    return [np.flatnonzero(label == number).tolist() for number in np.unique(label)]


def _placed(submaps: Sequence[Submap], members: Sequence[int], edges: Sequence[Edge]) -> Group:
    """The members in the frame of the one with most photos, so that all common points meet best."""
    root = max(members, key=lambda member: (len(submaps[member].poses), -member))
    sim3 = {root: Sim3(1.0, np.eye(3), np.zeros(3))}
    mine = [edge for edge in edges if edge.first in set(members)]
    # Along the edges with most points first.
    for _ in members[1:]:
        step = max(
            (edge for edge in mine if (edge.first in sim3) != (edge.second in sim3)),
            key=lambda edge: (len(edge.first_xyz), -edge.first, -edge.second),
        )
        if step.first in sim3:
            sim3[step.second] = sim3[step.first].after(step.sim3)
        else:
            sim3[step.first] = sim3[step.second].after(step.sim3.inverse())
    reach = {member: submaps[member].reach for member in members}
    settled = together(sim3, mine, root, reach)
    return Group(tuple(members), tuple(settled[member] for member in members))


def together(
    start: Mapping[int, Sim3], edges: Sequence[Edge], root: int, reach: Mapping[int, float]
) -> dict[int, Sim3]:
    """The similarities for which common points of all edges meet best; that of `root` stays.

    Distances count in shares of how far the photos there see, so that nothing is gained by shrinking; far
    ones count less (Cauchy). Gauss-Newton steps on shift, turn and scale of each model.
    """
    sim3 = dict(start)
    column = {member: MOTION * n for n, member in enumerate(m for m in sorted(sim3) if m != root)}
    size = MOTION * len(column)
    if not size:
        return sim3
    before = np.inf
    for _ in range(ROUNDS):
        information, right, cost = np.zeros((size, size)), np.zeros(size), 0.0
        for edge in edges:
            ends = (edge.first, edge.second)
            here = sim3[edge.first].apply(edge.first_xyz)
            there = sim3[edge.second].apply(edge.second_xyz)
            unit = np.mean([sim3[end].scale * reach[end] for end in ends])
            missed = (here - there) / unit
            far = (missed**2).sum(axis=1) / (BENT * NEAR) ** 2
            weight = 1 / (1 + far)
            cost += float(np.log1p(far).sum())
            rows = [_motion(here) / unit, -_motion(there) / unit]
            for end, jacobian in zip(ends, rows, strict=True):
                if end == root:
                    continue
                at = slice(column[end], column[end] + MOTION)
                weighted = jacobian * weight[:, None, None]
                right[at] -= np.einsum("kij,ki->j", weighted, missed)
                for again, other in zip(ends, rows, strict=True):
                    if again != root:
                        to = slice(column[again], column[again] + MOTION)
                        information[at, to] += np.einsum("kij,kil->jl", weighted, other)
        if before - cost < SETTLED * cost:
            break
        before = cost
        scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
        damped = information / np.outer(scale, scale) + 1e-9 * np.eye(size)
        step = np.linalg.solve(damped, right / scale) / scale
        sim3 = {
            member: _stepped(one, step[column[member] : column[member] + MOTION])
            if member != root
            else one
            for member, one in sim3.items()
        }
    return sim3


def _motion(points: Array) -> Array:
    """How points (N, 3) move by a shift, a turn about the origin and a growth: (N, 3, 7)."""
    moved = np.zeros((len(points), 3, MOTION))
    moved[:, :, :3] = np.eye(3)
    x, y, z = points.T
    moved[:, 0, 4], moved[:, 0, 5] = z, -y
    moved[:, 1, 3], moved[:, 1, 5] = -z, x
    moved[:, 2, 3], moved[:, 2, 4] = y, -x
    moved[:, :, 6] = points
    return moved


def _stepped(sim3: Sim3, step: Array) -> Sim3:
    """The similarity followed by a small one: shift, turn (radians), logarithm of the scale."""
    angle = float(np.linalg.norm(step[3:6]))
    turn = np.eye(3)
    if angle > 0:
        axis = cross_matrix(step[3:6] / angle)
        turn += np.sin(angle) * axis + (1 - np.cos(angle)) * axis @ axis
    return Sim3(float(np.exp(step[6])), turn, step[:3]).after(sim3)
