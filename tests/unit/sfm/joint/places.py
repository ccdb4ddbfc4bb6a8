"""A made-up place for captures: points with descriptors of their own, and rings of cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
from scipy.spatial.transform import Rotation

from scripts.lib.core.geo import Array, Sim3
from scripts.lib.sfm.joint.cross import Capture

WIDTH, HEIGHT, FOCAL = 640, 480, 500.0


def points(count: int, seed: int = 0) -> Array:
    """Points (count, 3) of a yard of 8 x 8 x 3 m."""
    return np.random.default_rng(seed).uniform([-4, -4, 0], [4, 4, 3], (count, 3))


def descriptors(count: int, seed: int = 0) -> np.ndarray:
    """A descriptor (count, 128) uint8 for each point, none like another, of SIFT's length."""
    raw = np.abs(np.random.default_rng(seed + 1).standard_normal((count, 128)))
    return (
        np.round(512 * raw / np.linalg.norm(raw, axis=1, keepdims=True))
        .clip(0, 255)
        .astype(np.uint8)
    )


def capture(
    folder: Path,
    scene: str,
    xyz: Array,
    described: np.ndarray,
    cameras: int,
    start: float,
    frame: Sim3,
) -> Capture:
    """A capture of points (N, 3) from a ring of cameras; its model is in the frame that `frame` leads to.

    start: of the first camera, in turns. Pixels have a noise of 0.3.
    """
    folder.mkdir(parents=True)
    random = np.random.default_rng(round(1000 * start) + 7)
    model = pycolmap.Reconstruction()
    camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_PINHOLE", FOCAL, WIDTH, HEIGHT)
    model.add_camera_with_trivial_rig(camera)
    link = pycolmap.Database.open(folder / "features.db")
    camera_id = link.write_camera(camera)
    rig = pycolmap.Rig()
    rig.add_ref_sensor(pycolmap.Camera(camera.todict() | {"camera_id": camera_id}).sensor_id)
    rig_id = link.write_rig(rig)
    tracks: dict[int, list[tuple[int, int]]] = {}
    for number in range(1, cameras + 1):
        turn = 2 * np.pi * (start + number / cameras / 2)
        eye = np.array([9 * np.cos(turn), 9 * np.sin(turn), 2 + number % 2])
        forward = np.array([0, 0, 1.0]) - eye
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        local = (xyz - eye) @ rotation.T
        pixels = local[:, :2] / local[:, 2:] * FOCAL + [WIDTH / 2, HEIGHT / 2]
        seen = np.flatnonzero(((pixels > 0) & (pixels < [WIDTH, HEIGHT])).all(axis=1))
        pixels = pixels[seen] + random.normal(0, 0.3, (len(seen), 2))
        name = f"{number:02d}.jpg"
        # The same place in the model's own frame.
        R = rotation @ frame.rotation.T
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(R), -R @ frame.apply(eye[None])[0])
        model.add_image_with_trivial_frame(pycolmap.Image(name, pixels, 1, number), pose)
        for row, point in enumerate(seen.tolist()):
            tracks.setdefault(point, []).append((number, row))
        image_id = link.write_image(pycolmap.Image(name=name, camera_id=camera_id))
        data = pycolmap.Frame()
        data.rig_id = rig_id
        data.add_data_id(link.read_image(image_id).data_id)
        link.write_frame(data)
        link.write_keypoints(
            image_id, np.c_[pixels, np.tile([1.0, 0, 0, 1], (len(seen), 1))].astype(np.float32)
        )
        kind = pycolmap.FeatureExtractorType.SIFT
        link.write_descriptors(
            image_id, pycolmap.FeatureDescriptors(type=kind, data=described[seen])
        )
    link.close()
    for point, track in tracks.items():
        if len(track) > 1:
            elements = [pycolmap.TrackElement(*one) for one in track]
            model.add_point3D(
                frame.apply(xyz[point][None])[0], pycolmap.Track(elements), np.zeros(3, np.uint8)
            )
    (folder / "sparse").mkdir()
    model.write_binary(folder / "sparse")
    return Capture(scene, model, folder / "features.db")


def other_frame() -> Sim3:
    """Where the second capture's model has the place: turned, shifted, 0.4 times as large."""
    return Sim3(
        0.4,
        Rotation.from_euler("xyz", [10, -20, 130], degrees=True).as_matrix(),
        np.array([3.0, -1, 2]),
    )
