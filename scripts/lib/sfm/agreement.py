"""Which surveyed points agree with the model on one similarity, and which contradict it.

A point is judged by the fit of other points, so it is missed by its own error and by that of the fit where
it lies, which is large at a corner outside the others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import comb, fdtri  # in scipy.stats too, which takes half a second to import

from scripts.lib.core.geo import Array, Sim3, fit_sim3, fit_sim3_upright, samples
from scripts.lib.sfm.uncertainty import MOTION, motion_at

Chosen = npt.NDArray[np.bool_]

MIN_POINTS = 3  # a similarity has seven unknowns
LEAST_AGREEING = 4  # three fit whatever they say
# A point is left out where chance would do so in at most this share of surveys; few points tell little of how
# large errors are, so it takes more of their standard deviations. Never at less than so many of them: errors
# are larger up than across, and of a point seen from one side.
BY_CHANCE, WRONG_DEVIATIONS = 0.001, 8.0
WRONG_OF_SPREAD = 0.01  # a smaller miss, as part of the survey's extent, contradicts nothing
# Rounds in which unknown heights settle, from a start that the known ones give, and when they have.
FILLS, SETTLED_M = 50, 1e-6
STARTS, ROUNDS = 10, 20  # triples of points that are followed up, and for how many rounds at most
UPRIGHT = [0, 1, 2, 5, 6]  # of `motion_at`'s columns, those that a fit which turns about Z only has
BARELY = 1e-12  # information about a motion of which the points tell nothing


def length(residuals: Array) -> Array:
    """Lengths of residuals (..., 3); a height that is not known counts nothing."""
    found: Array = np.linalg.norm(np.nan_to_num(residuals), axis=-1)
    return found


def agreeing(a: Array, b: Array) -> Chosen:
    """Which points agree on one similarity from `a` to `b` (N, 3, heights may be NaN); a third may be wrong.

    The points that agree best take in the one that fits them best, until that one contradicts them. Fewer
    than four known heights cannot contradict each other: positions on the ground are judged then.
    """
    if np.isfinite(b[:, 2]).sum() < LEAST_AGREEING:
        b = np.column_stack([b[:, :2], np.full(len(b), np.nan)])
    good = _best(a, b, max(LEAST_AGREEING, len(a) - len(a) // 3))
    while not good.all():
        misses = contradictions(a, b, good)
        if misses.min() > 1:
            break
        good[np.argmin(misses)] = True
    return good


def contradictions(a: Array, b: Array, good: Chosen) -> Array:
    """By how much each point (N,) misses where the `good` ones have it, in parts of the largest miss that
    passes for chance; infinite for the good ones, which are not judged.

    The F test of a prediction by least squares (Seber and Lee, "Linear Regression Analysis", 2003, chapter
    5), its level shared by all choices of so many good points and another one (Bonferroni), as these were
    chosen because they agree.
    """
    moved, known = fit_positions(a[good], b[good]).apply(a), np.isfinite(b)
    residuals, middle = moved - b, moved[good].mean(axis=0)
    size = np.linalg.norm(moved[good] - middle, axis=1).max()
    unknowns = UPRIGHT if _upright_only(b) else list(range(MOTION))
    rows = np.array([motion_at((position - middle) / size) for position in moved])[:, :, unknowns]
    design = rows[good][known[good]]
    freedom = len(design) - int(np.linalg.matrix_rank(design))
    variance = (residuals[good][known[good]] ** 2).sum() / freedom
    covariance = np.linalg.inv(design.T @ design + BARELY * np.eye(len(unknowns)))
    floor = WRONG_OF_SPREAD * np.linalg.norm(b[:, :2] - np.median(b[:, :2], axis=0), axis=1).max()
    taken = good.sum() + 1
    level = BY_CHANCE / (comb(len(a), taken) * taken)
    found = np.full(len(a), np.inf)
    for point in np.flatnonzero(~good):
        moved, miss = rows[point][known[point]], residuals[point][known[point]]
        expected = np.eye(len(miss)) + moved @ covariance @ moved.T  # in parts of the variance
        chance = max(len(miss) * fdtri(len(miss), freedom, 1 - level), WRONG_DEVIATIONS**2)
        squared = miss @ np.linalg.solve(expected, miss)
        found[point] = np.sqrt(squared / max(chance * variance, floor**2))
    return found


def _best(a: Array, b: Array, size: int) -> Chosen:
    """The `size` points on which one similarity agrees best; all where so few are not to be had.

    Least trimmed squares by Rousseeuw and Van Driessen, "Computing LTS Regression for Large Data Sets",
    2006: the fit of three points draws the points it misses least, their fit others, until the same stay.
    """
    upright, axes = _upright_only(b), np.isfinite(b).sum(axis=1)

    def nearest(inside: npt.NDArray[np.intp]) -> tuple[float, npt.NDArray[np.intp]]:
        """What the fit of `inside` misses least, and the sum of its squares; infinite where nothing fits."""
        try:
            if _upright_only(b[inside]) == upright:  # else they tell less than all of them do
                squares = length(fit_positions(a[inside], b[inside]).apply(a) - b) ** 2 / axes
                drawn = np.sort(np.argsort(squares, kind="stable")[:size])
                return float(squares[drawn].sum()), drawn
        except ValueError:  # they coincide
            pass
        return np.inf, inside

    chosen = np.ones(len(a), bool)
    if size >= len(a):
        return chosen
    best = np.inf
    starts = [nearest(np.array(sample)) for sample in samples(len(a), MIN_POINTS, 1000, 0)]
    for total, inside in sorted(starts, key=lambda start: start[0])[:STARTS]:
        for _ in range(ROUNDS):
            before = inside
            total, inside = nearest(before)
            if np.array_equal(before, inside):
                break
        if total < best:
            best, chosen = total, np.isin(np.arange(len(a)), inside)
    return chosen


def in_a_row(points: Array) -> bool:
    """Whether the points lie in a row: the turn about it is then unknown."""
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(spread[1] < 0.02 * spread[0])


def _upright_only(b: Array) -> bool:
    """Whether too few heights are known to tell which way is up."""
    known = np.isfinite(b[:, 2])
    return not known.all() and (known.sum() < MIN_POINTS or in_a_row(b[known]))


def fit_positions(a: Array, b: Array) -> Sim3:
    """The similarity from `a` to `b` (N, 3), of which heights may be NaN.

    Where too few heights are known to tell which way is up, the model's own up stays. Raises ValueError
    when the points of `a` coincide.
    """
    known = np.isfinite(b[:, 2])
    if known.all():
        return fit_sim3(a, b)
    filled = np.nan_to_num(b)
    if _upright_only(b):
        sim3 = fit_sim3_upright(a, filled)
        rise = (b - sim3.apply(a))[known, 2]
        lift = float(rise.mean()) if len(rise) else 0.0
        return Sim3(sim3.scale, sim3.rotation, sim3.translation + [0.0, 0.0, lift])
    sim3 = fit_sim3(a[known], b[known])
    for _ in range(FILLS):
        heights = sim3.apply(a)[~known, 2]
        if np.abs(heights - filled[~known, 2]).max() < SETTLED_M:
            break
        filled[~known, 2] = heights  # the height that fits pulls across only
        sim3 = fit_sim3(a, filled)
    return sim3
