"""How lenses lose light towards the corners, by points that photos show here and there in the picture.

One curve for each lens, monotone and zero in the middle. Whether it is real is asked of sightings that the
curves were not fitted to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls

from scripts.lib.scene.fall_off import NUMBERS, at_corner, shapes
from scripts.lib.train.samples import FEWEST_OF_LENS, PRIOR, ROBUST, Float, Samples

ROUNDS = 8
HELD_OUT = 4  # one sighting in so many
CLEARLY = 0.96  # of the error without, at most
LEAST_AT_CORNER = 0.04  # of the stored brightness: less is not seen


@dataclass(frozen=True)
class _Solved:
    """Photos' gains (V,), lenses' numbers (L, 3), and points' own logarithms (P,), NaN where none is seen."""

    gains: Float
    numbers: Float
    own: Float

    def left(self, samples: Samples, logs: Float) -> Float:
        """What the sightings (M,) differ by."""
        lost = (shapes(samples.off_centre) * self.numbers[samples.lenses[samples.rows]]).sum(axis=1)
        found: Float = logs - self.own[samples.points] - self.gains[samples.rows] + lost
        return found


def fall_off(samples: Samples) -> Float | None:
    """Numbers (L, 3) of each lens of the samples, see `fall_off.shapes`; None where none loses light."""
    count = int(samples.lenses.max()) + 1
    enough = np.bincount(samples.lenses, minlength=count) >= FEWEST_OF_LENS
    if not enough.any():
        return None
    logs = np.log(samples.colours).mean(axis=1)
    kept = np.random.default_rng(0).integers(HELD_OUT, size=len(logs)) > 0
    some, others = _part(samples, kept), _part(samples, ~kept)
    errors = [
        np.nanmedian(np.abs(_solve(some, logs[kept], free).left(others, logs[~kept])))
        for free in (np.zeros(count, bool), enough)
    ]
    numbers = _solve(samples, logs, enough).numbers
    weak = [at_corner(row) < LEAST_AT_CORNER for row in numbers]
    if errors[1] > CLEARLY * errors[0] or all(weak):
        return None
    numbers[weak] = 0
    return numbers


def evened(samples: Samples, numbers: Float) -> Samples:
    """The samples without what their lenses took from them."""
    lost = (shapes(samples.off_centre) * numbers[samples.lenses[samples.rows]]).sum(axis=1)
    return replace(samples, colours=samples.colours * np.exp(lost)[:, None])


def _part(samples: Samples, chosen: npt.NDArray[np.bool_]) -> Samples:
    return replace(
        samples,
        rows=samples.rows[chosen],
        points=samples.points[chosen],
        off_centre=samples.off_centre[chosen],
    )


def _solve(samples: Samples, logs: Float, free: npt.NDArray[np.bool_]) -> _Solved:
    """Robust least squares of log seen = point's own + photo's gain - what the lens loses there.

    The points and the gains are eliminated; what is left are the numbers of the lenses that are `free` (L,),
    none of which is negative.
    """
    photos, lenses = samples.photos, len(free)
    rows, points, found = samples.rows, samples.points, len(samples.rows)
    points_count = int(points.max()) + 1
    lens = samples.lenses[rows]
    columns = NUMBERS * lens[:, None] + np.arange(NUMBERS)
    at = (np.repeat(np.arange(found), NUMBERS), columns.ravel())
    curves = scipy.sparse.csr_array(
        ((-shapes(samples.off_centre) * free[lens][:, None]).ravel(), at),
        shape=(found, NUMBERS * lenses),
    )
    gains = scipy.sparse.csr_array((np.ones(found), (np.arange(found), rows)), (found, photos))
    design = scipy.sparse.hstack([gains, curves]).tocsr()
    of_point = scipy.sparse.csr_array(
        (np.ones(found), (np.arange(found), points)), (found, points_count)
    )
    weights, sigma = np.ones(found), PRIOR
    solved = _Solved(np.zeros(photos), np.zeros((lenses, NUMBERS)), np.zeros(points_count))
    for _ in range(ROUNDS):
        weighted = scipy.sparse.diags_array(weights) @ design
        totals = np.bincount(points, weights, points_count)
        with np.errstate(divide="ignore"):
            inverse = np.where(totals > 0, 1 / totals, 0.0)
        mixed = (weighted.T @ of_point) @ scipy.sparse.diags_array(inverse)
        normal = (weighted.T @ design - mixed @ (of_point.T @ weighted)).toarray()
        right = weighted.T @ logs - mixed @ (of_point.T @ (weights * logs))
        normal[np.diag_indices(photos)] += (sigma / PRIOR) ** 2
        numbers = _not_negative(normal, right, photos).reshape(lenses, NUMBERS) * free[:, None]
        values = np.linalg.solve(
            normal[:photos, :photos], right[:photos] - normal[:photos, photos:] @ numbers.ravel()
        )
        plain = logs - design @ np.r_[values, numbers.ravel()]
        own = np.where(
            totals > 0, np.bincount(points, weights * plain, points_count) * inverse, np.nan
        )
        solved = _Solved(values, numbers, own)
        left = np.abs(plain - own[points])
        sigma = max(1.48 * float(np.median(left)), 1e-4)
        weights = 1 / (1 + (left / (ROBUST * sigma)) ** 2)
    return solved


def _not_negative(normal: Float, right: Float, photos: int) -> Float:
    """The unknowns behind the first `photos` ones, which are free: least squares, none below zero."""
    across = np.linalg.solve(normal[:photos, :photos], normal[:photos, photos:])
    reduced = normal[photos:, photos:] - normal[photos:, :photos] @ across
    wanted = right[photos:] - across.T @ right[:photos]
    lower = cholesky(reduced + 1e-6 * np.eye(len(reduced)), lower=True)
    found: Float = nnls(lower.T, solve_triangular(lower, wanted, lower=True))[0]
    return found
