"""The similarity between two models by features that photos of both saw. Needs no pycolmap.

A match joins a feature of a reference photo and one of a photo of the other capture. Where the other model
has the point, the similarity must put it on the feature in the reference photo, and the other way about. So
each match tells up to two residuals in pixels, which are measured as angles times the focal length: this
holds for every lens. Things that were moved between the captures have matches too, and are outvoted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from scripts.lib.core.geo import Array, Sim3, fit_sim3

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SAMPLES, FEWEST_SAMPLES = 2000, 100
MISSED = 1e-6  # chance that no sample is of three right pairs, from which on no more are drawn
MOST_MATCHES = 6_000  # that the similarity is refined by; all of them judge it
JUDGES = 1500  # pairs of points that judge a sample
SPREAD = 1e-3  # area of a sample's triangle that tells a rotation, of the scene's diagonal squared
COARSE_PX = 12.0  # a sample is of three points, each with an error of its own
LEAST_NOISE_PX = 0.1
WITHIN = 4.0  # times the noise: matches beyond it are taken for wrong, or for things that moved
CAUCHY = 2.385  # times the noise: keeps 95 % of the power of least squares on normal noise
RAYLEIGH = 1.1774  # median length of a vector with two normal coordinates of deviation 1
ROUNDS, STEPS = 4, 8
NUDGE = 1e-6  # of numeric derivatives


@dataclass(frozen=True)
class Side:
    """The features of K matches in one capture's photos.

    rotation (K, 3, 3), shift (K, 3): from the capture's frame to the photo's camera; ray (K, 3) the unit
    direction to the feature in the camera's frame; focal (K,) pixels; xyz (K, 3) the capture's own point that
    the feature sees, NaN where it has none; point (K,) its number, -1 for none.
    """

    rotation: Array
    shift: Array
    ray: Array
    focal: Array
    xyz: Array
    point: Rows

    def only(self, rows: Rows) -> Side:
        """Some of the matches."""
        return Side(
            *(self.rotation[rows], self.shift[rows], self.ray[rows]),
            *(self.focal[rows], self.xyz[rows], self.point[rows]),
        )

    def residual(self, xyz: Array, rows: Rows | slice = slice(None)) -> Array:
        """(K, 3) pixels: where points `xyz` (K, 3) are in the photos less where the features are."""
        local = np.einsum("kij,kj->ki", self.rotation[rows], xyz) + self.shift[rows]
        local = local / np.linalg.norm(local, axis=1, keepdims=True).clip(1e-12)
        found: Array = (local - self.ray[rows]) * self.focal[rows, None]
        return found


@dataclass(frozen=True)
class Fit:
    """The similarity from the other capture's frame to the reference's, and how sure it is.

    pairs: (P,) a match for each pair of points of the two models; agree: (P,) whether it agrees. error_px
    (2, K): of each match, in the reference photo and in the other one, NaN where no point tells. noise_px:
    standard deviation of a coordinate. covariance (7, 7): of log scale, turn in radians and shift in units of
    the reference, about `centre` (3,) of the common points.
    """

    sim3: Sim3
    pairs: Rows
    agree: Flags
    error_px: Array
    noise_px: float
    covariance: Array
    centre: Array


def point_pairs(reference: Side, other: Side) -> Rows:
    """A match (P,) for each pair of points that matches join: those of several matches count once."""
    both = np.flatnonzero((reference.point >= 0) & (other.point >= 0))
    joined = np.c_[reference.point[both], other.point[both]]
    first = np.unique(joined, axis=0, return_index=True)[1]
    return np.sort(both[first])


def errors_px(reference: Side, other: Side, sim3: Sim3, rows: Rows | slice = slice(None)) -> Array:
    """(2, K) lengths of the residuals in the reference photo and in the other one; NaN: no point."""
    return np.stack(
        [np.linalg.norm(part, axis=1) for part in _residuals(reference, other, sim3, rows)]
    )


def _residuals(
    reference: Side, other: Side, sim3: Sim3, rows: Rows | slice = slice(None)
) -> tuple[Array, Array]:
    there = reference.residual(sim3.apply(other.xyz[rows]), rows)
    back = other.residual(sim3.inverse().apply(reference.xyz[rows]), rows)
    return there, back


def fit_captures(reference: Side, other: Side, seed: int) -> Fit | None:
    """The similarity by all matches; None where no four pairs of points agree with one.

    A start by three pairs of points, then least squares of all residuals in pixels with Cauchy's loss, each
    time of the matches within `WITHIN` times the noise.
    """
    pairs = point_pairs(reference, other)
    chosen = np.random.default_rng(seed).permutation(len(reference.point))[:MOST_MATCHES]
    chosen = np.sort(chosen)
    sim3 = _sampled(reference, other, pairs, seed)
    limit = COARSE_PX
    noise, covariance, centre = limit / WITHIN, np.zeros((7, 7)), np.zeros(3)
    for _ in range(ROUNDS if sim3 else 0):
        assert sim3 is not None
        agree = np.nanmax(errors_px(reference, other, sim3, pairs), axis=0) < limit
        if agree.sum() < 4:
            return None
        centre = reference.xyz[pairs[agree]].mean(axis=0)
        sim3, noise, covariance = _refined(
            reference.only(chosen), other.only(chosen), sim3, centre, limit
        )
        limit = max(WITHIN * noise, WITHIN * LEAST_NOISE_PX)
    if sim3 is None:
        return None
    error = errors_px(reference, other, sim3)
    agree = error[:, pairs].max(axis=0) < limit
    return Fit(sim3, pairs, agree, error, noise, covariance, centre)


def _sampled(reference: Side, other: Side, pairs: Rows, seed: int) -> Sim3 | None:
    """The similarity of three pairs of points that most others agree with; None without any.

    RANSAC: Fischler and Bolles, CACM 24(6), 1981.
    """
    if len(pairs) < 4:
        return None
    random = np.random.default_rng(seed)
    judges = pairs[np.sort(random.permutation(len(pairs))[:JUDGES])]
    source, target = other.xyz[pairs], reference.xyz[pairs]
    low, high = np.percentile(target, [5, 95], axis=0)
    least = SPREAD * float(((high - low) ** 2).sum())
    best: tuple[int, Sim3] | None = None
    for drawn in range(SAMPLES):
        right = (best[0] / len(judges)) ** 3 if best else 0.0
        if drawn >= FEWEST_SAMPLES and drawn * np.log1p(-min(right, 0.999)) < np.log(MISSED):
            break
        rows = random.choice(len(pairs), 3, replace=False)
        a, b, c = target[rows]
        if np.linalg.norm(np.cross(b - a, c - a)) < least:
            continue
        try:
            candidate = fit_sim3(source[rows], target[rows])
        except ValueError:
            continue
        if not 1e-6 < candidate.scale < 1e6:
            continue
        agreeing = int(
            (errors_px(reference, other, candidate, judges).max(axis=0) < COARSE_PX).sum()
        )
        if best is None or agreeing > best[0]:
            best = agreeing, candidate
    return best[1] if best else None


def _moved(sim3: Sim3, change: Array, centre: Array) -> Sim3:
    """`sim3` followed by a small change (7,) about `centre`: log scale, turn, shift."""
    scale, turn = float(np.exp(change[0])), Rotation.from_rotvec(change[1:4]).as_matrix()
    return Sim3(scale, turn, centre + change[4:] - scale * turn @ centre).after(sim3)


def _refined(
    reference: Side, other: Side, sim3: Sim3, centre: Array, limit: float
) -> tuple[Sim3, float, Array]:
    """The similarity after Gauss-Newton steps, the noise in pixels, and its covariance (7, 7).

    Matches that are `limit` pixels off or more take no part. Those of one point share its error, so that
    the covariance counts points, not matches (the "sandwich" of clustered observations: Liang and Zeger,
    Biometrika 73(1), 1986).
    """
    used = errors_px(reference, other, sim3) < limit  # False for NaN
    # Each residual belongs to the point that it is told by.
    owner = np.concatenate([other.point[used[0]], -2 - reference.point[used[1]]])
    reach = max(float(np.nanmax(np.linalg.norm(reference.xyz - centre, axis=1))), 1e-9)
    nudges = np.array([NUDGE] * 4 + [NUDGE * reach] * 3)

    def residual(change: Array) -> Array:
        parts = _residuals(reference, other, _moved(sim3, change, centre))
        return np.concatenate([part[keep] for part, keep in zip(parts, used, strict=True)])

    noise = limit / WITHIN
    inverse = np.zeros((7, 7))
    for _ in range(STEPS):
        now = residual(np.zeros(7))
        length = np.linalg.norm(now, axis=1)
        noise = max(float(np.median(length)) / RAYLEIGH, LEAST_NOISE_PX)
        jacobian = np.stack(
            [(residual(step) - residual(-step)) / (2 * step.sum()) for step in np.diag(nudges)],
            axis=2,
        )
        weight = 1 / (1 + (length / (CAUCHY * noise)) ** 2)
        pull = np.einsum("kir,k,ki->kr", jacobian, weight, now)
        inverse = np.linalg.pinv(
            np.einsum("kir,k,kis->rs", jacobian, weight, jacobian), hermitian=True
        )
        change = -inverse @ pull.sum(axis=0)
        sim3 = _moved(sim3, change, centre)
        if np.all(np.abs(change) < 0.1 * nudges):
            break
    clusters = np.unique(owner, return_inverse=True)[1]
    summed = np.stack([np.bincount(clusters, pull[:, column]) for column in range(7)], axis=1)
    return sim3, noise, inverse @ (summed.T @ summed) @ inverse
