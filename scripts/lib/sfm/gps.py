"""GPS and the model: whether they agree, how well, and how hard each position may pull."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pycolmap

from scripts.lib.geo import Array, RobustFit, Sim3, enu_from_geodetic, robust_sim3
from scripts.lib.sfm.adjust import Prior

MIN_GPS_PHOTOS = 4
# Consumer GPS repeats within a metre or two: less movement than this says nothing.
MIN_SPREAD_M = 3.0
MIN_AGREEING = 0.6
MAX_RMSE_OF_SPREAD = 0.25


@dataclass(frozen=True)
class Located:
    """Photos of the model with a position: names, WGS84 rows (N, 3), local metres (N, 3) from `origin`."""

    names: list[str]
    origin: tuple[float, float, float]
    target: Array
    accuracy: list[tuple[float | None, float | None]]  # what the receiver claims, metres


@dataclass(frozen=True)
class Verdict:
    """A similarity to local metres, or None; in both cases the reason and the facts for the report."""

    sim3: Sim3 | None
    facts: dict[str, Any]
    inliers: list[bool]


def no_gps(use_gps: bool) -> dict[str, Any]:
    reason = (
        f"0 registered photos have GPS, {MIN_GPS_PHOTOS} are needed"
        if use_gps
        else "GPS is switched off"
    )
    return {"gps_photos": 0, "reason": reason}


def find_located(
    model: pycolmap.Reconstruction, photos: Sequence[dict[str, Any]]
) -> Located | None:
    """Registered photos with a position; None when there is none."""
    placed = {image.name for image in registered(model)}
    having = [p for p in photos if p["file"] in placed and p.get("latitude") is not None]
    if not having:
        return None
    heights = [p["altitude"] for p in having if p.get("altitude") is not None]
    usual = float(np.median(heights)) if heights else 0.0
    rows = [
        (p["latitude"], p["longitude"], usual if p.get("altitude") is None else p["altitude"])
        for p in having
    ]
    middle = np.median(rows, axis=0)
    origin = (float(middle[0]), float(middle[1]), float(middle[2]))
    claims = [(p.get("accuracy_horizontal_m"), p.get("accuracy_vertical_m")) for p in having]
    names = [str(p["file"]) for p in having]
    return Located(names, origin, enu_from_geodetic(rows, origin), claims)


def fit_to_gps(model: pycolmap.Reconstruction, located: Located, level: Sim3) -> Verdict:
    """Similarity from the levelled model to local metres, or None with the reason."""
    count = len(located.names)
    facts: dict[str, Any] = {"gps_photos": count}
    nothing = [False] * count

    def refused(reason: str) -> Verdict:
        return Verdict(None, {**facts, "reason": reason}, nothing)

    if count < MIN_GPS_PHOTOS:
        return refused(f"{count} registered photos have GPS, {MIN_GPS_PHOTOS} are needed")
    spread = float(np.sqrt(located.target[:, :2].var(axis=0).sum()))
    if spread < MIN_SPREAD_M:
        return refused(
            f"the GPS positions spread over {spread:.1f} m only, {MIN_SPREAD_M:.0f} m are needed"
        )
    found = centres(model)
    fit = _fit(level.apply([found[name] for name in located.names]), located.target)
    if fit is None:
        return refused("the GPS positions do not agree with the poses")
    agreeing = int(fit.inliers.sum())
    if agreeing < max(MIN_GPS_PHOTOS, MIN_AGREEING * count):
        return refused(f"only {agreeing} of {count} GPS positions agree with the poses")
    horizontal, _ = rms(fit.residuals[fit.inliers])
    if horizontal > MAX_RMSE_OF_SPREAD * spread:
        return refused(f"GPS misses the poses by {horizontal:.1f} m in a scene {spread:.1f} m wide")
    facts.update(
        reason=f"{agreeing} of {count} GPS positions agree",
        upright_only=fit.upright,
        inliers=[n for n, good in zip(located.names, fit.inliers, strict=True) if good],
        outliers=[n for n, good in zip(located.names, fit.inliers, strict=True) if not good],
    )
    return Verdict(fit.sim3, facts, fit.inliers.tolist())


def _fit(source: Array, target: Array) -> RobustFit | None:
    """A free similarity when the cameras span an area that GPS resolves, else one about the vertical."""
    free = robust_sim3(source, target)
    if free is None:
        return robust_sim3(source, target, upright=True)
    across = np.linalg.svd(
        target[free.inliers] - target[free.inliers].mean(axis=0), compute_uv=False
    )[1] / np.sqrt(free.inliers.sum())
    error = float(np.sqrt((free.residuals[free.inliers] ** 2).sum(axis=1).mean()))
    if across > max(2.0, 4.0 * error):
        return free
    return robust_sim3(source, target, upright=True) or free


def priors(model: pycolmap.Reconstruction, located: Located, gps: Verdict) -> dict[str, Prior]:
    """Priors of the photos whose GPS agrees, as uncertain as they proved to be or claim, the larger.

    A receiver's claim leaves out antenna, shutter delay and datum; the misfit to a rigid model has
    all of them.
    """
    found = centres(model)
    misses = np.array([found[n] for n in located.names]) - located.target
    good = np.array(gps.inliers)
    horizontal, vertical = rms(misses[good])
    horizontal /= np.sqrt(2)  # per axis
    return {
        name: Prior(place, max(horizontal, claim[0] or 0.0), max(vertical, claim[1] or 0.0))
        for name, place, claim, agrees in zip(
            located.names, located.target, located.accuracy, gps.inliers, strict=True
        )
        if agrees
    }


def residuals(
    model: pycolmap.Reconstruction, located: Located, inliers: list[bool], ground: float
) -> dict[str, Any]:
    """RMSE of the finished model against the GPS that agrees (all of it, where surveyed points decided)."""
    found = centres(model)
    misses = np.array([found[n] for n in located.names]) - located.target + [0, 0, ground]
    good = np.array(inliers) if any(inliers) else np.ones(len(misses), bool)
    horizontal, vertical = rms(misses[good])
    return {
        "rmse_horizontal_m": horizontal,
        "rmse_vertical_m": vertical,
        "residuals_m": {
            name: [round(float(v), 3) for v in miss]
            for name, miss in zip(located.names, misses, strict=True)
        },
    }


def rms(residuals: Array) -> tuple[float, float]:
    """Root mean squares (across, up) of residuals (N, 3)."""
    squares = (residuals**2).mean(axis=0)
    return float(np.sqrt(squares[:2].sum())), float(np.sqrt(squares[2]))


def centres(model: pycolmap.Reconstruction) -> dict[str, Array]:
    return {image.name: image.projection_center() for image in registered(model)}


def registered(model: pycolmap.Reconstruction) -> list[pycolmap.Image]:
    return [model.image(number) for number in sorted(model.reg_image_ids())]
