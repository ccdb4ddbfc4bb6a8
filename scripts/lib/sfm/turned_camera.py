"""Matches explained by a camera that only turned: a rotation for each photo, a direction for each track.

Levenberg-Marquardt with Huber's loss over rotations, directions, focal lengths and radial distortion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve
from scipy.spatial.transform import Rotation

from scripts.lib.core.geo import Array
from scripts.lib.sfm.adjust import DENSE_UP_TO
from scripts.lib.sfm.parallax_tracks import Index, Tracks

QUANTILE = 0.75  # of the tracks: what explains most of them counts, as some matches are wrong
ROUNDS = 30
SETTLED = 1e-3  # relative change of the cost that ends the adjustment
# A round that gains less than a fiftieth will not be followed by ROUNDS that halve what is missed.
SLOW = 0.02
NEAREST = 0.05  # depth of a direction (1 is straight ahead) below which it is held, as it leaves the picture
WALL = 1e4  # squared pixels an observation, for a lens out of bounds by one


@dataclass(frozen=True)
class Turned:
    """Rotations (photos, 3, 3), directions (tracks, 3), and per lens the factor of the focal length and
    a radial term (lenses, 2)."""

    rotations: Array
    directions: Array
    lens: Array


def chained_rotations(tracks: Tracks) -> Array:
    """Rotations (photos, 3, 3) from the directions of shared tracks, the best linked photo next."""
    rays = _rays(tracks.undistorted)
    rows_of = [np.flatnonzero(tracks.photo == i) for i in range(tracks.photos)]
    rotations = np.tile(np.eye(3), (tracks.photos, 1, 1))
    directions = np.zeros((tracks.tracks, 3))
    known = np.zeros(tracks.tracks, bool)
    links = np.zeros(tracks.photos, int)
    left = np.ones(tracks.photos, bool)
    links[np.bincount(tracks.photo, minlength=tracks.photos).argmax()] = 1
    while left.any():
        current = int(np.where(left, links, -1).argmax())
        left[current] = False
        rows = rows_of[current]
        shared = rows[known[tracks.track[rows]]]
        if len(shared) >= 2:
            towards = directions[tracks.track[shared]]
            rotations[current] = Rotation.align_vectors(rays[shared], towards)[0].as_matrix()
        new = np.zeros(tracks.tracks, bool)
        new[tracks.track[rows]] = ~known[tracks.track[rows]]
        known |= new
        directions[tracks.track[rows]] += rays[rows] @ rotations[current]
        links += np.bincount(tracks.photo[new[tracks.track]], minlength=tracks.photos)
    return rotations


def adjusted(tracks: Tracks, rotations: Array, noise: float, hopeless: float) -> float:
    """What is missed, in pixels, after Levenberg-Marquardt with Huber's loss; above `hopeless` about that."""
    turned = np.einsum("nji,nj->ni", rotations[tracks.photo], _rays(tracks.undistorted))
    directions = np.zeros((tracks.tracks, 3))
    np.add.at(directions, tracks.track, turned)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True) + 1e-12
    state = Turned(rotations, directions, np.clip([[1.0, 0.0]], tracks.low, tracks.high))
    limit = 3 * noise
    misses, local = _misses(tracks, state)
    cost, damping = _cost(tracks, misses, state, limit), 1e-3
    for _ in range(ROUNDS):
        before = cost
        for _ in range(6):
            candidate = _step(tracks, state, misses, local, limit, damping)
            found, there = _misses(tracks, candidate)
            cost = _cost(tracks, found, candidate, limit)
            if cost < before:
                break
            damping *= 10
        if not cost < before:
            break
        state, misses, local = candidate, found, there
        damping = max(damping / 10, 1e-9)
        gain = (before - cost) / before
        if gain < SETTLED or (gain < SLOW and _missed(tracks, misses) > hopeless):
            break
    return _missed(tracks, misses)


