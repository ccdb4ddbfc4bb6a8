"""A guided tour: a smooth flight past the best capture views that never passes through anything solid.

Stops are capture cameras spread over the place; between them a shortest path through free cells,
dearer near walls and far from where photos were taken; then the path is rounded, the views are
blended along it, and the curve that the viewer will draw is held against the walls once more.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse

from scripts.lib.contracts.georef import Three
from scripts.lib.contracts.view import Keyframes, Stop
from scripts.lib.scene.start_view import StartView
from scripts.lib.splat.occupancy import Occupancy
from scripts.lib.visit import spline

Float = npt.NDArray[np.float64]

MOST_STOPS = 7  # beside the start: every order of them can be tried
LEG_SECONDS = 5.0  # for a leg of usual length
TURN_SPEED = 22.0  # degrees a second at most, the pace of somebody looking around
LONGEST = 75.0  # seconds
KEYS_PER_SECOND = 4
FRAME_RATE = 30
STEEPEST = 72.0  # degrees down or up: straight down has no heading
ROOM = 1.2  # cells to the nearest solid cell's centre: the camera's own cell and its faces are free
ROUNDS = 400  # of smoothing


@dataclass(frozen=True)
class Tour:
    """Keyframes in our frame: times (K,) in seconds, position and target (K, 3), fov (K,) degrees.

    stops: (photo's name, second at which the tour is there).
    """

    times: Float
    position: Float
    target: Float
    fov: Float
    stops: tuple[tuple[str, float], ...]

    @property
    def duration(self) -> float:
        """Seconds from the first to the last keyframe."""
        return float(self.times[-1])

    def poses(self, at: npt.ArrayLike) -> tuple[Float, Float, Float]:
        """Position (M, 3), target (M, 3) and fov (M,) at seconds `at`, on the viewer's own curve."""
        values = np.column_stack([self.position, self.target, self.fov])
        found = spline.evaluate(self.times, values, np.atleast_1d(np.asarray(at, float)))
        return found[:, :3], found[:, 3:6], found[:, 6]

    def keyframes(self) -> Keyframes:
        """Plain values for view.json."""
        return Keyframes(
            times=tuple(np.round(self.times, 4).tolist()),
            position=_threes(self.position),
            target=_threes(self.target),
            fov=tuple(np.round(self.fov, 3).tolist()),
            stops=tuple(Stop(name, round(at, 3)) for name, at in self.stops),
        )


def _threes(rows: Float) -> tuple[Three, ...]:
    return tuple((x, y, z) for x, y, z in np.round(rows, 5).tolist())


def from_keyframes(told: Keyframes) -> Tour:
    """The tour that `Tour.keyframes` told."""
    return Tour(
        times=np.array(told.times, float),
        position=np.array(told.position, float),
        target=np.array(told.target, float),
        fov=np.array(told.fov, float),
        stops=tuple((stop.name, stop.time) for stop in told.stops),
    )


def choose_stops(start: int, centres: Float, forward: Float, scores: Float) -> list[int]:
    """Indices of the cameras to pass, `start` first: good ones, far from each other in place and view.

    centres, forward (V, 3); scores (V,). Farthest-point choice among the better half.
    """
    spread = float(np.linalg.norm(centres - centres.mean(0), axis=1).mean()) or 1.0
    features = np.column_stack([centres / spread, 0.8 * forward])
    good = scores >= np.quantile(scores, 0.5)
    chosen = [start]
    wanted = min(MOST_STOPS, max(2, len(centres) // 3))
    away = np.linalg.norm(features - features[start], axis=1)
    while len(chosen) <= wanted:
        best = int(np.argmax(np.where(good, away, 0.0)))
        if away[best] < 0.25:  # the rest is nearly the same view
            break
        chosen.append(best)
        away = np.minimum(away, np.linalg.norm(features - features[best], axis=1))
    return chosen


def shortest_round(distance: Float) -> list[int]:
    """Order of the rows of `distance` (S, S) for the shortest round trip that starts at row 0."""
    rest = range(1, len(distance))
    orders = itertools.permutations(rest)
    return [
        0,
        *min(
            orders, key=lambda o: sum(distance[a, b] for a, b in zip((0, *o), (*o, 0), strict=True))
        ),
    ]


def graph_of(space: Occupancy, centres: Float) -> tuple[sparse.csr_matrix, npt.NDArray[np.int64]]:
    """Steps between free neighbouring cells: a sparse graph, and each cell's node (-1: not free)."""
    from scipy.spatial import cKDTree

    free = space.room >= ROOM * space.cell
    node = np.full(free.shape, -1)
    node[free] = np.arange(int(free.sum()))
    where = np.argwhere(free)
    near, _ = cKDTree(centres).query(space.centres(where))
    usual = float(np.median(np.linalg.norm(centres - np.median(centres, 0), axis=1))) or 1.0
    price = 1 + (2.5 * space.cell / space.room[free]) ** 2 + 4 * (near / usual) ** 2
    rows, columns, lengths = [], [], []
    steps = [s for s in itertools.product((-1, 0, 1), repeat=3) if s > (0, 0, 0)]
    for step in steps:
        ahead = where + step
        inside = ((ahead >= 0) & (ahead < free.shape)).all(axis=1)
        source = np.flatnonzero(inside)
        target = node[tuple(ahead[inside].T)]
        open_ = target >= 0
        rows.append(source[open_])
        columns.append(target[open_])
        lengths.append(np.linalg.norm(step) * 0.5 * (price[source[open_]] + price[target[open_]]))
    count = len(where)
    graph = sparse.csr_matrix(
        (np.concatenate(lengths), (np.concatenate(rows), np.concatenate(columns))), (count, count)
    )
    return graph, node


def nearest_node(space: Occupancy, node: npt.NDArray[np.int64], point: Float) -> int:
    """The free cell nearest to `point`, or -1 when none is within three cells."""
    index = space.indices(point)
    low = np.maximum(np.floor(index).astype(int) - 3, 0)
    window = node[tuple(slice(a, a + 8) for a in low)]
    found = np.argwhere(window >= 0)
    if not len(found):
        return -1
    away = np.linalg.norm(found + low - index, axis=1)
    return int(window[tuple(found[int(np.argmin(away))])])


def resampled(points: Float, spacing: float) -> tuple[Float, Float]:
    """A polyline with a point about every `spacing`, and the arc length (M,) at each."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    keep = np.concatenate([[True], steps > 1e-9])
    points = points[keep]
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    count = max(2, int(np.ceil(along[-1] / spacing)) + 1)
    at = np.linspace(0, along[-1], count)
    return np.column_stack([np.interp(at, along, column) for column in points.T]), at


def rounded(space: Occupancy, path: Float) -> Float:
    """The path (M, 3) with its corners rounded; a point moves only where that keeps it clear."""
    for _ in range(ROUNDS):
        moved = path.copy()
        moved[1:-1] = 0.25 * path[:-2] + 0.5 * path[1:-1] + 0.25 * path[2:]
        before, after = space.room_at(path), space.room_at(moved)
        good = after >= np.minimum(before, 2 * ROOM * space.cell)
        path = np.where(good[:, None], moved, path)
    return path


def clear_of_walls(space: Occupancy, tour: Tour, per_second: int = 30) -> bool:
    """Whether the whole curve, as the viewer will draw it, stays outside of solid cells."""
    at = np.arange(0, tour.duration + 1e-9, 1 / per_second)
    return bool((space.room_at(tour.poses(at)[0]) > 0.75 * space.cell).all())


def plan(
    start: StartView,
    names: tuple[str, ...],
    world_to_camera: Float,
    scores: Float,
    fovs: Float,
    distances: Float,
    space: Occupancy,
) -> Tour | None:
    """A tour from and back to the start view, or None where no free path joins two stops.

    names, scores, fovs (degrees of the longer side) and distances (to what is looked at): one for
    each camera of world_to_camera (V, 4, 4).
    """
    rotation, shift = world_to_camera[:, :3, :3], world_to_camera[:, :3, 3]
    centres = -np.einsum("vji,vj->vi", rotation, shift)
    forward = not_too_steep(rotation[:, 2])
    chosen = choose_stops(names.index(start.name), centres, forward, scores)
    graph, node = graph_of(space, centres)
    entry = [nearest_node(space, node, centres[index]) for index in chosen]
    if entry[0] < 0:
        return None
    from scipy.sparse.csgraph import dijkstra

    sources = [place for place in entry if place >= 0]
    lengths, before = dijkstra(graph, directed=False, indices=sources, return_predecessors=True)
    reached = [i for i, place in enumerate(sources) if np.isfinite(lengths[0, place])]
    chosen = [index for index, place in zip(chosen, entry, strict=True) if place >= 0]
    chosen = [chosen[i] for i in reached]
    if len(chosen) < 2:
        return None
    table = lengths[np.ix_(reached, [sources[i] for i in reached])]
    order = shortest_round(table)
    cells = np.argwhere(node >= 0)
    pieces, legs = [centres[[chosen[0]]]], []
    for a, b in itertools.pairwise([*order, 0]):
        trail = trail_of(before[reached[a]], sources[reached[a]], sources[reached[b]])
        pieces.append(space.centres(cells[trail]))
        legs.append(sum(map(len, pieces)) - 1)
    pieces.append(centres[[chosen[0]]])
    path, along = resampled(np.concatenate(pieces), 0.5 * space.cell)
    raw = np.concatenate(pieces)
    raw_along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(raw, axis=0), axis=1))])
    passed = [0.0, *raw_along[legs[:-1]], raw_along[-1]]
    stops = [chosen[i] for i in order] + [chosen[0]]
    path = rounded(space, path)
    return timed(
        start, names, stops, np.array(passed), path, along, forward, fovs, distances, space
    )


def trail_of(before: npt.NDArray[np.int32], source: int, target: int) -> list[int]:
    """Nodes from `source` to `target` by Dijkstra's predecessors of `source`."""
    trail = [target]
    while trail[-1] != source:
        trail.append(int(before[trail[-1]]))
    return trail[::-1]


def not_too_steep(forward: Float) -> Float:
    """Directions (V, 3) with their pitch held within STEEPEST degrees, the heading kept."""
    flat = np.linalg.norm(forward[:, :2], axis=1, keepdims=True)
    heading = np.where(flat > 1e-6, forward[:, :2] / np.maximum(flat, 1e-6), [0.0, 1.0])
    limit = np.radians(STEEPEST)
    pitch = np.clip(np.arcsin(np.clip(forward[:, 2], -1, 1)), -limit, limit)
    return np.column_stack([heading * np.cos(pitch)[:, None], np.sin(pitch)])


def timed(
    start: StartView,
    names: tuple[str, ...],
    stops: list[int],
    passed: Float,
    path: Float,
    along: Float,
    forward: Float,
    fovs: Float,
    distances: Float,
    space: Occupancy,
) -> Tour | None:
    """Views and times for a path (M, 3) at arc lengths `along` (M,); `passed` (S,) those of the stops.

    None when even the unrounded curve would touch something.
    """
    gaze = forward[stops].copy()
    gaze[0] = gaze[-1] = (start.target - start.position) / np.linalg.norm(
        start.target - start.position
    )
    reach = distances[stops].copy()
    reach[0] = reach[-1] = np.linalg.norm(start.target - start.position)
    lens = fovs[stops].copy()
    lens[0] = lens[-1] = start.fov
    view = np.column_stack([turned(along, passed, gaze), np.interp(along, passed, reach)])
    view = np.column_stack([view, np.interp(along, passed, lens)])
    # Turning is spread over a fifth of a leg, so that it neither starts nor ends with a jerk.
    width = max(1.0, 0.2 * len(along) / len(stops))
    view = ndimage.gaussian_filter1d(view, width, axis=0, mode="nearest")
    view[:, :3] /= np.linalg.norm(view[:, :3], axis=1, keepdims=True)
    cosine = np.clip((view[1:, :3] * view[:-1, :3]).sum(1), -1, 1)
    usual = float(along[-1]) / max(1, len(stops) - 1)
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    seconds = steps * LEG_SECONDS / max(usual, 1e-9)
    seconds = np.maximum(seconds, np.degrees(np.arccos(cosine)) / TURN_SPEED)
    slow = np.exp(-0.5 * ((along[:-1, None] - passed) / (0.08 * max(usual, 1e-9))) ** 2).sum(1)
    seconds = ndimage.gaussian_filter1d(seconds * (1 + slow), width / 2, mode="nearest")
    moment = np.concatenate([[0.0], np.cumsum(seconds)])
    moment *= min(1.0, LONGEST / moment[-1])
    times = np.linspace(0, moment[-1], max(2, round(moment[-1] * KEYS_PER_SECOND)))

    def at(values: Float) -> Float:
        return np.column_stack([np.interp(times, moment, column) for column in values.T])

    position, keyed = at(path), at(view)
    tour = Tour(
        times=times,
        position=position,
        target=position + keyed[:, :3] * keyed[:, 3:4],
        fov=keyed[:, 4],
        stops=tuple(
            (names[index], float(np.interp(place, along, moment)))
            for index, place in zip(stops, passed, strict=True)
        ),
    )
    return tour if clear_of_walls(space, tour) else None


def turned(along: Float, passed: Float, gaze: Float) -> Float:
    """Directions (M, 3) that turn evenly from stop to stop (great circles through `gaze` (S, 3))."""
    segment = np.clip(np.searchsorted(passed, along, side="right") - 1, 0, len(passed) - 2)
    t = (along - passed[segment]) / np.maximum(passed[segment + 1] - passed[segment], 1e-9)
    a, b = gaze[segment], gaze[segment + 1]
    angle = np.arccos(np.clip((a * b).sum(1), -1, 1))
    sine = np.sin(angle)
    small = sine < 1e-4
    safe = np.where(small, 1.0, sine)
    first = np.where(small, 1 - t, np.sin((1 - t) * angle) / safe)
    second = np.where(small, t, np.sin(t * angle) / safe)
    mixed: Float = first[:, None] * a + second[:, None] * b
    found: Float = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-9)
    return found
