"""What photos show at the points that they share: colours, and how much detail is around them.

A point of the scene is one thing. Where photos disagree about it, cameras differ: in exposure, in white
balance, in how steady they were held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy import ndimage

from scripts.lib.core.files import reading_zip
from scripts.lib.scene.colmap_model import Sightings, read_places, read_sightings
from scripts.lib.scene.fall_off import squared_distance
from scripts.lib.scene.scene import Scene

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
LONG_SIDE = 400  # pixels of the photos that are read
DARKEST, BRIGHTEST = 0.06, 0.94  # of 1; beyond, the camera's response is no product
AROUND = 4  # pixels about a point whose detail counts
FLAT = 1e-4  # contrast of what has no detail
AT_ONCE = 64  # photos read together
FEWEST_PHOTOS, FEWEST_SIGHTINGS = 4, 200
FEWEST_OF_LENS = 8  # photos
ROUNDS = 20
PRIOR = 0.1  # usual size of what a photo does: what one with few points is held by
ROBUST = 1.5  # deviations from which a sighting counts less


@dataclass(frozen=True)
class Samples:
    """M sightings of points in V photos.

    rows, points (M,): which photo, and which point, counted from 0. colours (M, 3): means of 3 x 3 pixels in
    0..1, neither dark nor bright. detail (M,): root mean square of the brightness' gradient around the point,
    for each unit of brightness. scale (M,): pixels that a unit of the world has there. off_centre (M,):
    squared distance from the principal point, see `fall_off`. lenses (V,): which of the scene's lenses took
    each photo; those that took few count as one for each size of photos.
    """

    photos: int
    rows: Int
    points: Int
    colours: Float
    detail: Float
    scale: Float
    off_centre: Float
    lenses: Int


def read_samples(scene: Scene, photos: Sequence[int]) -> Samples | None:
    """The samples of `photos` (V indices); None if they are too few to tell anything.

    Reads the photos once, small. Raises UserError when the scene's zip is damaged.
    """
    with reading_zip(scene.path) as archive:
        sightings = read_sightings(archive)
        numbers, places = read_places(archive)
    parts, small = [], scene.at_most(LONG_SIDE)
    for row, (photo, picture) in enumerate(_pictures(small, photos)):
        shown = sightings.get(scene.names[photo])
        if shown is not None:
            ids, places_in, colours, detail = _sampled(picture, shown)
            x, y = places_in.T
            away = squared_distance(x, y, small.K[photo], small.sizes[photo])
            camera = small.world_to_camera[photo]
            at = places[np.searchsorted(numbers, ids).clip(max=len(numbers) - 1)]
            depth = at @ camera[2, :3] + camera[2, 3]
            scale = small.K[photo, 0, 0] / np.maximum(depth, 1e-9)
            parts.append((np.full(len(ids), row), ids, colours, detail, scale, away))
    if len(photos) < FEWEST_PHOTOS or sum(len(part[0]) for part in parts) < FEWEST_SIGHTINGS:
        return None
    rows, ids, colours, detail, scale, away = map(np.concatenate, zip(*parts, strict=True))
    _, points = np.unique(ids, return_inverse=True)
    lenses = _lenses(scene)[list(photos)]
    return Samples(len(photos), rows, points, colours, detail, scale, away, lenses)


def _lenses(scene: Scene) -> Int:
    """The lens of each photo, counted from 0, see `Samples`."""
    _, sizes = np.unique(scene.sizes, axis=0, return_inverse=True)
    few = np.bincount(scene.lenses)[scene.lenses] < FEWEST_OF_LENS
    return np.unique(np.where(few, -1 - sizes.ravel(), scene.lenses), return_inverse=True)[1]


def _pictures(scene: Scene, photos: Sequence[int]) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """The photos and their pictures (H, W, 3), a few at a time: each opening of a zip reads its list."""
    for begin in range(0, len(photos), AT_ONCE):
        some = photos[begin : begin + AT_ONCE]
        yield from zip(some, scene.photos(some), strict=True)


def _sampled(photo: npt.NDArray[np.uint8], seen: Sightings) -> tuple[Int, Float, Float, Float]:
    """Of those that are usable: points (K,), places in pixels (K, 2), colours (K, 3), and detail (K,)."""
    height, width = photo.shape[:2]
    places = seen.places * (width, height)
    x, y = places.astype(int).T
    inside = (x >= AROUND) & (x < width - AROUND) & (y >= AROUND) & (y < height - AROUND)
    x, y, ids, places = x[inside], y[inside], seen.points[inside], places[inside]
    if not len(ids):
        return ids, places, np.zeros((0, 3)), np.zeros(0)
    around = [photo[y + down, x + right] for down in (-1, 0, 1) for right in (-1, 0, 1)]
    colours: Float = np.mean(around, axis=0) / 255
    usable = (colours > DARKEST).all(axis=1) & (colours < BRIGHTEST).all(axis=1)
    detail = _contrast(photo)[y, x].astype(float)
    return ids[usable], places[usable], colours[usable], detail[usable]


def _contrast(photo: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Detail around each pixel (H, W), see `Samples`."""
    grey = photo.astype(np.float32).mean(axis=2) / 255
    down, across = np.gradient(grey)
    square, level = (
        ndimage.uniform_filter(it, 2 * AROUND + 1) for it in (down**2 + across**2, grey)
    )
    found: npt.NDArray[np.float32] = np.sqrt(np.maximum(square, 0)) / np.maximum(level, DARKEST)
    return np.maximum(found, np.float32(FLAT))


def effects_of(photos: int, rows: Int, points: Int, logs: Float) -> Float:
    """What each photo multiplies its points by: logarithms (V, C) of zero mean.

    From M sightings: of which photo and point, and the logarithm of what was seen (M, C). Robust least
    squares of log seen = effect + point's own, reweighted as of a Cauchy distribution. The points are
    eliminated and the effects solved for all together: brightness that drifts along a walk is known through
    chains of photos that overlap, along which alternating between the two hardly spreads. A photo with few
    sightings stays near 0.
    """
    count = int(points.max()) + 1
    effects = np.zeros((photos, logs.shape[1]))
    weights, sigma = np.ones(len(rows)), PRIOR
    for _ in range(ROUNDS):
        seen = scipy.sparse.csr_array((weights, (rows, points)), shape=(photos, count))
        totals = np.bincount(points, weights, count)
        share = seen @ scipy.sparse.diags_array(1 / totals)
        held = np.bincount(rows, weights, photos) + (sigma / PRIOR) ** 2
        normal = np.diag(held) - (share @ seen.T).toarray()
        effects = np.linalg.solve(
            normal,
            _sums(rows, weights, logs, photos) - share @ _sums(points, weights, logs, count),
        )
        effects -= effects.mean(axis=0)
        own = _sums(points, weights, logs - effects[rows], count) / totals[:, None]
        left = np.abs(logs - own[points] - effects[rows]).mean(axis=1)
        sigma = max(1.48 * float(np.median(left)), 1e-4)
        weights = 1 / (1 + (left / (ROBUST * sigma)) ** 2)
    return effects


def _sums(of: Int, weights: Float, values: Float, count: int) -> Float:
    """Weighted sums (count, C) of the values (M, C) of each row or point that `of` (M,) names."""
    columns = range(values.shape[1])
    return np.stack([np.bincount(of, weights * values[:, k], count) for k in columns], axis=1)
