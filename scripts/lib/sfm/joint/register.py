"""Two finished captures into one frame: match, fit, check, and tell how well they meet."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pycolmap

from scripts.lib.contracts.georef import Georef, Matrix
from scripts.lib.contracts.record import read
from scripts.lib.contracts.registration import Registration, Spread
from scripts.lib.core.console import UserError
from scripts.lib.core.files import scratch_folder
from scripts.lib.core.geo import Array, Sim3, enu_from_geodetic
from scripts.lib.core.quantities import length_text
from scripts.lib.sfm.joint.cross import Capture, Common, match_captures
from scripts.lib.sfm.joint.fit import Fit, fit_captures
from scripts.lib.sfm.options import MatchOptions, RegisterOptions
from scripts.lib.sfm.projection import seen_by

NORMAL_95 = 1.96  # standard deviations
UNEVEN = 3.0  # times the captures' own residual, from which on their shapes are not the same
GPS_APART_M = 0.5


@dataclass(frozen=True)
class CaptureFiles:
    """What a finished scene has: its name, sparse/, features.db, georef.json."""

    scene: str
    sparse: Path
    database: Path
    georef: Path


def register_captures(
    reference: CaptureFiles,
    scene: CaptureFiles,
    options: RegisterOptions,
    matching: MatchOptions,
    scratch: Path,
    threads: int,
) -> Registration:
    """registration.json of `scene` in the frame of `reference`; `scratch` is a folder for temporary files.

    Raises UserError when the two have too little in common, or the scale between them cannot be told.
    """
    began = time.monotonic()
    first, second = (Capture(one.scene, _model(one), one.database) for one in (reference, scene))
    with scratch_folder(scratch, "joint") as folder:
        common = match_captures(
            first, second, folder, matching, options.exhaustive_pairs, options.neighbours, threads
        )
    fit = fit_captures(common.reference, common.other, options.seed)
    fit = required(fit, common, reference.scene, scene.scene, options)
    frames = read(Georef, reference.georef), read(Georef, scene.georef)
    metres = _metres(*frames, fit.sim3)
    apart = _gps_apart(*frames, fit.sim3, second)
    rows = fit.pairs[fit.agree]
    away = np.linalg.norm(
        fit.sim3.apply(common.other.xyz[rows]) - common.reference.xyz[rows], axis=1
    )
    deviation = np.sqrt(np.diag(fit.covariance))
    limit = fit.error_px[:, rows].max()
    shown = common.photos[fit.error_px.max(axis=0) <= limit]  # False where a point is not known
    near = [len(np.unique(column)) for column in shown.T]
    own = float(np.median([_own_px(capture.model) for capture in (first, second)]))
    spread = _spread(fit.error_px[fit.error_px <= limit])
    return Registration(
        scene=scene.scene,
        reference=reference.scene,
        reference_from_scene=matrix_rows(fit.sim3),
        scale=float(fit.sim3.scale),
        photos=len(second.images),
        reference_photos=len(first.images),
        pairs=common.tried,
        verified=common.verified,
        matches=len(common.photos),
        points=len(fit.pairs),
        common=int(fit.agree.sum()),
        seen_in=near[1],
        reference_seen_in=near[0],
        residual_px=spread,
        own_px=own,
        residual=_spread(away),
        residual_m=_spread(away * metres) if metres else None,
        metres=metres,
        scale_within_95_percent=float(100 * NORMAL_95 * deviation[0]),
        turn_within_95_deg=float(np.degrees(NORMAL_95 * deviation[1:4].max())),
        gps_apart_m=apart,
        seconds=time.monotonic() - began,
        device=common.device,
        notes=tuple(_notes(spread.median, own, apart)),
    )


def matrix_rows(sim3: Sim3) -> Matrix:
    """The 4 x 4 matrix of a similarity as the JSON files have it."""
    one, two, three, four = (
        (float(a), float(b), float(c), float(d)) for a, b, c, d in sim3.matrix().tolist()
    )
    return one, two, three, four


def sentence(found: Registration) -> str:
    """How the two captures meet, for the log and the report."""
    metric = f", {length_text(found.residual_m.median)}" if found.residual_m else ""
    return (
        f"{found.scene} is in the frame of {found.reference} by {found.common} common points in"
        f" {found.seen_in} and {found.reference_seen_in} photos: they meet to"
        f" {found.residual_px.median:.2f} px{metric} (median)"
    )


def _model(files: CaptureFiles) -> pycolmap.Reconstruction:
    try:
        return pycolmap.Reconstruction(str(files.sparse))
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"{files.sparse} holds no COLMAP model ({error}); run map_scene for {files.scene} again"
        ) from None


def required(
    fit: Fit | None, common: Common, reference: str, scene: str, options: RegisterOptions
) -> Fit:
    """The fit, if it can be relied on. Raises UserError otherwise."""
    found = int(fit.agree.sum()) if fit else 0
    if fit is None or found < options.least_common:
        raise UserError(
            f"scenes {scene!r} and {reference!r} have only {found} points in common"
            f" ({len(common.photos)} matches in {common.verified} of {common.tried} pairs of photos), and"
            f" {options.least_common} are needed: take photos of the second capture from places and in light"
            " like those of the first, or take same_place_as out of the sheet"
        )
    percent = float(100 * NORMAL_95 * np.sqrt(fit.covariance[0, 0]))
    if not percent <= options.most_scale_percent:
        raise UserError(
            f"the scale between scenes {scene!r} and {reference!r} cannot be told: their {found} common"
            f" points leave it uncertain by {percent:.1f} % (most_scale_percent is"
            f" {options.most_scale_percent:g}); both captures must show more of the same, from several sides"
        )
    return fit


def _spread(values: Array) -> Spread:
    return Spread(float(np.median(values)), float(np.percentile(values, 90)))


def _own_px(model: pycolmap.Reconstruction) -> float:
    """Median residual of a model's own sightings, pixels."""
    seen = seen_by(model)
    return float(np.median(np.linalg.norm(seen.residual[seen.usable()], axis=1)))


def _metres(reference: Georef, scene: Georef, sim3: Sim3) -> float | None:
    """Metres in a unit of the reference: its own, or the scene's; None where neither knows."""
    if reference.metric:
        return 1.0
    return 1 / sim3.scale if scene.metric else None


def _gps_apart(reference: Georef, scene: Georef, sim3: Sim3, capture: Capture) -> float | None:
    """How far apart on the ground GPS has the scene's cameras from where the similarity puts them, metres.

    None unless both are georeferenced. Frames some kilometres apart hardly differ in their axes.
    """
    if not (reference.georeferenced and scene.georeferenced and reference.origin and scene.origin):
        return None
    origins = [(o.latitude, o.longitude, o.altitude) for o in (reference.origin, scene.origin)]
    shift = enu_from_geodetic(origins[1:], origins[0])[0]
    model = capture.model
    centres = [model.image(number).projection_center() for number in capture.images.values()]
    middle = np.mean(centres, axis=0)
    return float(np.linalg.norm((sim3.apply(middle[None])[0] - middle - shift)[:2]))


def _notes(residual: float, own: float, apart: float | None) -> list[str]:
    notes = []
    if residual > UNEVEN * own:
        notes.append(
            f"the two captures meet to {residual:.1f} px only, and each fits its own photos to {own:.1f} px:"
            " one of them is bent, so small differences near its edges may be no changes"
        )
    if apart is not None and apart > GPS_APART_M:
        notes.append(
            f"by their GPS alone, the two captures would lie {apart:.1f} m apart; the photos brought them"
            " together"
        )
    return notes
