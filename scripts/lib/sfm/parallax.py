"""Whether the photos insist that the camera moved, or a camera that only turned explains them as well.

Photos from one spot have no depth, yet a mapper may invent some: with a wrong focal length the turning of
the camera becomes a walk around something, to a fifth of a pixel; or only those few wrong matches are kept
that happen to have depth. So the verified matches are adjusted a second time under the opposite assumption:
all photos from ONE centre, each track a direction, focal length and radial distortion free within what they
may be wrong by. Where that explains most of them to the noise, there is no parallax in the photos, whatever
the model says. Photos of a flat thing differ by a homography each, but not by those of a turned camera with
one lens, so they are told apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pycolmap
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve
from scipy.spatial.transform import Rotation

from scripts.lib.core.geo import Array

# Residual of a turned camera, that a quarter of the tracks exceed, over the noise of the photos: without
# parallax it is 1 to 2 (a tenth or two of verified matches may be wrong), and parallax of p times the noise
# gives sqrt(1 + p^2). Tried on turns in a made-up room, hands unsteady by 0 to 5 cm, 40 to 150 degrees: wrong
# models (focal length or positions off by more than a tenth) had up to 3.0, right ones 3.8 to 21.
MIN_RATIO, QUANTILE = 3.0, 0.75
# Residuals of a turned camera over the shift that the model's own angles mean in pixels. A turn can take the
# place of most of a shift, least where the photos show relief: a flight straight down leaves 0.01 to 0.03 of
# it, a room 0.1 to 0.3. A wrong model claims angles of many degrees, and the photos have 0.002 of them.
MIN_PART = 0.004
ANGLE_SAMPLE = 1000  # points whose triangulation angle is measured
SEEN = 60  # tracks wanted in each photo: three unknowns of a rotation need far fewer
FEWEST_TRACKS = 10
ROUNDS = 30
SETTLED = 1e-3  # relative change of the cost that ends the adjustment
# A round that gains less than a fiftieth will not be followed by ROUNDS that halve what is missed. So a
# turned camera that is worse than the gate by twice is given up: this is how it ends where a camera moved.
SLOW, FAR = 0.02, 2.0
NEAREST = 0.05  # depth of a direction (1 is straight ahead) below which it is held, as it leaves the picture
# How wrong the model's lens may be. Models of turned cameras were seen with focal lengths 0.6 to 1.8 times
# the true one; where EXIF tells it, it is known better, cropped copies allowed for. A lens without bounds
# would explain a flight over a plain: far enough away, a turn is a step to the side.
UNKNOWN_FOCAL, KNOWN_FOCAL, BEND = (0.5, 2.0), (0.7, 1.4), (-0.1, 0.1)
WALL = 1e4  # squared pixels an observation, for a lens out of bounds by one
LEAST_NOISE_PX = 0.5  # of a feature's place: models keep the matches that fit better

Index = npt.NDArray[Any]  # of whole numbers


@dataclass(frozen=True)
class Parallax:
    """How a model explains its points, and a turned camera the `tracks` of the verified matches, in pixels.

    `claimed_px` is the shift across a photo that the median angle between the model's rays means.
    """

    tracks: int
    model_px: float
    turned_px: float
    claimed_px: float

    @property
    def ratio(self) -> float:
        """How much worse the turned camera explains the photos; near 1 where depth is invented."""
        return self.turned_px / self.model_px

    @property
    def found(self) -> bool:
        """Whether the photos insist that the camera moved, and as far as the model has it."""
        return self.ratio >= MIN_RATIO and self.turned_px >= MIN_PART * self.claimed_px

    def facts(self) -> dict[str, Any]:
        """This measure as sfm.json has it."""
        numbers = {key: round(value, 3) for key, value in asdict(self).items()}
        return {**numbers, "ratio": round(self.ratio, 2)}


@dataclass(frozen=True)
class Tracks:
    """Observations in parallel arrays: photo, track and lens (N,), place on the plane at depth 1 (N, 2) by
    the model's lens, and `straight` by one without distortion: an invented model's may be far off,
    focal length in pixels (N,)."""

    photo: Index
    track: Index
    lens: Index
    place: Array
    straight: Array
    focal: Array
    photos: int
    tracks: int
    low: Array  # (lenses, 2) bounds of the focal length's factor and the radial term
    high: Array


@dataclass(frozen=True)
class Turned:
    """Rotations (photos, 3, 3), directions (tracks, 3), and per lens the factor of the focal length and
    a radial term (lenses, 2)."""

    rotations: Array
    directions: Array
    lens: Array


def measure_parallax(
    model: pycolmap.Reconstruction,
    matches: Mapping[tuple[int, int], Index],
    known: Mapping[int, float] | None = None,
) -> Parallax | None:
    """Compare the two explanations of a model's photos; None when too few tracks are left to tell.

    matches: numbers of two images to the features (K, 2) that verified matches join.
    known: focal lengths in pixels that EXIF tells, by camera.
    """
    tracks = _tracks(model, matches, known or {})
    if tracks is None:
        return None
    noise = max(_noise(model), LEAST_NOISE_PX)
    own = [model.image(n).cam_from_world().rotation.matrix() for n in sorted(model.reg_image_ids())]
    starts = (np.array(own), _chained(tracks))
    claimed = float(np.radians(median_angle(model) or 0.0) * np.median(tracks.focal))
    hopeless = FAR * max(MIN_RATIO * noise, MIN_PART * claimed)
    lenses = [tracks]
    if _bent(tracks):
        lenses.append(replace(tracks, place=tracks.straight))
    turned = min(_adjusted(lens, start, noise, hopeless) for lens in lenses for start in starts)
    return Parallax(tracks.tracks, noise, turned, claimed)


def _bent(tracks: Tracks) -> bool:
    """Whether the model's distortion is more than the adjustment's own radial term can take back."""
    shift = np.linalg.norm(tracks.place - tracks.straight, axis=1)
    radius = np.linalg.norm(tracks.straight, axis=1)
    return bool((shift > BEND[1] / 2 * radius**3 + LEAST_NOISE_PX / tracks.focal).any())


def _missed(tracks: Tracks, misses: Array) -> float:
    """Pixels by which a quarter of the tracks are missed, or by more.

    What explains most of the tracks counts, not what is least wrong about the wrong ones among them.
    """
    length = np.bincount(tracks.track)
    each = np.sqrt(np.bincount(tracks.track, (misses**2).sum(axis=1)) / (2 * length - 2))
    return float(np.quantile(each, QUANTILE))


def _noise(model: pycolmap.Reconstruction) -> float:
    """Standard deviation in pixels of a feature's coordinate, as the model's residuals tell it."""
    observed, points = model.compute_num_observations(), model.num_points3D()
    free = max(2 * observed - 3 * points, 1) / max(2 * observed, 1)  # of the points' own unknowns
    # The mean length of a residual is that of Rayleigh's distribution.
    return float(model.compute_mean_reprojection_error() / np.sqrt(np.pi / 2) / np.sqrt(free))


def median_angle(model: pycolmap.Reconstruction | None) -> float | None:
    """Median over the points of the widest angle in degrees under which two photos see them.

    Near zero when the camera only turned: such a model has directions, but no depth.
    """
    if model is None or not model.num_points3D():
        return None
    centres = {i: model.image(i).projection_center() for i in model.reg_image_ids()}
    points = list(model.points3D.values())
    step = max(1, len(points) // ANGLE_SAMPLE)
    angles = []
    for point in points[::step]:
        seen = {element.image_id for element in point.track.elements}
        rays = np.array([centres[i] for i in sorted(seen)[:12]]) - point.xyz
        rays /= np.linalg.norm(rays, axis=1, keepdims=True) + 1e-12
        angles.append(float(np.degrees(np.arccos(np.clip((rays @ rays.T).min(), -1, 1)))))
    return round(float(np.median(angles)), 3)


def _linked(
    model: pycolmap.Reconstruction, numbers: list[int], matches: Mapping[tuple[int, int], Index]
) -> tuple[Index, Index, Index]:
    """Photo, feature and track (N,) of what the matches join; tracks with a photo twice are left out."""
    photo_of = {number: i for i, number in enumerate(numbers)}
    counts = [model.image(number).num_points2D() for number in numbers]
    first = np.concatenate([[0], np.cumsum(counts)])
    joined = [
        pairs + [first[photo_of[a]], first[photo_of[b]]]
        for (a, b), pairs in matches.items()
        if a in photo_of and b in photo_of and len(pairs)
    ]
    if not joined:
        return (np.zeros(0, int),) * 3
    edges = np.concatenate(joined).astype(int)
    graph = sparse.coo_matrix((np.ones(len(edges)), edges.T), shape=(first[-1], first[-1]))
    _, label = connected_components(graph, directed=False)
    nodes = np.unique(edges)
    photo = np.searchsorted(first, nodes, side="right") - 1
    _, track = np.unique(label[nodes], return_inverse=True)
    _, where, times = np.unique(
        track * len(numbers) + photo, return_inverse=True, return_counts=True
    )
    good = np.bincount(track, times[where] > 1)[track] == 0
    _, track = np.unique(track[good], return_inverse=True)
    return photo[good], nodes[good] - first[photo[good]], track


def _sample(photo: Index, track: Index, photos: int) -> Index:
    """Rows of some tracks, the longer than two first, until each photo has SEEN of them."""
    order = np.argsort(track, kind="stable")
    begin = (
        np.searchsorted(track[order], np.arange(track.max() + 2))
        if len(track)
        else np.zeros(1, int)
    )
    length = np.diff(begin)
    mixed = np.random.default_rng(0).permutation(len(length))
    mixed = mixed[np.argsort(length[mixed] < 3, kind="stable")]
    seen = np.zeros(photos, int)
    chosen: list[Index] = []
    for number in mixed:
        rows = order[begin[number] : begin[number + 1]]
        if seen[photo[rows]].min() < SEEN:
            seen[photo[rows]] += 1
            chosen.append(rows)
            if seen.min() >= SEEN:
                break
    return np.concatenate(chosen) if chosen else np.zeros(0, int)


def _tracks(
    model: pycolmap.Reconstruction,
    matches: Mapping[tuple[int, int], Index],
    known: Mapping[int, float],
) -> Tracks | None:
    """A sample of the tracks that the matches make; None when there are too few."""
    numbers = sorted(model.reg_image_ids())
    lens_of = {number: i for i, number in enumerate(sorted(model.cameras))}
    photo, feature, track = _linked(model, numbers, matches)
    rows = _sample(photo, track, len(numbers))
    photo, feature, track = photo[rows], feature[rows], track[rows]
    place, straight = np.zeros((len(rows), 2)), np.zeros((len(rows), 2))
    focal, lens = np.zeros(len(rows)), np.zeros(len(rows), int)
    for i, number in enumerate(numbers):
        mine = np.flatnonzero(photo == i)
        if len(mine):
            image = model.image(number)
            camera = model.cameras[image.camera_id]
            pixels = np.array([image.points2D[int(k)].xy for k in feature[mine]])
            place[mine] = np.asarray(camera.cam_from_img(pixels))[:, :2]
            middle = [camera.principal_point_x, camera.principal_point_y]
            straight[mine] = (pixels - middle) / camera.mean_focal_length()
            focal[mine], lens[mine] = camera.mean_focal_length(), lens_of[image.camera_id]
    good = np.isfinite(place).all(axis=1)
    if good.any():
        good &= np.bincount(track, good)[track] >= 2
    kept, track = np.unique(track[good], return_inverse=True)
    if len(kept) < FEWEST_TRACKS:
        return None
    bounds = []
    for key in lens_of:
        told = known.get(key)
        factor = told / model.cameras[key].mean_focal_length() if told else 1.0
        focal_low, focal_high = KNOWN_FOCAL if told else UNKNOWN_FOCAL
        bounds.append([[factor * focal_low, BEND[0]], [factor * focal_high, BEND[1]]])
    low, high = np.array(bounds).transpose(1, 0, 2)
    observed = (photo[good], track, lens[good], place[good], straight[good], focal[good])
    return Tracks(*observed, len(numbers), len(kept), low, high)


def _rays(place: Array) -> Array:
    rays = np.column_stack([place, np.ones(len(place))])
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _chained(tracks: Tracks) -> Array:
    """Rotations (photos, 3, 3) from the directions of shared tracks, the best linked photo next."""
    rays = _rays(tracks.place)
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


def _adjusted(tracks: Tracks, rotations: Array, noise: float, hopeless: float) -> float:
    """What is missed, in pixels, after Levenberg-Marquardt with Huber's loss; above `hopeless` about that."""
    turned = np.einsum("nji,nj->ni", rotations[tracks.photo], _rays(tracks.place))
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


