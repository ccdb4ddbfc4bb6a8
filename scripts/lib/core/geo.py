"""Positions on the Earth, and similarities (Sim3) that carry a model of free scale into metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sim3:
    """y = scale * rotation @ x + translation; rotation (3, 3) proper, translation (3,)."""

    scale: float
    rotation: Array
    translation: Array

    def apply(self, points: ArrayLike) -> Array:
        """Transform points (N, 3)."""
        return self.scale * np.asarray(points, float) @ self.rotation.T + self.translation

    def matrix(self) -> Array:
        """The 4x4 matrix of this similarity."""
        result = np.eye(4)
        result[:3, :3] = self.scale * self.rotation
        result[:3, 3] = self.translation
        return result

    def inverse(self) -> Sim3:
        """The similarity that undoes this one."""
        back = self.rotation.T / self.scale
        return Sim3(1 / self.scale, self.rotation.T, -back @ self.translation)

    def after(self, first: Sim3) -> Sim3:
        """The similarity that applies `first`, then this one."""
        return Sim3(
            self.scale * first.scale,
            self.rotation @ first.rotation,
            self.apply(first.translation[None])[0],
        )


def enu_from_geodetic(
    places: Sequence[tuple[float, float, float]], origin: tuple[float, float, float]
) -> Array:
    """East, north, up metres (N, 3) from `origin` of WGS84 (latitude, longitude, altitude) rows."""
    from pyproj import Transformer

    latitude, longitude, altitude = origin
    transformer = Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad "
        "+step +proj=cart +ellps=WGS84 "
        f"+step +proj=topocentric +ellps=WGS84 +lon_0={longitude} +lat_0={latitude} +h_0={altitude}"
    )
    rows = np.asarray(places, float).reshape(-1, 3)
    return np.stack(transformer.transform(rows[:, 1], rows[:, 0], rows[:, 2]), axis=1)


def middle_of(places: ArrayLike) -> tuple[float, float, float]:
    """Median latitude, longitude, altitude of rows (N, 3), also on both sides of longitude 180.

    Altitudes that are NaN take no part; 0 where there is none.
    """
    rows = np.asarray(places, float)
    first = rows[0, 1]
    longitude = first + np.median((rows[:, 1] - first + 180) % 360 - 180)
    heights = rows[np.isfinite(rows[:, 2]), 2]
    altitude = float(np.median(heights)) if len(heights) else 0.0
    return float(np.median(rows[:, 0])), float((longitude + 180) % 360 - 180), altitude


def utm_epsg(latitude: float, longitude: float) -> tuple[int, float, float]:
    """The EPSG code of the UTM zone (WGS84) of a place, and its easting and northing there in metres."""
    from pyproj import Transformer

    zone = min(int((longitude + 180) // 6) + 1, 60)
    epsg = (32600 if latitude >= 0 else 32700) + zone
    to_zone = Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True)
    easting, northing = to_zone.transform(longitude, latitude)
    return epsg, float(easting), float(northing)


def fit_sim3(source: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> Sim3:
    """Least-squares similarity from `source` (N, 3) to `target` (N, 3).

    Method: Umeyama, "Least-squares estimation of transformation parameters between two point
    patterns", PAMI 1991. Raises ValueError when the source points coincide.
    """
    a, b = np.asarray(source, float), np.asarray(target, float)
    w = np.ones(len(a)) if weights is None else np.asarray(weights, float)
    w = w / w.sum()
    centre_a, centre_b = w @ a, w @ b
    a0, b0 = a - centre_a, b - centre_b
    u, d, vt = np.linalg.svd((b0 * w[:, None]).T @ a0)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0])
    rotation = (u * sign) @ vt
    variance = float(w @ (a0**2).sum(axis=1))
    if variance < 1e-18:
        raise ValueError("the source points coincide")
    scale = float(d @ sign) / variance
    return Sim3(scale, rotation, centre_b - scale * rotation @ centre_a)


def fit_sim3_upright(source: ArrayLike, target: ArrayLike) -> Sim3:
    """Least-squares similarity that turns about Z only: GPS cannot tell the tilt of a straight walk.

    Raises ValueError when the source points coincide on the ground plane.
    """
    a, b = np.asarray(source, float), np.asarray(target, float)
    centre_a, centre_b = a.mean(axis=0), b.mean(axis=0)
    a0, b0 = (a - centre_a)[:, :2] @ [1, 1j], (b - centre_b)[:, :2] @ [1, 1j]
    power = float((np.abs(a0) ** 2).sum())
    if power < 1e-18:
        raise ValueError("the source points coincide")
    turn = complex((b0 * a0.conj()).sum() / power)
    scale = max(abs(turn), 1e-12)
    c, s = turn.real / scale, turn.imag / scale
    rotation = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return Sim3(scale, rotation, centre_b - scale * rotation @ centre_a)


@dataclass(frozen=True)
class RobustFit:
    """A similarity with the points that agree with it: inliers (N,) bool, residuals (N, 3) metres."""

    sim3: Sim3
    inliers: NDArray[np.bool_]
    residuals: Array
    upright: bool


def robust_sim3(
    source: Array, target: Array, *, upright: bool = False, floor: float = 0.5, seed: int = 0
) -> RobustFit | None:
    """Similarity from `source` to `target` (N, 3) that ignores up to half of wrong points.

    Least median of squares over minimal samples, then least squares on the points within three
    robust standard deviations (at least `floor` target units), repeated until they are stable.
    None when no sample gives a similarity or fewer than four points agree.
    """
    size = 2 if upright else 3
    fit = fit_sim3_upright if upright else fit_sim3
    best: tuple[float, Sim3] | None = None
    for sample in samples(len(source), size, 1000, seed):
        try:
            candidate = fit(source[sample], target[sample])
        except ValueError:
            continue
        middle = float(np.median(_distance(candidate, source, target)))
        if best is None or middle < best[0]:
            best = (middle, candidate)
    if best is None:
        return None
    sim3 = best[1]
    limit = max(3 * 1.4826 * best[0], floor)
    inliers = _distance(sim3, source, target) <= limit
    for _ in range(10):
        if inliers.sum() < 4:
            return None
        sim3 = fit(source[inliers], target[inliers])
        again = _distance(sim3, source, target) <= limit
        if (again == inliers).all():
            break
        inliers = again
    return RobustFit(sim3, inliers, sim3.apply(source) - target, upright)


def robust_sim3_on_the_ground(source: Array, target: Array, seed: int = 0) -> RobustFit | None:
    """As `robust_sim3` about the vertical, where the heights of `target` mean nothing.

    Only places on the ground decide and are judged; the heights meet in their medians.
    """
    flat = np.array([1.0, 1.0, 0.0])
    fit = robust_sim3(source * flat, target * flat, upright=True, seed=seed)
    if fit is None:
        return None
    lift = np.median(target[:, 2]) - fit.sim3.scale * np.median(source[:, 2])
    sim3 = Sim3(fit.sim3.scale, fit.sim3.rotation, fit.sim3.translation * flat + [0.0, 0.0, lift])
    return RobustFit(sim3, fit.inliers, sim3.apply(source) - target, True)


def up_from_cameras(rotations: ArrayLike) -> Array:
    """The world's up direction (3,) from world-to-camera rotations (N, 3, 3), x right, y down.

    People hold cameras level: the cameras' x axes lie in the ground plane whatever they look at, so
    up is what is most nearly perpendicular to all of them (reweighted, so that a few tilted
    photos do not matter). When the x axes hardly spread (all photos from one side), that is
    undefined and the mean camera up decides. The sign comes from the cameras' own up, or, when
    they look straight down, from the viewing direction.
    """
    r = np.asarray(rotations, float)
    right, down, forward = r[:, 0], r[:, 1], r[:, 2]
    mean_up = -down.mean(axis=0)
    weights = np.ones(len(r))
    up = mean_up
    for _ in range(20):
        values, vectors = np.linalg.eigh((right * weights[:, None]).T @ right / weights.sum())
        if values[1] < 0.02:
            up = mean_up if np.linalg.norm(mean_up) > 1e-9 else vectors[:, 0]
            break
        up = vectors[:, 0]
        weights = 1.0 / np.maximum(np.abs(right @ up), 0.02)
    up = up / np.linalg.norm(up)
    hint = mean_up @ up if abs(mean_up @ up) > 0.2 else -(forward.mean(axis=0) @ up)
    found: Array = -up if hint < 0 else up
    return found


def rotation_to_z(up: ArrayLike) -> Array:
    """A rotation (3, 3) that turns the direction `up` (3,) to +Z, the smallest one when `up` points up."""
    a = np.asarray(up, float) / np.linalg.norm(up)
    # Past the horizon the formula loses digits: half a turn about x first brings `up` above it.
    flip = np.diag([1.0, -1.0, -1.0]) if a[2] < 0 else np.eye(3)
    a = flip @ a
    v = np.array([a[1], -a[0], 0.0])  # a x z
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    found: Array = (np.eye(3) + k + k @ k / (1 + a[2])) @ flip
    return found


def _distance(sim3: Sim3, source: Array, target: Array) -> Array:
    found: Array = np.linalg.norm(sim3.apply(source) - target, axis=1)
    return found


def samples(count: int, size: int, most: int, seed: int) -> list[list[int]]:
    """All subsets of `size` when there are few, else `most` random ones."""
    if count <= 18:
        return [list(chosen) for chosen in combinations(range(count), size)][: 4 * most]
    generator = np.random.default_rng(seed)
    return [list(generator.choice(count, size, replace=False)) for _ in range(most)]
