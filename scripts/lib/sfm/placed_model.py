"""A model from poses that came with the photos: points are triangulated, then all is adjusted.

Before that the verified matches tell whether the poses fit, and which convention they were written in.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pycolmap

from scripts.lib.contracts.photos import Photo
from scripts.lib.core.console import UserError, say
from scripts.lib.core.files import scratch_folder
from scripts.lib.sfm.mapping import Attempt, complete_placed
from scripts.lib.sfm.matching import verified_matches, verified_pairs
from scripts.lib.sfm.options import FeatureOptions, MapOptions, MatchOptions
from scripts.lib.sfm.parallax import measure_parallax
from scripts.lib.sfm.projection import cross_matrix
from scripts.lib.sfm.retries import Inputs, more_features
from scripts.lib.sfm.rigs import rigid3d

Array = npt.NDArray[np.float64]
# By image, from world to camera: rotation (3, 3) and translation (3,).
Poses = Mapping[int, tuple[Array, Array]]

MOST_PAIRS = 300  # that are looked at to tell conventions
NEAR = 0.02  # of the focal length: a match this near its epipolar line agrees with the poses
ENOUGH, CLEARLY = 0.3, 0.2  # share of matches that agree, and the lead of another convention
AS_WRITTEN = "as written"
FLIP = np.diag([1.0, -1.0, -1.0])


def _inverse(pose: tuple[Array, Array]) -> tuple[Array, Array]:
    return pose[0].T, -pose[0].T @ pose[1]


def _flipped(pose: tuple[Array, Array]) -> tuple[Array, Array]:
    return FLIP @ pose[0], FLIP @ pose[1]


# What a file may have meant instead of what its format says. A turn of the world's axes changes nothing, so
# these four are all that exchanges of the matrix's direction and of the camera's axes can make.
CONVENTIONS: dict[str, Callable[[tuple[Array, Array]], tuple[Array, Array]]] = {
    AS_WRITTEN: lambda pose: pose,
    "with the camera's y and z axes reversed (OpenGL's and OpenCV's exchanged)": _flipped,
    "with world to camera and camera to world exchanged": _inverse,
    "with world to camera and camera to world exchanged and the camera's y and z axes reversed": (
        lambda pose: _flipped(_inverse(pose))
    ),
}


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
) -> Iterator[tuple[Attempt, list[Attempt]]]:
    """Yield the model with the photos' own poses, as `best_attempt` yields the mapper's.

    Photos without a pose are registered into it where they can be. Where too many photos are left out, finer
    features are tried. Raises UserError where the poses do not fit the photos.
    """
    with scratch_folder(folder, "placed") as work:
        inputs = Inputs(photos, folder, work, options, features, matching, threads)
        attempts = [_attempt(database, work / "placed.db", inputs)]
        if options.retries and attempts[0].registered < options.retry_below * len(photos):
            richer = more_features(attempts[0], inputs)
            if richer is not None:
                attempts.append(_attempt(richer, work / "finer.db", inputs))
        yield max(attempts, key=lambda attempt: attempt.registered), attempts


def _attempt(database: Path, copy: Path, inputs: Inputs) -> Attempt:
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
    after = float(model.compute_mean_reprojection_error())
    say(
        f"{len(poses)} of {len(photos)} photos came with poses: {before:.2f} px as they came, "
        f"{after:.2f} px after the adjustment; {model.num_reg_images()} photos in the model"
    )
    read = "" if named == AS_WRITTEN else f", read {named}"
    strategy = f"poses that came with the photos{read}, {before:.2f} px before the adjustment"
    return Attempt(
        mapper="none",
        models=[model],
        seconds=time.monotonic() - began,
        database=copy,
        strategy=strategy,
        verified=len(verified_pairs(copy)),
        parallax=measure_parallax(model, matches, {}),
    )


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


def fitting(
    database: Path, matches: Mapping[tuple[int, int], npt.NDArray[np.int64]], poses: Poses
) -> tuple[str, Poses]:
    """The convention that the matches agree with, in words, and the poses in it.

    Raises UserError where matches contradict the poses in every convention.
    """
    pairs = sorted(
        (p for p in matches if p[0] in poses and p[1] in poses), key=lambda p: -len(matches[p])
    )
    rays = _rays(database, matches, pairs[:MOST_PAIRS])
    if not rays:
        raise UserError(
            "no two photos that came with poses could be matched: they show different things, or too little; "
            "set import_photos.cameras to ignore to have the poses computed"
        )
    share = {}
    for name, change in CONVENTIONS.items():
        changed = {number: change(pose) for number, pose in poses.items()}
        share[name] = float(
            np.mean([_agreeing(rays[p], changed[p[0]], changed[p[1]]) for p in rays])
        )
    best = max(share, key=lambda name: share[name])
    if share[best] - share[AS_WRITTEN] < CLEARLY:
        best = AS_WRITTEN
    if share[best] < ENOUGH:
        raise UserError(
            f"the camera poses do not fit the photos: {100 * share[best]:.0f} % of the matches agree with "
            "them; they are those of other photos or damaged: give the file of this very set, or set "
            "import_photos.cameras to ignore to have the poses computed"
        )
    return best, {number: CONVENTIONS[best](pose) for number, pose in poses.items()}


def _rays(
    database: Path,
    matches: Mapping[tuple[int, int], npt.NDArray[np.int64]],
    pairs: Sequence[tuple[int, int]],
) -> dict[tuple[int, int], tuple[Array, Array]]:
    """Matched points of each pair on the plane at distance 1, twice (K, 3)."""
    needed = {number for pair in pairs for number in pair}
    flat: dict[int, Array] = {}
    with pycolmap.Database.open(database) as link:
        cameras = {camera.camera_id: camera for camera in link.read_all_cameras()}
        for image in link.read_all_images():
            if image.image_id in needed:
                xy = np.asarray(link.read_keypoints(image.image_id), float)[:, :2]
                points = np.asarray(cameras[image.camera_id].cam_from_img(xy))
                flat[image.image_id] = np.column_stack([points, np.ones(len(points))])
    return {(a, b): (flat[a][matches[a, b][:, 0]], flat[b][matches[a, b][:, 1]]) for a, b in pairs}


def _agreeing(
    rays: tuple[Array, Array], first: tuple[Array, Array], second: tuple[Array, Array]
) -> float:
    """Share of the matches that lie near their epipolar lines and before both cameras."""
    turn = second[0] @ first[0].T
    shift = second[1] - turn @ first[1]
    length = np.linalg.norm(shift)
    if not length > 0:
        return 0.0
    essential = cross_matrix(shift / length) @ turn
    a, b = rays
    lines, back = a @ essential.T, b @ essential
    slope = np.sqrt((lines[:, :2] ** 2).sum(1) + (back[:, :2] ** 2).sum(1))
    distance = np.abs((lines * b).sum(1)) / np.maximum(slope, 1e-12)
    # depth_a (turn a) + shift = depth_b b; both depths by least squares of the two rays.
    ray = a @ turn.T
    aa, bb, ab = (ray * ray).sum(1), (b * b).sum(1), (ray * b).sum(1)
    sa, sb = ray @ shift, b @ shift
    scale = aa * bb - ab * ab
    before = (ab * sb - bb * sa > -1e-9 * scale) & (aa * sb - ab * sa > -1e-9 * scale)
    return float(((distance < NEAR) & before).mean())