def _misses(tracks: Tracks, state: Turned) -> tuple[Array, Array]:
    """Residuals (N, 2) in pixels of the photos, and the directions (N, 3) in their photos' frames."""
    local = np.einsum("nij,nj->ni", state.rotations[tracks.photo], state.directions[tracks.track])
    factor, bend = state.lens[tracks.lens].T
    straight = tracks.place * (1 + bend * (tracks.place**2).sum(axis=1))[:, None]
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
    by_turn, by_direction, by_lens = _derivatives(tracks, state, local)
    turns, lenses = 3 * tracks.photos, len(tracks.low)
    width = turns + 2 * lenses
    ours = np.concatenate([by_turn, by_lens], axis=2)
    pulled = weight[:, None, None] * ours.transpose(0, 2, 1)
    columns = np.concatenate(
        [3 * tracks.photo[:, None] + [0, 1, 2], turns + 2 * tracks.lens[:, None] + [0, 1]], axis=1
    )
    cells = width * columns[:, :, None] + columns[:, None, :]
    normal: Array = np.bincount(cells.ravel(), (pulled @ ours).ravel(), width * width).astype(float)
    a: Array = normal.reshape(width, width)
    gradient: Array = np.bincount(
        columns.ravel(), np.einsum("nij,nj->ni", pulled, misses).ravel(), width
    ).astype(float)
    prior = np.zeros(width)
    beyond = _beyond(tracks, state).ravel()
    prior[turns:] = WALL * len(misses) * (beyond != 0)
    gradient[turns:] += prior[turns:] * beyond
    a[np.diag_indices(width)] += damping * a.diagonal() + prior + 1e-6
    theirs = weight[:, None, None] * by_direction.transpose(0, 2, 1)
    summed = _by_track(tracks, theirs @ by_direction)
    summed[:, [0, 1], [0, 1]] *= 1 + damping
    summed[:, [0, 1], [0, 1]] += 1e-6
    inverse = np.linalg.inv(summed)
    right = _by_track(tracks, np.einsum("nij,nj->ni", theirs, misses)).ravel()
    across = pulled @ by_direction  # (N, 5, 2), one block a photo and track
    solved = across @ inverse[tracks.track]
    rows = 2 * tracks.track[:, None, None] + np.array([0, 1])
    where = np.broadcast_arrays(columns[:, :, None], rows)
    place = (where[0].ravel(), where[1].ravel())
    size_of = (width, 2 * tracks.tracks)
    joint = sparse.csr_matrix((across.ravel(), place), shape=size_of)
    eliminated = sparse.csr_matrix((solved.ravel(), place), shape=size_of)
    a -= (eliminated @ joint.T).toarray()
    # Not by LAPACK: its idle threads would spin, which costs more than the solution.
    moved = spsolve(sparse.csc_matrix(a), -(gradient - eliminated @ right))
    left = (right + joint.T @ moved).reshape(-1, 2)
    aside = -np.einsum("nij,nj->ni", inverse, left)
    directions = state.directions + np.einsum("nik,nk->ni", _across(state.directions), aside)
    turn = Rotation.from_rotvec(moved[:turns].reshape(-1, 3)).as_matrix()
    return Turned(
        turn @ state.rotations,
        directions / np.linalg.norm(directions, axis=1, keepdims=True),
        state.lens + moved[turns:].reshape(-1, 2),
    )


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
    by_direction = (
        projection @ state.rotations[tracks.photo] @ _across(state.directions)[tracks.track]
    )
    radius = (tracks.place**2).sum(axis=1, keepdims=True)
    by_lens = tracks.focal[:, None, None] * np.stack([projected, -radius * tracks.place], axis=2)
    return projection @ turn, by_direction, by_lens


def _across(directions: Array) -> Array:
    """Two unit vectors (N, 3, 2) across each direction (N, 3) and each other."""
    aside = np.where(np.abs(directions[:, :1]) < 0.7, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    first = np.cross(directions, aside)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return np.stack([first, np.cross(directions, first)], axis=2)
