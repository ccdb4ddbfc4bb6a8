"""Photos with lenses of their own: a focal length that breathes, a picture that a stabiliser moves.

Each photo gets its own camera: the shared one with its focal length scaled and its principal point
moved, as far as the photo insists against a prior that holds both near the shared ones. The rest of the
lens stays shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pycolmap

from scripts.lib.contracts.georef import Georef, Miss
from scripts.lib.contracts.photos import Photo
from scripts.lib.contracts.sfm import Residuals
from scripts.lib.core.geo import Array
from scripts.lib.sfm.adjust import Adjust, free_adjustment, onto, position_adjustment, raise_again
from scripts.lib.sfm.frame import Aligned
from scripts.lib.sfm.gps import centres, known_rms
from scripts.lib.sfm.lenses import free_parameters
from scripts.lib.sfm.linearised import Motion, Sightings, sightings, solve_step
from scripts.lib.sfm.projection import lens_jacobian
from scripts.lib.sfm.residuals import LENS_DEVIATION, look_into_residuals, picture_motions, sentence
from scripts.lib.sfm.tables import Rows, add_points

CORRECTED = {"breathing": "focal", "stabilised": "shift"}  # what a lens of its own can take in
STEPS = 2  # of lenses, with an adjustment of poses and points after each; a third changes little


def correct_lenses(
    aligned: Aligned, photos: Sequence[Photo], seed: int = 0, *, allowed: bool = True
) -> tuple[Aligned, Residuals]:
    """The finished model with what its residuals show taken in where lenses can do that, and sfm.json's
    `residuals`.

    The model stays in its frame: positions from GPS pull as they did before, and its georef tells how they
    are missed now. Unless `allowed`, residuals are looked into and lenses stay. The given model is not
    changed; `aligned` comes back where nothing is found or gained.
    """
    model = aligned.model
    report = look_into_residuals(model, photos, seed)
    found = [finding for finding in report.findings if finding in CORRECTED]
    if not found or not allowed:
        return aligned, report
    priors = aligned.priors
    solve = position_adjustment(priors, seed) if priors else free_adjustment
    corrected = own_lenses(model, [CORRECTED[finding] for finding in found], solve)
    if corrected is None:
        return aligned, report
    before, after = _error(model), float(corrected.compute_mean_reprojection_error())
    if after >= before:
        return aligned, report
    if not priors:
        corrected.transform(onto(corrected, model))
    elif aligned.georef.upright_only:
        raise_again(corrected, model, priors)
    georef = _missed(aligned.georef, centres(model), centres(corrected))
    report = replace(
        report,
        corrected=tuple(found),
        reprojection_before_px=round(before, 4),
        reprojection_after_px=round(after, 4),
    )
    report = replace(report, sentence=sentence(report, photos))
    return replace(aligned, model=corrected, georef=georef), report


def own_lenses(
    model: pycolmap.Reconstruction,
    wanted: Sequence[str],
    adjust: Adjust = free_adjustment,
) -> pycolmap.Reconstruction | None:
    """The model with a camera for each photo, adjusted; None when that has no solution.

    wanted: `focal`, `shift` or both. What all photos of a camera have in common stays in the shared lens.
    """
    images = sorted(model.reg_image_ids())
    cameras = sorted({model.image(n).camera_id for n in images})
    groups = np.array([cameras.index(model.image(n).camera_id) for n in images])
    shared = {n: pycolmap.Camera(model.cameras[n].todict()) for n in cameras}
    result = with_own_cameras(model)
    total: dict[str, Array] = {}
    for _ in range(STEPS):
        seen = sightings(result)
        motions = picture_motions(seen)
        # The prior is about the shared lens, so what was found before pulls back.
        step = solve_step(
            seen,
            [*(motions[name] for name in wanted), _lens_motion(result, seen, groups)],
            start=[total.get(name) for name in wanted],
        )
        for name, numbers in zip(wanted, step.numbers, strict=False):
            whole = numbers + total.get(name, 0.0)
            for group in range(len(cameras)):
                # What photos have in common belongs to the shared lens, which knows it already.
                whole[groups == group] -= np.median(whole[groups == group], axis=0)
            total[name] = whole
        for camera, change in zip(cameras, step.numbers[-1], strict=True):
            moved = np.array(shared[camera].params, float)
            free = free_parameters(shared[camera], False)
            moved[free] += change[: len(free)]
            shared[camera].params = list(moved)
        for row, number in enumerate(images):
            _set_lens(result.cameras[number], shared[cameras[groups[row]]], total, row)
        if not adjust(result, False, frozenset(images)):
            return None
    result.update_point_3d_errors()
    return result


def _lens_motion(model: pycolmap.Reconstruction, seen: Sightings, groups: Rows) -> Motion:
    """What the free parameters of the shared lenses do, for photos of the cameras `groups` (photos,)."""
    field = lens_jacobian(
        model, seen, {n: free_parameters(model.cameras[n], False) for n in seen.cameras}
    )
    size = np.sqrt((field**2).sum(axis=1).mean(axis=0))
    usual = LENS_DEVIATION * float(np.median(seen.span.max(axis=1)))
    return Motion(field, usual / size.clip(1e-12), groups[seen.photo])


def with_own_cameras(model: pycolmap.Reconstruction) -> pycolmap.Reconstruction:
    """A copy in which each registered photo has its own camera, rig and frame, numbered like the photo."""
    result = pycolmap.Reconstruction()
    for number in sorted(model.reg_image_ids()):
        image = model.image(number)
        shared = model.cameras[image.camera_id]
        camera = pycolmap.Camera(shared.todict())
        camera.camera_id = number
        result.add_camera_with_trivial_rig(camera)
        pixels = np.array([point.xy for point in image.points2D], float).reshape(-1, 2)
        own = pycolmap.Image(image.name, pixels, number, number)
        result.add_image_with_trivial_frame(own, image.cam_from_world())
    add_points(result, model)
    return result


def _set_lens(
    camera: pycolmap.Camera, shared: pycolmap.Camera, total: Mapping[str, Array], row: int
) -> None:
    """The shared lens with this photo's focal scale and shift."""
    params = np.array(shared.params, float)
    if "focal" in total:
        params[list(shared.focal_length_idxs())] *= 1 + total["focal"][row, 0]
    if "shift" in total:
        params[list(shared.principal_point_idxs())] += total["shift"][row]
    camera.params = list(params)


def _missed(georef: Georef, before: Mapping[str, Array], after: Mapping[str, Array]) -> Georef:
    """`georef` with its residuals of GPS up to date with cameras that moved."""
    if not georef.residuals_m:
        return georef
    told: dict[str, Miss] = {}
    for name, (east, north, up) in georef.residuals_m.items():
        x, y, z = (float(step) for step in after[name] - before[name])
        height = None if up is None else round(up + z, 3)
        told[name] = (round(east + x, 3), round(north + y, 3), height)
    judged = [told[name] for name in georef.inliers or told if name in told]
    # A height that is not known is None, which numpy takes for NaN.
    across, vertical = known_rms(np.array(judged, float))
    return replace(georef, residuals_m=told, rmse_horizontal_m=across, rmse_vertical_m=vertical)


def _error(model: pycolmap.Reconstruction) -> float:
    """Mean reprojection error, pixels."""
    copy = pycolmap.Reconstruction(model)
    copy.update_point_3d_errors()
    return float(copy.compute_mean_reprojection_error())
