"""Rigs of real cameras: each photo is mapped by itself, then the cameras' poses to each other become common.

What all frames agree on is where each camera stands in its rig. With that held, a frame has six unknowns
instead of six for each of its photos.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pycolmap
from scipy.spatial.transform import Rotation

from scripts.lib.contracts.photos import Photo
from scripts.lib.core.console import say
from scripts.lib.core.geo import Array
from scripts.lib.sfm.rigs import has_rigs
from scripts.lib.sfm.tables import add_points

FEWEST_FRAMES = 3
# Frames of one rig agree on the turn between two cameras within this: else they are no rig. Degrees, median.
MOST_TURN = 1.0

Views = dict[str, dict[str, pycolmap.Image]]  # by frame and sensor


def with_lens_rigs(
    model: pycolmap.Reconstruction, photos: Sequence[Photo]
) -> pycolmap.Reconstruction:
    """The model with the photos of real rigs in common frames; the given one where there are none.

    The poses in the rig are the medians over all frames, to be adjusted afterwards. Photos of cameras that
    did not move together stay by themselves, and the console says so.
    """
    if has_rigs(model):
        return model
    rigs = _rigs(model, photos)
    if not rigs:
        return model
    result = pycolmap.Reconstruction()
    for camera in model.cameras.values():
        result.add_camera(pycolmap.Camera(camera.todict()))
    for number, (poses, _) in enumerate(rigs, 1):
        rig = pycolmap.Rig()
        rig.rig_id = number
        for place, (camera, pose) in enumerate(poses.values()):
            sensor = model.cameras[camera].sensor_id
            rig.add_sensor(sensor, pose) if place else rig.add_ref_sensor(sensor)
        result.add_rig(rig)
    _add_frames(result, model, rigs)
    add_points(result, model)
    return result


Rig = tuple[dict[str, tuple[int, pycolmap.Rigid3d]], Views]  # camera and pose by sensor; the views


def _rigs(model: pycolmap.Reconstruction, photos: Sequence[Photo]) -> list[Rig]:
    images = {model.image(i).name: model.image(i) for i in model.reg_image_ids()}
    views: dict[str, Views] = {}
    for photo in photos:
        if photo.rig is not None and not photo.rig.panorama and photo.file in images:
            frames = views.setdefault(photo.rig.rig, {})
            frames.setdefault(photo.rig.frame, {})[photo.rig.sensor] = images[photo.file]
    found = []
    for name, frames in views.items():
        poses = _poses(frames)
        if poses is None:
            say(
                f"Note: the cameras of {name} did not stand together, so their photos stay by themselves."
            )
        elif len(poses) > 1:
            found.append((poses, {f: t for f, t in frames.items() if set(t) <= set(poses)}))
    return found


def _poses(frames: Views) -> dict[str, tuple[int, pycolmap.Rigid3d]] | None:
    """Camera and pose of each sensor in the rig; None where frames do not agree, or cameras are shared."""
    sensors = sorted({sensor for taken in frames.values() for sensor in taken})
    reference = sensors[0]
    poses: dict[str, tuple[int, pycolmap.Rigid3d]] = {}
    for sensor in sensors:
        both = [taken for taken in frames.values() if sensor in taken and reference in taken]
        cameras = {taken[sensor].camera_id for taken in both}
        if len(both) < FEWEST_FRAMES or len(cameras) != 1:
            return None
        between = [
            taken[sensor].cam_from_world() * taken[reference].cam_from_world().inverse()
            for taken in both
        ]
        turns = Rotation.from_matrix([pose.rotation.matrix() for pose in between])
        mean = turns.mean()
        if np.degrees(np.median((turns * mean.inv()).magnitude())) > MOST_TURN:
            return None
        shift: Array = np.median([pose.translation for pose in between], axis=0)
        poses[sensor] = (
            cameras.pop(),
            pycolmap.Rigid3d(pycolmap.Rotation3d(mean.as_matrix()), shift),
        )
    used = [camera for camera, _ in poses.values()]
    return poses if len(set(used)) == len(used) else None


def _add_frames(
    result: pycolmap.Reconstruction,
    model: pycolmap.Reconstruction,
    rigs: Sequence[Rig],
) -> None:
    """Add the frames and images of rigs, and the photos of all other cameras by themselves."""
    frame_id = 0
    for rig_id, (poses, views) in enumerate(rigs, 1):
        from_rig = dict(poses.values())
        for taken in views.values():
            images = list(taken.values())
            pose = from_rig[images[0].camera_id].inverse() * images[0].cam_from_world()
            frame_id += 1
            _add(result, frame_id, rig_id, images, pose)
    in_rig = {camera for poses, _ in rigs for camera, _ in poses.values()}
    alone: dict[int, int] = {}
    for image_id in sorted(model.reg_image_ids()):
        image = model.image(image_id)
        camera = image.camera_id
        if camera in in_rig:
            continue
        if camera not in alone:
            rig = pycolmap.Rig()
            rig.rig_id = alone[camera] = len(rigs) + len(alone) + 1
            rig.add_ref_sensor(model.cameras[camera].sensor_id)
            result.add_rig(rig)
        frame_id += 1
        _add(result, frame_id, alone[camera], [image], image.cam_from_world())


def _add(
    result: pycolmap.Reconstruction,
    frame_id: int,
    rig_id: int,
    images: Sequence[pycolmap.Image],
    pose: pycolmap.Rigid3d,
) -> None:
    frame = pycolmap.Frame()
    frame.frame_id, frame.rig_id = frame_id, rig_id
    for image in images:
        frame.add_data_id(image.data_id)
    frame.rig_from_world = pose
    result.add_frame(frame)
    for image in images:
        pixels = np.array([point.xy for point in image.points2D], float).reshape(-1, 2)
        own = pycolmap.Image(image.name, pixels, image.camera_id, image.image_id)
        own.frame_id = frame_id
        result.add_image(own)
    result.register_frame(frame_id)
