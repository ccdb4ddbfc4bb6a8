"""GPS and the model: whether they agree, how well, and how much weight each position gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pycolmap

from scripts.lib.contracts.georef import Georef
from scripts.lib.contracts.photos import Photo
from scripts.lib.core.geo import (
    Array,
    RobustFit,
    Sim3,
    enu_from_geodetic,
    middle_of,
    robust_sim3,
    robust_sim3_on_the_ground,
)
from scripts.lib.sfm.adjust import Prior
from scripts.lib.sfm.uncertainty import fitted_frame

MIN_GPS_PHOTOS = 4
# Consumer GPS repeats within a metre or two: less movement than this says nothing.
MIN_SPREAD_M = 3.0
MIN_AGREEING = 0.6
MAX_RMSE_OF_SPREAD = 0.25
# Positions that scatter more still tell the scale where they are many: to this share, in 95 of 100 cases.
MAX_LENGTH_ERROR = 0.15
# The cameras' up is wrong when positions fit by so much better without it.
WRONG_UP = 1.5
# Heights of consumer GPS are right to ten metres or two; beyond that, and three times worse than across, they
# are something else.
HEIGHT_M, HEIGHT_OF_ACROSS = 20.0, 3.0
# Some drones write height 0 into a part of the photos. One such photo is an outlier as any other; from this
# share on the robust fit could take them for the rule. At a coast 0 may be true: it has to lie apart.
ZEROS, ZEROS_APART, ZEROS_APART_M = 0.15, 5.0, 25.0
UNKNOWN_M = 1e4  # standard deviation of a height that is not known

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Located:
    """Photos of the model with a position: names, local metres (N, 3) from `origin` (WGS84), and which
    of them tell their height; the others stand at the usual one."""

    names: list[str]
    origin: tuple[float, float, float]
    target: Array
    accuracy: list[tuple[float | None, float | None]]  # what the receiver claims, metres
    heights: Flags
    notes: list[str]  # sentences for the user


@dataclass(frozen=True)
class GpsFit:
    """A similarity to local metres, or None; in both cases the reason."""

    sim3: Sim3 | None
    reason: str
    inliers: list[bool]
    heights: bool = True  # whether the heights agree with the poses
    upright: bool = False  # whether the positions lie along a line, so that the model's up was kept
    notes: tuple[str, ...] = ()


def no_gps(use_gps: bool) -> GpsFit:
    """The answer when no registered photo has a position, or GPS is switched off."""
    reason = (
        f"0 registered photos have GPS; {MIN_GPS_PHOTOS} are needed"
        if use_gps
        else "GPS is switched off"
    )
    return GpsFit(None, reason, [])


def find_located(model: pycolmap.Reconstruction, photos: Sequence[Photo]) -> Located | None:
    """Registered photos with a position; None when there is none."""
    having_pose = {image.name for image in registered(model)}
    having = [
        photo
        for photo in photos
        if photo.file in having_pose
        and _finite(photo.latitude) is not None
        and _finite(photo.longitude) is not None
    ]
    if not having:
        return None
    altitudes = np.array([_finite(p.altitude) for p in having], float)  # NaN where there is none
    zeros = _zero_heights(altitudes)
    heights = np.where(zeros, np.nan, altitudes)
    ground = np.array([(p.latitude, p.longitude) for p in having], float)
    rows = np.column_stack([ground, heights])
    origin = middle_of(rows)
    known = np.isfinite(heights)
    rows[~known, 2] = origin[2]
    claims = [(_finite(p.accuracy_horizontal_m), _finite(p.accuracy_vertical_m)) for p in having]
    notes = []
    if zeros.any():
        notes.append(
            f"{int(zeros.sum())} of {len(having)} photos have a height of 0 m, the others {origin[2]:.0f} m: "
            "the zeros are treated as unknown."
        )
    names = [str(p.file) for p in having]
    target = enu_from_geodetic([tuple(row) for row in rows], origin)
    return Located(names, origin, target, claims, known, notes)


def _finite(value: float | None) -> float | None:
    """A number that is one; NaN and infinity come from tables that others wrote."""
    return float(value) if value is not None and np.isfinite(value) else None


def _zero_heights(altitudes: Array) -> Flags:
    """Which heights (N,) are 0 for want of a better one."""
    zero = altitudes == 0.0
    others = altitudes[np.isfinite(altitudes) & ~zero]
    if not len(others) or zero.sum() < max(2, ZEROS * np.isfinite(altitudes).sum()):
        return np.zeros(len(altitudes), bool)
    usual = np.median(others)
    apart = max(ZEROS_APART * 1.4826 * np.median(np.abs(others - usual)), ZEROS_APART_M)
    return zero if abs(usual) > apart else np.zeros(len(altitudes), bool)


def fit_to_gps(model: pycolmap.Reconstruction, located: Located, level: Sim3) -> GpsFit:
    """Similarity from the levelled model to local metres, or None with the reason."""
    count = len(located.names)
    nothing = [False] * count

    def refused(reason: str) -> GpsFit:
        return GpsFit(None, reason, nothing)

    if count < MIN_GPS_PHOTOS:
        return refused(f"{count} registered photos have GPS; {MIN_GPS_PHOTOS} are needed")
    spread = float(np.sqrt(located.target[:, :2].var(axis=0).sum()))
    if spread < MIN_SPREAD_M:
        return refused(
            f"the GPS positions cover only {spread:.1f} m; {MIN_SPREAD_M:.0f} m are needed"
        )
    found = centres(model)
    source = level.apply([found[name] for name in located.names])
    fit, heights = _fit_with_heights(source, located)
    if fit is None:
        return refused("the GPS positions do not agree with the poses")
    agreeing = int(fit.inliers.sum())
    if agreeing < max(MIN_GPS_PHOTOS, MIN_AGREEING * count):
        return refused(f"only {agreeing} of {count} GPS positions agree with the poses")
    horizontal, _ = rms(fit.residuals[fit.inliers])
    notes = list(located.notes)
    if horizontal > MAX_RMSE_OF_SPREAD * spread:
        missed = f"GPS differs from the poses by {horizontal:.1f} m in a scene {spread:.1f} m wide"
        lengths = _lengths_within(fit, located, heights)
        if lengths is None or lengths > MAX_LENGTH_ERROR:
            return refused(missed)
        notes.append(f"{missed}: lengths are accurate only to {100 * lengths:.0f} %.")
    if not heights and located.heights.any():
        notes.append(
            "The GPS heights of the photos do not agree with the poses and are not used: lengths and north "
            "are correct, but the height above sea level is only approximate."
        )
    reason = f"{agreeing} of {count} GPS positions agree"
    inliers = fit.inliers.tolist()
    return GpsFit(fit.sim3, reason, inliers, heights, fit.upright, tuple(notes))


def _lengths_within(fit: RobustFit, located: Located, heights: bool) -> float | None:
    """The share to which lengths are right in 95 of 100 cases; None where the positions cannot tell."""
    good = fit.inliers
    misses = fit.residuals[good].copy()
    misses[~(located.heights & heights)[good], 2] = np.nan
    frame = fitted_frame(located.target[good] + fit.residuals[good], misses)
    return None if frame is None else frame.lengths_within


def _fit_with_heights(source: Array, located: Located) -> tuple[RobustFit | None, bool]:
    """The fit, and whether it uses heights: only those that are known, and only where they agree."""
    known, target = located.heights, located.target
    fit = _fit(source[known], target[known]) if known.sum() >= MIN_GPS_PHOTOS else None
    if fit is not None:
        across, up = rms(fit.residuals[fit.inliers])
        spread = float(np.sqrt(target[:, :2].var(axis=0).sum()))
        bad = up > max(HEIGHT_OF_ACROSS * across, MAX_RMSE_OF_SPREAD * spread, HEIGHT_M)
        if not bad and fit.inliers.sum() >= MIN_AGREEING * known.sum():
            return _judge_all(fit, source, located), True
    return robust_sim3_on_the_ground(source, target), False


def _judge_all(fit: RobustFit, source: Array, located: Located) -> RobustFit:
    """The same fit with all photos judged: those without a height by their position on the ground."""
    if located.heights.all():
        return fit
    residuals = fit.sim3.apply(source) - located.target
    across = np.linalg.norm(residuals[:, :2], axis=1)
    agreeing = across[located.heights][fit.inliers]
    limit = max(3 * 1.4826 * float(np.median(agreeing)), float(agreeing.max()), 0.5)
    inliers = across <= limit
    inliers[located.heights] = fit.inliers
    return RobustFit(fit.sim3, inliers, residuals, fit.upright)


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
    upright = robust_sim3(source, target, upright=True)
    if upright is None:
        return free
    # Positions that scatter leave the tilt open, unless the cameras' own up is plainly wrong.
    tilted = float(np.sqrt((upright.residuals[free.inliers] ** 2).sum(axis=1).mean()))
    return free if tilted > WRONG_UP * error else upright


def priors(model: pycolmap.Reconstruction, located: Located, gps: GpsFit) -> dict[str, Prior]:
    """Priors of the photos whose GPS agrees, as uncertain as they proved to be or claim, the larger.

    A receiver's claim leaves out antenna, shutter delay and datum; the misfit to a rigid model has
    all of them.
    """
    found = centres(model)
    misses = np.array([found[n] for n in located.names]) - located.target
    good = np.array(gps.inliers)
    known = located.heights & gps.heights
    horizontal, _ = rms(misses[good])
    vertical = rms(misses[good & known])[1] if (good & known).any() else UNKNOWN_M
    per_axis = 1 / np.sqrt(
        2
    )  # both the misfit and a receiver's claim are of the distance on the ground
    return {
        name: Prior(
            position,
            max(horizontal, claim[0] or 0.0) * per_axis,
            max(vertical, claim[1] or 0.0) if has_height else UNKNOWN_M,
        )
        for name, position, claim, agrees, has_height in zip(
            located.names, located.target, located.accuracy, gps.inliers, known, strict=True
        )
        if agrees
    }


def with_residuals(
    georef: Georef, model: pycolmap.Reconstruction, located: Located, gps: GpsFit, ground: float
) -> Georef:
    """`georef` with the RMSE of the finished model against the GPS that agrees.

    Against all of it, where surveyed points decided; vertical ones only of photos whose height is known and
    used.
    """
    found = centres(model)
    misses = np.array([found[n] for n in located.names]) - located.target + [0, 0, ground]
    good = np.array(gps.inliers) if any(gps.inliers) else np.ones(len(misses), bool)
    known = located.heights & gps.heights
    return replace(
        georef,
        rmse_horizontal_m=rms(misses[good])[0],
        rmse_vertical_m=rms(misses[good & known])[1] if (good & known).any() else None,
        residuals_m={
            name: (
                round(float(miss[0]), 3),
                round(float(miss[1]), 3),
                round(float(miss[2]), 3) if has_height else None,
            )
            for name, miss, has_height in zip(located.names, misses, known, strict=True)
        },
    )


def rms(residuals: Array) -> tuple[float, float]:
    """Root mean squares (across, up) of residuals (N, 3)."""
    squares = (residuals**2).mean(axis=0)
    return float(np.sqrt(squares[:2].sum())), float(np.sqrt(squares[2]))


def known_rms(residuals: Array) -> tuple[float, float | None]:
    """`rms` of residuals that are NaN up where a height is not known; None up where none is."""
    known = residuals[np.isfinite(residuals[:, 2])]
    return rms(np.nan_to_num(residuals))[0], rms(known)[1] if len(known) else None


def centres(model: pycolmap.Reconstruction) -> dict[str, Array]:
    """Camera centres (3,) of the registered photos by their names, in the model's frame."""
    return {image.name: image.projection_center() for image in registered(model)}


def registered(model: pycolmap.Reconstruction) -> list[pycolmap.Image]:
    """The registered photos in the order of COLMAP's numbers, which is the same each time."""
    return [model.image(number) for number in sorted(model.reg_image_ids())]