def _missed(tracks: Tracks, misses: Array) -> float:
    """Pixels by which a quarter of the tracks are missed, or by more.

    What explains most of the tracks counts, not what is least wrong about the wrong ones among them.
    """
    length = np.bincount(tracks.track)
    each = np.sqrt(np.bincount(tracks.track, (misses**2).sum(axis=1)) / (2 * length - 2))
    return float(np.quantile(each, QUANTILE))


def _misses(tracks: Tracks, state: Turned) -> tuple[Array, Array]:
    """Residuals (N, 2) in pixels of the photos, and the directions (N, 3) in their photos' frames."""
    local = np.einsum("nij,nj->ni", state.rotations[tracks.photo], state.directions[tracks.track])
    factor, bend = state.lens[tracks.lens].T
    straight = tracks.undistorted * (1 + bend * (tracks.undistorted**2).sum(axis=1))[:, None]
    projected = factor[:, None] * local[:, :2] / np.maximum(local[:, 2:], NEAREST)
    return tracks.focal[:, None] * (projected - straight), local


def _cost(tracks: Tracks, misses: Array, state: Turned, limit: float) -> float:
    size = np.linalg.norm(misses, axis=1)
    loss = np.where(size <= limit, size**2, 2 * limit * size - limit**2)
    return float(loss.sum() + WALL * len(misses) * (_beyond(tracks, state) ** 2).sum())


def _beyond(tracks: Tracks, state: Turned) -> Array:
    """By how much the lenses are out of bounds (lenses, 2)."""
    return state.lens - np.clip(state.lens, tracks.low, tracks.high)


def _step(
    tracks: Tracks, state: Turned, misses: Array, local: Array, limit: float, damping: float
) -> Turned:
    """One damped Gauss-Newton step; the directions are eliminated first (Schur complement)."""
    size = np.linalg.norm(misses, axis=1)
    weight = np.where(size <= limit, 1.0, limit / np.maximum(size, 1e-12))
    rotation_jacobian, direction_jacobian, lens_jacobian = _derivatives(tracks, state, local)
    turns, lenses = 3 * tracks.photos, len(tracks.low)
    width = turns + 2 * lenses
    ours = np.concatenate([rotation_jacobian, lens_jacobian], axis=2)
    pulled = weight[:, None, None] * ours.transpose(0, 2, 1)
    columns = np.concatenate(
        [3 * tracks.photo[:, None] + [0, 1, 2], turns + 2 * tracks.lens[:, None] + [0, 1]], axis=1
    )
    gradient: Array = np.bincount(
        columns.ravel(), np.einsum("nij,nj->ni", pulled, misses).ravel(), width
    ).astype(float)
    prior = np.zeros(width)
    beyond = _beyond(tracks, state).ravel()
    prior[turns:] = WALL * len(misses) * (beyond != 0)
    gradient[turns:] += prior[turns:] * beyond
    theirs = weight[:, None, None] * direction_jacobian.transpose(0, 2, 1)
    summed = _by_track(tracks, theirs @ direction_jacobian)
    summed[:, [0, 1], [0, 1]] *= 1 + damping
    summed[:, [0, 1], [0, 1]] += 1e-6
    inverse = np.linalg.inv(summed)
    right = _by_track(tracks, np.einsum("nij,nj->ni", theirs, misses)).ravel()
    across = pulled @ direction_jacobian  # (N, 5, 2), one block a photo and track
    solved = across @ inverse[tracks.track]
    rows = 2 * tracks.track[:, None, None] + np.array([0, 1])
    where = np.broadcast_arrays(columns[:, :, None], rows)
    entries = (where[0].ravel(), where[1].ravel())
    size_of = (width, 2 * tracks.tracks)
    joint = sparse.csr_matrix((across.ravel(), entries), shape=size_of)
    eliminated = sparse.csr_matrix((solved.ravel(), entries), shape=size_of)
    summed_up = _summed_sparsely if tracks.photos > DENSE_UP_TO else _summed
    a = summed_up(columns, pulled @ ours, damping, prior, eliminated @ joint.T)
    # Not by LAPACK: its idle threads would spin, which costs more than the solution.
    moved = spsolve(a, -(gradient - eliminated @ right))
    left = (right + joint.T @ moved).reshape(-1, 2)
    aside = -np.einsum("nij,nj->ni", inverse, left)
    directions = state.directions + np.einsum("nik,nk->ni", _across(state.directions), aside)
    turn = Rotation.from_rotvec(moved[:turns].reshape(-1, 3)).as_matrix()
    return Turned(
        turn @ state.rotations,
        directions / np.linalg.norm(directions, axis=1, keepdims=True),
        state.lens + moved[turns:].reshape(-1, 2),
    )


