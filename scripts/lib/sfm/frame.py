"""The model's final frame: east, north, up in metres when GPS or surveyed points agree, else Z up.

Without either the scale is that of the poses that came with the photos, or free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pycolmap

from scripts.lib.contracts.georef import Control, Georef, Matrix, Miss, Origin, Projected
from scripts.lib.contracts.photos import Photo, Sighting
from scripts.lib.contracts.sfm import Calibration
from scripts.lib.core.geo import Array, Sim3, utm_epsg
from scripts.lib.core.up import GivenUp
from scripts.lib.sfm.adjust import (
    Prior,
    adjust_with_positions,
    free_adjustment,
    position_adjustment,
    raise_again,
)
from scripts.lib.sfm.agreement import MIN_POINTS
from scripts.lib.sfm.calibration import calibrate
from scripts.lib.sfm.control import ControlFit, Reference, Survey, survey_fit
from scripts.lib.sfm.free_frame import Unit, ground_of, points_of, standing_frame
from scripts.lib.sfm.gps import (
    GpsFit,
    Located,
    centres,
    find_located,
    fit_to_gps,
    known_rms,
    no_gps,
    priors,
    rms,
    with_residuals,
)
from scripts.lib.sfm.gravity import level_frame
from scripts.lib.sfm.lens_prior import usual_cameras, with_usual_lenses
from scripts.lib.sfm.shared_lens import (
    SharedLens,
    is_shared,
    shared_lens_candidates,
    with_shared_lenses,
)
from scripts.lib.sfm.uncertainty import Frame, fitted_frame

# EPSG:4979 (WGS84, height in metres) is the origin's system; the frame is east, north, up there.
EPSG = 4979
STANDS = Sim3(1.0, np.eye(3), np.zeros(3))  # a model that is upright already


@dataclass(frozen=True)
class Aligned:
    """A model in its final frame, and georef.json's content.

    priors: positions that pulled it in the adjustment, in that frame; fitted: else the certainty of its fit
    to surveyed points or to GPS.
    """

    model: pycolmap.Reconstruction
    georef: Georef
    priors: dict[str, Prior] | None = None
    fitted: Frame | None = None


@dataclass(frozen=True)
class KeptLenses:
    """What the calibration found of lenses, and the adjustment after it keeps: pairs that share one, and
    cameras whose lens stands under a prior."""

    shared: Sequence[SharedLens] = ()
    usual: frozenset[int] = frozenset()


NOTHING_KEPT = KeptLenses()


def align_calibrated(
    model: pycolmap.Reconstruction,
    photos: Sequence[Photo],
    use_gps: bool = True,
    *,
    adjust: bool = False,
    gcps: Sequence[Sighting] = (),
    seed: int = 0,
    calibration: str | bool = "auto",
    up: GivenUp | None = None,
    unit: Unit | None = None,
) -> tuple[Aligned, Calibration | None]:
    """The model in its final frame with its lenses calibrated, and sfm.json's `calibration`.

    Surveyed points (`gcps` of photos.json) decide where there are three, else GPS, else `up`; `unit` then
    tells the scale, if it is known. With `adjust`,
    GPS positions take part in a last bundle adjustment, and in the calibration as well (see `calibrate`).
    What that changed is aligned once more, since lens and alignment depend on each other. The given model is
    transformed in place.
    """
    level = level_frame(model, photos, up)
    first = _aligned(model, photos, use_gps, adjust, gcps, seed, level, unit)
    if up is not None and first.georef.gravity != up.source and not first.georef.upright_only:
        note = f"map_scene.up is not used, because the {first.georef.gravity} already gives the up direction"
        first = replace(first, georef=replace(first.georef, notes=(*first.georef.notes, note)))
    priors = first.priors
    solve = position_adjustment(priors, seed) if priors else free_adjustment
    candidates = shared_lens_candidates(first.model, photos)
    calibrated, lenses = calibrate(first.model, solve, seed, calibration, priors, candidates)
    if calibrated is first.model:
        return first, lenses
    if priors and first.georef.upright_only:
        raise_again(calibrated, first.model, priors)
    # What was given holds in the mapper's frame, and is done.
    level = level_frame(calibrated, photos, None) if up is None else (STANDS, up.source)
    shared = [one for one in candidates if is_shared(calibrated, one)]
    kept = KeptLenses(shared, usual_cameras(lenses))
    metre = unit and replace(unit, metres=1.0)
    second = _aligned(calibrated, photos, use_gps, adjust, gcps, seed, level, metre, kept)
    # The mapper's frame is still the one that the matrices tell of.
    whole = np.array(second.georef.world_from_sfm) @ np.array(first.georef.world_from_sfm)
    scale = first.georef.scale * second.georef.scale
    notes = tuple(dict.fromkeys((*first.georef.notes, *second.georef.notes)))
    georef = replace(with_matrix(second.georef, scale, whole), notes=notes)
    return replace(second, georef=georef), lenses


def with_matrix(georef: Georef, scale: float, world_from_sfm: Array) -> Georef:
    """`georef` of a frame into which this matrix (4, 4) leads."""
    return replace(
        georef,
        scale=scale,
        world_from_sfm=_rows(world_from_sfm),
        sfm_from_world=_rows(np.asarray(np.linalg.inv(world_from_sfm), float)),
    )


def _rows(matrix: Array) -> Matrix:
    return cast(Matrix, tuple(map(tuple, matrix.tolist())))


def _aligned(
    model: pycolmap.Reconstruction,
    photos: Sequence[Photo],
    use_gps: bool,
    adjust: bool,
    gcps: Sequence[Sighting],
    seed: int,
    standing: tuple[Sim3, str],
    unit: Unit | None = None,
    kept: KeptLenses = NOTHING_KEPT,
) -> Aligned:
    """The model in its frame; `standing` turns Z up, and says what told it."""
    level, gravity = standing
    located = find_located(model, photos) if use_gps else None
    gps = fit_to_gps(model, located, level) if located else no_gps(use_gps)
    # Where surveyed points have no heights, GPS tells which way is up better than the cameras do.
    upright = gps.sim3.after(level) if gps.sim3 is not None else level
    names = list(zip(located.names, gps.inliers, strict=True)) if located and gps.sim3 else []
    survey = Survey(None, None)
    if gcps:
        survey = survey_fit(model, gcps, upright, _reference(model, located, gps, upright))
    control, origin = survey.fit, survey.origin
    if control is not None and located is not None and np.isnan(control.residuals[:, 2]).all():
        control = _at_height_of(located, control, upright, model)
    georef = Georef(
        georeferenced=False,
        reason=gps.reason,
        gravity=gravity,
        scale=1.0,
        world_from_sfm=_rows(np.eye(4)),
        gps_photos=len(located.names) if located else 0,
        upright_only=gps.upright if gps.sim3 else None,
        heights_used=gps.heights if gps.sim3 else None,
        inliers=tuple(name for name, agrees in names if agrees),
        outliers=tuple(name for name, agrees in names if not agrees),
        notes=(*survey.notes, *gps.notes),
    )
    if control is not None:
        aligned = control.sim3.after(upright)
        reason = f"{len(control.labels)} surveyed points"
    elif gps.sim3 is not None and located is not None:
        aligned, origin, reason = gps.sim3.after(level), located.origin, gps.reason
    else:
        aligned = standing_frame(model, level, unit)
        model.transform(pycolmap.Sim3d(aligned.matrix()[:3]))
        if unit is not None:
            georef = replace(georef, units="metres", scale_from=unit.source)
        return Aligned(model, with_matrix(georef, aligned.scale, aligned.matrix()))
    model.transform(pycolmap.Sim3d(aligned.matrix()[:3]))
    adjustment, pulling = None, None
    if adjust and control is None and located is not None:
        given = priors(model, located, gps)
        solve = position_adjustment(given, seed)
        if kept.usual:
            solve = with_usual_lenses(solve, kept.usual, given)
        solve = with_shared_lenses(solve, kept.shared)
        model, adjustment = adjust_with_positions(model, given, solve, upright=gps.upright)
        pulling = given if adjustment.used else None
    ground = ground_of(points_of(model))
    model.transform(pycolmap.Sim3d(1.0, pycolmap.Rotation3d(), np.array([0.0, 0.0, -ground])))
    lowered = Sim3(aligned.scale, aligned.rotation, aligned.translation - [0.0, 0.0, ground])
    assert origin is not None  # both ways to get here set it
    at_ground = (origin[0], origin[1], origin[2] + ground)
    if located is not None:
        georef = with_residuals(georef, model, located, gps, ground)
    georef = replace(
        with_matrix(_on_earth(georef, at_ground), lowered.scale, lowered.matrix()),
        reason=reason,
        gravity=_gravity(control, gps, gravity),
        gcp=_told(control),
        adjustment=adjustment,
    )
    lowering = np.array([0.0, 0.0, ground])
    moved = {n: replace(p, position=p.position - lowering) for n, p in (pulling or {}).items()}
    return Aligned(
        model, georef, moved or None, None if moved else _fitted(control, gps, located, model)
    )


def _fitted(
    control: ControlFit | None,
    gps: GpsFit,
    located: Located | None,
    model: pycolmap.Reconstruction,
) -> Frame | None:
    """The certainty of the fit that aligned the model; None where it cannot be told."""
    if control is not None:
        return fitted_frame(control.points, control.residuals)
    if located is None:
        return None
    found = centres(model)
    good = np.array(gps.inliers)
    positions = np.array([found[name] for name in located.names])[good]
    misses = positions - located.target[good]
    # The model was lowered to the ground since; that is no misfit.
    known = (located.heights & gps.heights)[good]
    misses[:, 2] -= np.median(misses[known, 2]) if known.any() else 0.0
    misses[~known, 2] = np.nan
    return fitted_frame(positions, misses)


def _on_earth(georef: Georef, where: tuple[float, float, float]) -> Georef:
    """`georef` with its origin at this position, in WGS84 and in the UTM zone it lies in.

    The position was moved to the ground with the model; its vertical datum is the camera's own.
    """
    latitude, longitude, altitude = (float(value) for value in where)
    return replace(
        georef,
        georeferenced=True,
        epsg=EPSG,
        crs="WGS84 (EPSG:4979); local axes east, north, up at the origin",
        origin=Origin(latitude, longitude, altitude),
        projected=Projected(*utm_epsg(latitude, longitude)),
        units="metres",
        frame="east, north, up",
    )


def _reference(
    model: pycolmap.Reconstruction, located: Located | None, gps: GpsFit, aligned: Sim3
) -> Reference | None:
    """What GPS says of scale and position, to judge a survey by; None where GPS was refused."""
    if located is None or gps.sim3 is None:
        return None
    found = centres(model)
    good = np.array(gps.inliers)
    misses = aligned.apply([found[name] for name in located.names]) - located.target
    spread = float(np.sqrt(located.target[good, :2].var(axis=0).sum()))
    return Reference(located.origin, rms(misses[good])[0], spread, gps.heights)


def _at_height_of(
    located: Located, fit: ControlFit, level: Sim3, model: pycolmap.Reconstruction
) -> ControlFit:
    """The fit to points without heights, raised to where GPS has the photos."""
    found = centres(model)
    aligned = fit.sim3.apply(level.apply([found[name] for name in located.names]))
    lift = float(np.median(located.target[:, 2] - aligned[:, 2]))
    raised = Sim3(fit.sim3.scale, fit.sim3.rotation, fit.sim3.translation + [0.0, 0.0, lift])
    return replace(fit, sim3=raised)


def _told(control: ControlFit | None) -> Control | None:
    """Surveyed points for the report: how well they fit, and how well each is met without itself."""
    if control is None:
        return None
    left_out = {label: _rounded(row) for label, row in control.wrong.items()}
    told = Control(tuple(control.labels), *known_rms(control.residuals), None, None, None, left_out)
    if control.check is None:
        return told
    across, up = known_rms(control.check)
    misses = zip(control.labels, control.check, strict=True)
    return replace(
        told,
        check_rmse_horizontal_m=across,
        check_rmse_vertical_m=up,
        check_residuals_m={label: _rounded(row) for label, row in misses} | left_out,
    )


def _rounded(residual: Array) -> Miss:
    """A residual in whole millimetres; None where a height is not known."""
    east, north, up = (round(float(v), 3) for v in residual)
    return east, north, up if np.isfinite(up) else None


def _gravity(control: ControlFit | None, gps: GpsFit, seen: str) -> str:
    """What told which way is up: surveyed heights where there are three, else GPS, else the cameras."""
    if control is not None and np.isfinite(control.residuals[:, 2]).sum() >= MIN_POINTS:
        return "survey"
    return "GPS" if gps.sim3 is not None else seen
