"""Which way is up in a model: as a person says, or the drone's gimbal, else from how cameras are held."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pycolmap

from scripts.lib.contracts.photos import Photo
from scripts.lib.core.console import UserError
from scripts.lib.core.geo import Array, Sim3, rotation_to_z, up_from_cameras
from scripts.lib.core.up import GivenUp

MIN_PHOTOS = 3
MAX_ROLL_DEG = 15.0
# Length of the mean of unit vectors: 0.97 is a spread of 14 degrees. Gimbals are good to a degree, so
# a wider spread means that the angles belong to something else.
MIN_AGREEMENT = 0.97


def up_direction(model: pycolmap.Reconstruction, photos: Sequence[Photo]) -> tuple[Array, str]:
    """The up direction (3,) in the model's frame, and its source: `gimbal` or `cameras`."""
    images = {model.image(number).name: model.image(number) for number in model.reg_image_ids()}
    rotations = {name: image.cam_from_world().rotation.matrix() for name, image in images.items()}
    ups = [
        rotations[photo.file].T @ up_in_camera(photo.pitch, photo.roll or 0.0)
        for photo in photos
        if photo.file in rotations
        and photo.pitch is not None
        and abs(photo.roll or 0.0) <= MAX_ROLL_DEG
    ]
    if len(ups) >= MIN_PHOTOS:
        middle = np.median(ups, axis=0)
        mean = np.mean(ups, axis=0)
        if np.linalg.norm(mean) >= MIN_AGREEMENT:
            return middle / np.linalg.norm(middle), "gimbal"
    return up_from_cameras([rotations[name] for name in sorted(rotations)]), "cameras"


def level_frame(
    model: pycolmap.Reconstruction, photos: Sequence[Photo], given: GivenUp | None
) -> tuple[Sim3, str]:
    """The rotation that makes Z point up, and what told up: `gimbal`, `cameras`, or who gave it.

    Raises UserError when none of the photos that were named is registered.
    """
    up, source = up_direction(model, photos)
    level = rotation_to_z(up)
    if given is not None and given.direction is not None:
        level, source = rotation_to_z(given.direction) @ level, given.source
    elif given is not None:
        images = {model.image(n).name: model.image(n) for n in model.reg_image_ids()}
        named = [
            images[name] for name in given.among([photo.file for photo in photos]) if name in images
        ]
        if not named:
            raise UserError(
                f"map_scene.up names {', '.join(given.photos)}, but none of them is registered; name others"
            )
        rotations = [image.cam_from_world().rotation.matrix() for image in named]
        level, source = rotation_to_z(up_from_cameras(rotations)), given.source
    return Sim3(1.0, level, np.zeros(3)), source


def up_in_camera(pitch: float, roll: float) -> Array:
    """Up (3,) in a camera's frame (x right, y down, z forward) from its angles in degrees.

    Pitch 0 looks at the horizon and -90 straight down; a positive roll leans to the right.
    """
    p, r = np.radians(pitch), np.radians(roll)
    return np.array([-np.sin(r) * np.cos(p), -np.cos(r) * np.cos(p), np.sin(p)])
