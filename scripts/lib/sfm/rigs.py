"""Rigs: cameras that stand together, of which COLMAP moves only the frame.

A panorama's views are such a rig. Their lenses are ideal pinholes and their positions to each other are
known exactly, so an adjustment must leave both as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pycolmap

from scripts.lib.contracts.photos import Photo, RigView

EXACT_MODEL = "PINHOLE"


def is_exact(camera: pycolmap.Camera) -> bool:
    """Whether a camera is the ideal one of a panorama's view: 90 degrees, square, and its middle known.

    No lens that was measured or guessed is that to the last digit.
    """
    middle = camera.width / 2
    return bool(
        camera.model_name == EXACT_MODEL
        and camera.width == camera.height
        and np.array_equal(camera.params, [middle] * 4)
    )


def exact_cameras(model: pycolmap.Reconstruction) -> frozenset[int]:
    """Numbers of the cameras whose lens is known exactly."""
    return frozenset(number for number, camera in model.cameras.items() if is_exact(camera))


def has_rigs(model: pycolmap.Reconstruction) -> bool:
    """Whether some photos of the model were taken by cameras that stand together."""
    return any(rig.num_sensors() > 1 for rig in model.rigs.values())


def in_panorama(photo: Photo) -> bool:
    """Whether a photo is a panorama's view, whose pose in its rig is known."""
    return photo.rig is not None and photo.rig.panorama


def write_rigs(link: Any, photos: Sequence[Photo]) -> dict[str, tuple[int, int]]:
    """Write the cameras and rigs of panoramas to a database: numbers of camera and rig by photo.

    The sensor that stands first in the photos' order is the rig's reference; a rig's axes are its camera's.
    """
    views: dict[str, dict[str, Photo]] = {}
    for photo in photos:
        if photo.rig is not None and photo.rig.panorama:
            views.setdefault(photo.rig.rig, {}).setdefault(photo.rig.sensor, photo)
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for name, sensors in views.items():
        rig = pycolmap.Rig()
        reference: pycolmap.Rigid3d | None = None
        cameras: dict[str, int] = {}
        for sensor, photo in sensors.items():
            assert photo.rig is not None
            camera = _camera(photo)
            camera.camera_id = link.write_camera(camera)
            pose = pose_of(photo.rig)
            if not cameras:
                rig.add_ref_sensor(camera.sensor_id)
                reference = pose
            elif pose is None or reference is None:
                rig.add_sensor(camera.sensor_id, None)
            else:
                rig.add_sensor(camera.sensor_id, pose * reference.inverse())
            cameras[sensor] = camera.camera_id
        rig_id = link.write_rig(rig)
        found.update({(name, sensor): (number, rig_id) for sensor, number in cameras.items()})
    return {
        photo.file: found[photo.rig.rig, photo.rig.sensor]
        for photo in photos
        if photo.rig is not None and photo.rig.panorama
    }


def _camera(photo: Photo) -> pycolmap.Camera:
    width, height = photo.size
    camera = pycolmap.Camera.create_from_model_name(0, EXACT_MODEL, width / 2, width, height)
    camera.has_prior_focal_length = True
    return camera


def pose_of(view: RigView) -> pycolmap.Rigid3d | None:
    """From the rig's axes to the camera's; None where that is not known."""
    if view.sensor_from_rig is None:
        return None
    return rigid3d(view.sensor_from_rig)


def rigid3d(numbers: Sequence[float]) -> pycolmap.Rigid3d:
    """The motion that photos.json has as a quaternion w, x, y, z and a translation."""
    w, x, y, z, *shift = numbers
    return pycolmap.Rigid3d(pycolmap.Rotation3d(np.array([x, y, z, w])), np.array(shift))


def placed_once(photos: Sequence[Photo]) -> list[Photo]:
    """The photos with the position of each panorama, or other frame of a rig, told by its first view alone.

    It is one measurement: told by six views it would count six times.
    """
    seen: set[tuple[str, str]] = set()
    once = []
    for photo in photos:
        frame = (photo.rig.rig, photo.rig.frame) if photo.rig else None
        if frame in seen:
            photo = replace(photo, latitude=None, longitude=None, altitude=None)
        elif frame is not None:
            seen.add(frame)
        once.append(photo)
    return once


def of_one_frame(photos: Sequence[Photo]) -> list[tuple[str, str] | None]:
    """By photo its panorama, if it has one: views of the same panorama show different things."""
    return [
        (photo.rig.rig, photo.rig.frame) if photo.rig and photo.rig.panorama else None
        for photo in photos
    ]
