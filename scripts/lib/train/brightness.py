"""How much brighter or darker, and in which tint, each photo came out, by the points that photos share.

A point of the scene has one colour, apart from highlights and noise. What a photo multiplies all of its
points by, beside what other photos make of them, is the doing of its camera: automatic exposure and white
balance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse

from scripts.lib.contracts.train import ExposureRecord
from scripts.lib.core.files import reading_zip
from scripts.lib.scene.colmap_model import Sightings, read_sightings
from scripts.lib.scene.scene import Scene

Float = npt.NDArray[np.float64]
LONG_SIDE = 400  # pixels of the photos whose colours are read
DARKEST, BRIGHTEST = 0.06, 0.94  # of 1; beyond, the camera's response is no product
AT_ONCE = 64  # photos read together
FEWEST_PHOTOS, FEWEST_SIGHTINGS = 4, 200
ROUNDS = 20
ROBUST = 1.5  # deviations from which a sighting counts less
PRIOR = 0.1  # usual logarithm of a gain: what a photo with few points is held by
# Highlights and corners alone make .03 and .006 (one setting for all photos), automatic cameras .08 to .16
# and .01 to .06. Up to about .1, an uncorrected splat looks at each place as the photos near it do, and test
# photos agree with their neighbours; corrected, it is steadier, but its brightness is that of no photo.
VARIES, TINTED = 0.155, 0.08


@dataclass(frozen=True)
class Brightness:
    """Logarithms of what multiplies each photo's colours (V, 3), as they are stored, and their mean squares'
    roots: of brightness, and of the tint that is left without it."""

    gains: Float

    @property
    def by_photo(self) -> Float:
        """Logarithm of each photo's gain (V,), the mean of its colours'."""
        found: Float = self.gains.mean(axis=1)
        return found

    @property
    def rms(self) -> float:
        """Usual size of `by_photo`."""
        return float(self.by_photo.std())

    @property
    def tint_rms(self) -> float:
        """Usual difference of a colour's gain from the photo's."""
        return float((self.gains - self.by_photo[:, None]).std())

    @property
    def varies(self) -> bool:
        """Whether the cameras changed more than light and noise do."""
        return self.rms > VARIES or self.tint_rms > TINTED

    def record(self, corrected: bool) -> ExposureRecord:
        """For train.json."""
        darkest, brightest = float(self.by_photo.min()), float(self.by_photo.max())
        return ExposureRecord(corrected, self.rms, self.tint_rms, brightest - darkest)


def brightness(scene: Scene, photos: Sequence[int]) -> Brightness | None:
    """What the sightings of the scene's points tell of `photos` (V indices); None if they are too few.

    Reads the photos once, small. Raises UserError when the scene's zip is damaged.
    """
    with reading_zip(scene.path) as archive:
        sightings = read_sightings(archive)
    small = scene.at_most(LONG_SIDE)
    views, points, colours = [], [], []
    for row, (photo, picture) in enumerate(_pictures(small, photos)):
        seen = sightings.get(scene.names[photo])
        if seen is None:
            continue
        ids, found = _colours(picture, seen)
        views.append(np.full(len(ids), row))
        points.append(ids)
        colours.append(found)
    if len(photos) < FEWEST_PHOTOS or sum(map(len, views)) < FEWEST_SIGHTINGS:
        return None
    rows = np.concatenate(views)
    _, shared = np.unique(np.concatenate(points), return_inverse=True)
    return Brightness(gains_of(len(photos), rows, shared, np.log(np.concatenate(colours))))


def _pictures(scene: Scene, photos: Sequence[int]) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """The photos and their pictures (H, W, 3), a few at a time: each opening of a zip reads its list."""
    for begin in range(0, len(photos), AT_ONCE):
        some = photos[begin : begin + AT_ONCE]
        yield from zip(some, scene.photos(some), strict=True)


def _colours(photo: npt.NDArray[np.uint8], seen: Sightings) -> tuple[npt.NDArray[np.int64], Float]:
    """Points (M,) and colours (M, 3) in 0..1 of 3 x 3 pixels around them, neither dark nor bright."""
    height, width = photo.shape[:2]
    x, y = (seen.places * (width, height)).astype(int).T
    inside = (x >= 1) & (x < width - 1) & (y >= 1) & (y < height - 1)
    x, y, ids = x[inside], y[inside], seen.points[inside]
    around = [photo[y + down, x + right] for down in (-1, 0, 1) for right in (-1, 0, 1)]
    colours = np.mean(around, axis=0) / 255 if len(ids) else np.zeros((0, 3))
    usable = (colours > DARKEST).all(axis=1) & (colours < BRIGHTEST).all(axis=1)
    return ids[usable], colours[usable]


def gains_of(
    photos: int, rows: npt.NDArray[np.int64], points: npt.NDArray[np.int64], logs: Float
) -> Float:
    """Logarithms of the photos' gains (V, 3), of zero mean, from M sightings: of which photo and point, and
    the logarithm of the colour (M, 3).

    Robust least squares of log colour = gain + point's own colour, reweighted as of a Cauchy distribution.
    The points are eliminated and the gains solved for all together: brightness that drifts along a walk is
    known through chains of photos that overlap, along which alternating between the two hardly spreads. A
    photo with few sightings stays near 0.
    """
    count = int(points.max()) + 1
    gains = np.zeros((photos, 3))
    weights, sigma = np.ones(len(rows)), PRIOR
    for _ in range(ROUNDS):
        seen = scipy.sparse.csr_array((weights, (rows, points)), shape=(photos, count))
        totals = np.bincount(points, weights, count)
        share = seen @ scipy.sparse.diags_array(1 / totals)
        held = np.bincount(rows, weights, photos) + (sigma / PRIOR) ** 2
        normal = np.diag(held) - (share @ seen.T).toarray()
        gains = np.linalg.solve(
            normal,
            _sums(rows, weights, logs, photos) - share @ _sums(points, weights, logs, count),
        )
        gains -= gains.mean(axis=0)
        own = _sums(points, weights, logs - gains[rows], count) / totals[:, None]
        left = np.abs(logs - own[points] - gains[rows]).mean(axis=1)
        sigma = max(1.48 * float(np.median(left)), 1e-4)
        weights = 1 / (1 + (left / (ROBUST * sigma)) ** 2)
    return gains


def _sums(of: npt.NDArray[np.int64], weights: Float, values: Float, count: int) -> Float:
    """Weighted sums (count, 3) of the values (M, 3) of each row or point that `of` (M,) names."""
    return np.stack([np.bincount(of, weights * values[:, k], count) for k in range(3)], axis=1)
