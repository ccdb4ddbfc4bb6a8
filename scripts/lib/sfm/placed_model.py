"""A model from poses that came with the photos: points are triangulated, then all is adjusted.

Before that the verified matches tell whether the poses fit, and which convention they were written in.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pycolmap
from scipy.spatial import cKDTree

from scripts.lib.contracts.photos import Photo
from scripts.lib.core.console import say
from scripts.lib.core.files import scratch_folder
from scripts.lib.core.geo import Array, robust_sim3
from scripts.lib.sfm.conventions import AS_WRITTEN, Poses, fitting
from scripts.lib.sfm.free_frame import points_of
from scripts.lib.sfm.incremental import complete_placed
from scripts.lib.sfm.mapping import Attempt
from scripts.lib.sfm.matching import verified_matches, verified_pairs
from scripts.lib.sfm.options import FeatureOptions, MapOptions, MatchOptions
from scripts.lib.sfm.parallax import measure_parallax
from scripts.lib.sfm.retries import Inputs, more_features
from scripts.lib.sfm.rigs import rigid3d

# Of the capture's size: adjusted cameras that moved less tell where the brought frame is.
AGREE = 0.02
POINTS_APART = (
    0.1  # of the distance from the cameras; sparse clouds of one scene differ by a few percent
)


def _placed(cache: pycolmap.DatabaseCache, poses: Poses) -> pycolmap.Reconstruction:
    """A model of the database's photos in which those with a pose are registered."""
    model = pycolmap.Reconstruction()
    model.load(cache)
    for number, (turn, shift) in poses.items():
        if not model.exists_image(number):
            continue  # without a single match
        image = model.image(number)
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(turn), shift)
        frame = model.frame(image.frame_id)
        frame.set_cam_from_world(image.camera_id, pose)
        model.register_frame(image.frame_id)
    return model


@contextmanager
def placed_attempt(
    database: Path,
    folder: Path,
    photos: Sequence[Photo],
    options: MapOptions,
    features: FeatureOptions,
    matching: MatchOptions,
    threads: int,
    points: Sequence[tuple[float, float, float]] = (),
) -> Iterator[tuple[Attempt, list[Attempt]]]:
    """Yield the model with the photos' own poses, as `best_attempt` yields the mapper's.

    Photos without a pose are registered into it where they can be. Where too many photos are left out, finer
    features are tried. `points` of the poses' world are compared with the model's. Raises UserError where
    the poses do not fit the photos.
    """
    with scratch_folder(folder, "placed") as work:
        inputs = Inputs(photos, folder, work, options, features, matching, threads)
        attempts = [_attempt(database, work / "placed.db", inputs, points)]
        if options.retries and attempts[0].registered < options.retry_below * len(photos):
            richer = more_features(attempts[0], inputs)
            if richer is not None:
                attempts.append(_attempt(richer, work / "finer.db", inputs, points))
        yield max(attempts, key=lambda attempt: attempt.registered), attempts


def _attempt(
    database: Path,
    copy: Path,
    inputs: Inputs,
    points: Sequence[tuple[float, float, float]],
) -> Attempt:
    """The model that a copy of the database gives with the photos' poses."""
    began = time.monotonic()
    photos, options = inputs.photos, inputs.options
    shutil.copyfile(database, copy)
    poses = _write_lenses(copy, photos)
    matches = verified_matches(copy)
    named, poses = fitting(copy, matches, poses)
    if named != AS_WRITTEN:
        say(f"Note: the camera poses fit the photos only {named}; they are read so")
    pycolmap.set_random_seed(options.seed)
    with pycolmap.Database.open(copy) as link:
        cache = pycolmap.DatabaseCache.create(link, pycolmap.DatabaseCacheOptions())
    model = _placed(cache, poses)
    before = complete_placed(model, cache, options, inputs.threads)
    _back_to(model, poses)
    after = float(model.compute_mean_reprojection_error())
    say(
        f"{len(poses)} of {len(photos)} photos came with poses: {before:.2f} px as they came, "
        f"{after:.2f} px after the adjustment; {model.num_reg_images()} photos in the model"
    )
    read = "" if named == AS_WRITTEN else f", read {named}"
    strategy = f"poses that came with the photos{read}, {before:.2f} px before the adjustment"
    if len(points) and named == AS_WRITTEN:
        compared = _points_compared(model, np.array(points, float))
        say(f"Note: {compared}")
        strategy += f"; {compared}"
    return Attempt(
        mapper="none",
        models=[model],
        seconds=time.monotonic() - began,
        database=copy,
        strategy=strategy,
        verified=len(verified_pairs(copy)),
        parallax=measure_parallax(model, matches, {}),
    )


def _points_compared(model: pycolmap.Reconstruction, points: Array) -> str:
    """How far the points that came with the poses are from the model's, in words.

    In shares of the distance from the cameras, median: a cloud is sparse, so the nearest point is never at
    the same place. In another convention than as written points would have to be changed as well.
    """
    own = points_of(model)
    if not len(own):
        return "the points that came with the poses could not be compared"
    centres = np.array([model.image(n).projection_center() for n in sorted(model.reg_image_ids())])
    far = float(
        np.median(np.linalg.norm(own[:, None] - centres[None, :: 1 + len(centres) // 50], axis=2))
    )
    share = float(np.median(cKDTree(own).query(points)[0])) / far
    if share > POINTS_APART:
        return (
            f"the points that came with the poses are {100 * share:.0f} % of the viewing distance away from "
            "what the photos show: they are of another scale or frame, and are not used"
        )
    return f"the points that came with them agree with the photos to {100 * share:.1f} % of the distance"


def _back_to(model: pycolmap.Reconstruction, poses: Poses) -> None:
    """Put an adjusted model back into the frame of the brought poses: adjustments are free to leave it."""
    both = [n for n in sorted(poses) if n in set(model.reg_image_ids())]
    if len(both) < 4:
        return
    here = np.array([model.image(n).projection_center() for n in both])
    there: Array = np.array([-poses[n][0].T @ poses[n][1] for n in both])
    size = float(np.linalg.norm(there.std(axis=0)))
    fit = robust_sim3(here, there, floor=AGREE * size) if size > 0 else None
    if fit is not None:
        model.transform(pycolmap.Sim3d(fit.sim3.matrix()[:3]))


def _write_lenses(database: Path, photos: Sequence[Photo]) -> Poses:
    """Put the brought lenses into the database's cameras; returns the poses by image.

    Photos of one camera of the database share a lens: that of the middle focal length.
    """
    given = {photo.file: photo.brought for photo in photos if photo.brought is not None}
    poses: dict[int, tuple[Array, Array]] = {}
    lenses: dict[int, list[tuple[float, str, tuple[float, ...]]]] = {}
    with pycolmap.Database.open(database) as link:
        for image in link.read_all_images():
            pose = given.get(image.name)
            if pose is None:
                continue
            motion = rigid3d(pose.world_to_camera)
            poses[image.image_id] = motion.rotation.matrix(), motion.translation
            lenses.setdefault(image.camera_id, []).append((pose.params[0], pose.model, pose.params))
        for camera in link.read_all_cameras():
            if camera.camera_id not in lenses:
                continue
            told = sorted(lenses[camera.camera_id])
            _, model, params = told[len(told) // 2]
            lens = pycolmap.Camera(
                camera_id=camera.camera_id,
                model=model,
                width=camera.width,
                height=camera.height,
                params=list(params),
            )
            lens.has_prior_focal_length = True
            link.update_camera(lens)
    return poses