def _summed(
    columns: Index, products: Array, damping: float, prior: Array, taken: sparse.csr_matrix
) -> sparse.csc_matrix:
    """The damped normal matrix (n, n), less what the directions take of it.

    products: (N, k, k) of each observation, for its `columns` (N, k).
    """
    width = len(prior)
    cells = width * columns[:, :, None] + columns[:, None, :]
    normal: Array = np.bincount(cells.ravel(), products.ravel(), width * width).astype(float)
    a: Array = normal.reshape(width, width)
    a[np.diag_indices(width)] += damping * a.diagonal() + prior + 1e-6
    a -= taken.toarray()
    return sparse.csc_matrix(a)


def _summed_sparsely(
    columns: Index, products: Array, damping: float, prior: Array, taken: sparse.csr_matrix
) -> sparse.csc_matrix:
    """As `_summed`, without the zeros: of 5000 photos the whole matrix has two gigabytes."""
    width = len(prior)
    rows, others = np.broadcast_arrays(columns[:, :, None], columns[:, None, :])
    normal = sparse.csc_matrix(
        (products.ravel(), (rows.ravel(), others.ravel())), shape=(width, width)
    )
    own = sparse.diags(damping * normal.diagonal() + prior + 1e-6)
    return sparse.csc_matrix(normal + own - taken)


def _by_track(tracks: Tracks, values: Array) -> Array:
    """Sums (tracks, ...) of each observation's values (N, ...)."""
    flat = values.reshape(len(values), -1)
    sums: list[Array] = [
        np.bincount(tracks.track, column, tracks.tracks).astype(float) for column in flat.T
    ]
    return np.stack(sums, axis=1).reshape(tracks.tracks, *values.shape[1:])


def _derivatives(tracks: Tracks, state: Turned, local: Array) -> tuple[Array, Array, Array]:
    """Of the residuals (N, 2) by a small turn (3), by the direction's two coordinates, by the lens (2)."""
    depth = np.maximum(local[:, 2], NEAREST)
    projected = local[:, :2] / depth[:, None]
    projection = np.zeros((len(local), 2, 3))
    projection[:, 0, 0] = projection[:, 1, 1] = 1 / depth
    projection[:, :, 2] = -projected / depth[:, None]
    projection *= (tracks.focal * state.lens[tracks.lens, 0])[:, None, None]
    turn = np.zeros((len(local), 3, 3))  # of a vector p: the cross product's matrix of -p
    turn[:, 0, 1], turn[:, 0, 2], turn[:, 1, 2] = local[:, 2], -local[:, 1], local[:, 0]
    turn -= turn.transpose(0, 2, 1)
    direction_jacobian = (
        projection @ state.rotations[tracks.photo] @ _across(state.directions)[tracks.track]
    )
    radius = (tracks.undistorted**2).sum(axis=1, keepdims=True)
    lens_jacobian = tracks.focal[:, None, None] * np.stack(
        [projected, -radius * tracks.undistorted], axis=2
    )
    return projection @ turn, direction_jacobian, lens_jacobian


def _across(directions: Array) -> Array:
    """Two unit vectors (N, 3, 2) across each direction (N, 3) and each other."""
    aside = np.where(np.abs(directions[:, :1]) < 0.7, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    first = np.cross(directions, aside)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return np.stack([first, np.cross(directions, first)], axis=2)


def _rays(undistorted: Array) -> Array:
    rays = np.column_stack([undistorted, np.ones(len(undistorted))])
    found: Array = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    return found
