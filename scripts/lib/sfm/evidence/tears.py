"""Photos that show the same thing although a model has them at different places: a loop that does not close.

The matches of such a pair were verified, but the mapper could use none of them, so nothing in the model's own
residuals tells of them. Matches of two places that only look alike are left out, too, by a model that is
right. Which of both it is shows in the rest of the photos: if one is put where its matches want it, all that
it shows must fit the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pycolmap

from scripts.lib.core.geo import Array
from scripts.lib.sfm.evidence.sides import Pair, two_sides
from scripts.lib.sfm.evidence.views import View, compare, moved
from scripts.lib.sfm.projection import projection
from scripts.lib.sfm.tables import Rows

Matches = Mapping[Pair, npt.NDArray[np.int64]]

# A match agrees where the one photo's point comes within this share of the focal length to the other's
# feature.
NEAR = 0.01
MIN_MATCHES = 15  # of which a photo's point can be projected
# In good captures at least 0.6 of a pair's matches agree; of 17 matches once 0.4.
MOST_AGREEING = 0.2
MIN_PAIRS = 3
# The pairs that show most in common tell whether it is the same thing: a third of them. In all of these, so
# many cells must say something and at most such a share of them different things. Pairs of good captures came
# to 0.03; like facades, of which a third of the points is unlike, to 0.16.
TELLING, MIN_CELLS, MOST_UNLIKE = 1 / 3, 8, 0.06
DIRECTION_DEG = 40.0  # between which the photos of a pair are compared
LOCATED_PX = 8.0  # a match is right if it fits the new pose so well
MIN_LOCATED = 15
LEAST_USUAL = 0.1  # share of points that a pair shows both


@dataclass(frozen=True)
class Tear:
    """Two groups of photos that show the same, how many pairs say so, and the median distance between where
    the model and where the matches have a photo: in the model's unit, and as part of how far it sees."""

    first: list[int]
    second: list[int]
    pairs: int
    distance: float
    relative: float


@dataclass(frozen=True)
class _Elsewhere:
    """A photo where its matches want it: how far that is, which share of what both should see they both show
    there, and in how many cells they show the same or not."""

    distance: float
    relative: float
    shared: float
    alike: int
    unlike: int


def find_tears(views: Sequence[View], matches: Matches, seed: int = 0) -> list[Tear]:
    """Groups of photos (places in `views`) whose verified matches contradict the model's poses.

    matches: features (M, 2) by the numbers of two images.
    """
    place = {view.number: row for row, view in enumerate(views)}
    told: dict[Pair, _Elsewhere] = {}
    for (a, b), pairs in matches.items():
        if a in place and b in place and _contradicted(views[place[a]], views[place[b]], pairs):
            found = _elsewhere(views[place[a]], views[place[b]], pairs, seed)
            if found is not None:
                told[place[a], place[b]] = found
    tears = []
    for first, second, across in two_sides(list(told)):
        put = [told[pair] for pair in across]
        if len(across) >= MIN_PAIRS and _same_thing(put):
            distance, relative = np.median([(one.distance, one.relative) for one in put], axis=0)
            tears.append(Tear(first, second, len(across), float(distance), float(relative)))
    return tears


def _same_thing(found: Sequence[_Elsewhere]) -> bool:
    """Whether the photos of some pairs show the same thing, where their matches put them."""
    best = sorted(found, key=lambda one: -one.shared)[: max(1, int(TELLING * len(found)))]
    unlike = sum(one.unlike for one in best)
    cells = unlike + sum(one.alike for one in best)
    return cells >= MIN_CELLS and unlike <= MOST_UNLIKE * cells


def _points(view: View, features: Rows) -> Rows:
    """The row of `view.points` that each feature (M,) sees, -1 for none."""
    if not len(view.features):
        return np.full(len(features), -1)
    order = np.argsort(view.features)
    at = order[np.minimum(np.searchsorted(view.features[order], features), len(order) - 1)]
    rows: Rows = np.where(view.features[at] == features, at, -1)
    return rows


def _contradicted(first: View, second: View, matches: npt.NDArray[np.int64]) -> bool:
    """Whether hardly a match (M, 2) fits: a point that one photo sees lies elsewhere in the other."""
    a, b = _points(first, matches[:, 0]), _points(second, matches[:, 1])
    both = (a >= 0) & (b >= 0)
    if both.sum() < MIN_MATCHES:
        return False
    far = [
        _misses(first.xyz[a[both]], second, second.pixels[b[both]]),
        _misses(second.xyz[b[both]], first, first.pixels[a[both]]),
    ]
    return float((np.concatenate(far) < NEAR).mean()) <= MOST_AGREEING


def _misses(xyz: Array, view: View, pixels: Array) -> Array:
    """How far (M,) points are projected from `pixels`, as shares of the focal length; infinite behind the
    camera."""
    local = view.local(xyz)
    missed = np.linalg.norm(projection(view.camera, local) - pixels, axis=1)
    missed[~np.isfinite(missed) | (local[:, 2] <= 0)] = np.inf
    shares: Array = missed / view.camera.mean_focal_length()
    return shares


def _elsewhere(
    first: View, second: View, matches: npt.NDArray[np.int64], seed: int
) -> _Elsewhere | None:
    """`second` where its matches with `first` put it; None where they do not."""
    a, b = _points(first, matches[:, 0]), _points(second, matches[:, 1])
    both = (a >= 0) & (b >= 0)
    a, b = a[both], b[both]
    options = pycolmap.AbsolutePoseEstimationOptions()
    options.ransac.max_error = LOCATED_PX
    options.ransac.random_seed = seed
    found = pycolmap.estimate_and_refine_absolute_pose(
        second.pixels[b], first.xyz[a], second.camera, options
    )
    if found is None or found["num_inliers"] < MIN_LOCATED:
        return None
    right = np.asarray(found["inlier_mask"], bool)
    pose = found["cam_from_world"]
    turn, shift = pose.rotation.matrix(), np.asarray(pose.translation, float)
    a, b = a[right], b[right]
    depth = (first.xyz[a] @ turn.T + shift)[:, 2]
    scale = float(np.median(depth / second.local(second.xyz[b])[:, 2]))
    if not 0 < scale < np.inf:
        return None
    # What is matched is one point; all others are different ones.
    points = -1 - np.arange(len(second.points))
    points[b] = first.points[a]
    there = moved(second, turn, shift, scale, points)
    cells = compare(first, there, DIRECTION_DEG)
    # Of all that both should see, the matches are what is usual for this pair.
    least = min(part.expected.sum() for part in cells)
    usual = max(float(cells[0].seen.sum()) / max(least, 1), LEAST_USUAL)
    distance = float(np.linalg.norm(there.centre - second.centre))
    return _Elsewhere(
        distance,
        distance / float(np.median(depth)),
        usual,
        sum(part.alike(usual) for part in cells),
        sum(part.unlike(usual) for part in cells),
    )
