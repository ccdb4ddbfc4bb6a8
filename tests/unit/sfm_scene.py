"""What the tests of scripts/lib/sfm share: made-up databases with known poses, and errors against truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from scripts.lib.contracts.photos import Photo
from scripts.lib.core.geo import Sim3, fit_sim3
from tests.photo_lines import line


def entry(file: str, **facts: Any) -> Photo:
    """A line of photos.json with what the SfM stages need."""
    return line(file, **{"width": 1024, "height": 768, **facts})


def synthetic(
    path: Path,
    frames: int = 12,
    points: int = 300,
    noise_px: float = 0.5,
    seed: int = 3,
    **more: Any,
) -> tuple[pycolmap.Reconstruction, list[Photo]]:
    """A database of `frames` photos with matches, their true model, and the lines of photos.json."""
    pycolmap.set_random_seed(seed)
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_frames_per_rig = 1, frames
    options.num_points3D = points
    options.camera_has_prior_focal_length = True
    for key, value in more.items():
        setattr(options, key, value)
    database = pycolmap.Database.open(path)
    truth = pycolmap.synthesize_dataset(options, database)
    if noise_px:
        noise = pycolmap.SyntheticNoiseOptions()
        noise.point2D_stddev = noise_px
        pycolmap.synthesize_noise(noise, truth, database)
    database.close()
    return truth, [entry(image.name) for image in truth.images.values()]


def centres(model: pycolmap.Reconstruction) -> dict[str, np.ndarray]:
    """Camera centres by name."""
    return {model.image(i).name: model.image(i).projection_center() for i in model.reg_image_ids()}


def residuals(found: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> np.ndarray:
    """Distances of the found centres from the true ones after the best similarity."""
    names = sorted(found)
    a, b = np.array([found[n] for n in names]), np.array([truth[n] for n in names])
    aligned: Sim3 = fit_sim3(a, b)
    result: np.ndarray = np.linalg.norm(aligned.apply(a) - b, axis=1)
    return result


def position_errors(found: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> np.ndarray:
    """Distances after the best similarity, as shares of the diagonal of the true centres' box."""
    size = np.linalg.norm(np.ptp(np.array([truth[name] for name in found]), axis=0))
    result: np.ndarray = residuals(found, truth) / size
    return result


# Captures of one's own making: points of a place, and cameras that stand and look where they are told.
Pose = tuple[np.ndarray, np.ndarray]  # centre (3,), and rows right, down, forward (3, 3)
SIZE, FOCAL = (1024, 768), 800.0


def facing(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Rows right, down, forward of a camera, angles in degrees; Z is up."""
    y, p, r = np.radians([yaw, pitch, roll])
    forward = np.array([np.cos(y) * np.cos(p), np.sin(y) * np.cos(p), np.sin(p)])
    right = np.array([np.sin(y), -np.cos(y), 0.0])
    down = np.cross(forward, right)
    return np.stack(
        [np.cos(r) * right + np.sin(r) * down, np.cos(r) * down - np.sin(r) * right, forward]
    )


def looking(centre: Any, target: Any) -> Pose:
    """A level camera at `centre` that looks at `target`."""
    centre = np.asarray(centre, float)
    x, y, z = np.asarray(target, float) - centre
    pitch = np.degrees(np.arctan2(z, np.hypot(x, y)))
    return centre, facing(np.degrees(np.arctan2(y, x)), float(pitch))


def room_points(count: int = 1500, seed: int = 0) -> np.ndarray:
    """Points on the walls of a room of 6 x 8 x 2.8 m, a quarter of them on what stands in it."""
    random = np.random.default_rng(seed)
    half = np.array([3.0, 4.0, 1.4])
    points: np.ndarray = random.uniform(-1, 1, (count, 3)) * half
    walls = np.arange(3 * count // 4)
    axis = random.integers(0, 3, len(walls))
    points[walls, axis] = random.choice([-1, 1], len(walls)) * half[axis]
    return points


def turning(count: int, span: float, hands: float, seed: int = 0) -> list[Pose]:
    """Someone who turns on the spot by `span` degrees, the camera unsteady by `hands` metres (1 sigma)."""
    random = np.random.default_rng(seed)
    return [
        (
            np.array([0.3, -0.5, 0.1]) + random.normal(0, hands, 3) * [1, 1, 0.5],
            facing(yaw, [0.0, 8.0, -8.0][i % 3], random.normal(0, 5)),
        )
        for i, yaw in enumerate(np.linspace(20, 20 + span, count))
    ]


def sights(
    poses: list[Pose], points: np.ndarray, noise: float, lens: pycolmap.Camera, seed: int = 0
) -> Any:
    """For every camera the points it sees (their numbers) and the pixels (N, 2) where it does."""
    random = np.random.default_rng(seed)
    for centre, turn in poses:
        local = (points - centre) @ turn.T
        pixels = np.asarray(lens.img_from_cam(np.maximum(local, [-np.inf, -np.inf, 0.01])))
        pixels += random.normal(0, noise, pixels.shape)
        seen = (local[:, 2] > 0.3) & ((pixels > 0) & (pixels < SIZE)).all(axis=1)
        seen &= random.random(len(points)) < 0.8
        yield np.flatnonzero(seen), pixels[seen]


def true_model(
    poses: list[Pose],
    points: np.ndarray,
    noise: float = 0.5,
    focal: float = FOCAL,
    lens: pycolmap.Camera | None = None,
    seed: int = 0,
) -> pycolmap.Reconstruction:
    """The capture's model with its true poses and points, and noisy features.

    lens: took the photos; the model has a SIMPLE_RADIAL one of the same focal length all the same.
    """
    model = pycolmap.Reconstruction()
    focal = focal if lens is None else lens.mean_focal_length()
    camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_RADIAL", focal, *SIZE)
    model.add_camera_with_trivial_rig(camera)
    tracks: dict[int, list[tuple[int, int]]] = {}
    for number, ((centre, turn), (seen, pixels)) in enumerate(
        zip(poses, sights(poses, points, noise, lens or camera, seed), strict=True), 1
    ):
        image = pycolmap.Image(f"v{number:03d}.jpg", pixels, 1, number)
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(turn), -turn @ centre)
        model.add_image_with_trivial_frame(image, pose)
        for feature, point in enumerate(seen):
            tracks.setdefault(int(point), []).append((number, feature))
    add_points(model, points, tracks)
    return model


def add_points(
    model: pycolmap.Reconstruction,
    points: np.ndarray,
    tracks: Mapping[int, Sequence[tuple[int, int]]],
) -> None:
    """Add the points (N, 3) that two photos or more see; tracks: photo and feature by point."""
    for point, elements in tracks.items():
        if len(elements) >= 2:
            track = pycolmap.Track([pycolmap.TrackElement(*element) for element in elements])
            model.add_point3D(points[point], track)


def own_matches(model: pycolmap.Reconstruction) -> dict[tuple[int, int], np.ndarray]:
    """The model's tracks as matches of two photos each, as `measure_parallax` takes them."""
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for point in model.points3D.values():
        track = sorted((e.image_id, e.point2D_idx) for e in point.track.elements)
        for (a, first), (b, second) in zip(track, track[1:], strict=False):
            found.setdefault((a, b), []).append((first, second))
    return {pair: np.array(features) for pair, features in found.items()}


def matched(path: Path, poses: list[Pose], points: np.ndarray, noise: float, focal: float) -> None:
    """A database of the capture with verified matches, one in twenty of them wrong; focal length unknown."""
    random = np.random.default_rng(0)
    database = pycolmap.Database.open(path)
    camera = pycolmap.Camera.create_from_model_name(0, "SIMPLE_RADIAL", 1.2 * max(SIZE), *SIZE)
    camera.camera_id = database.write_camera(camera)
    rig = pycolmap.Rig()
    rig.add_ref_sensor(camera.sensor_id)
    rig_id = database.write_rig(rig)
    lens = pycolmap.Camera.create_from_model_name(1, "SIMPLE_RADIAL", focal, *SIZE)
    found = list(sights(poses, points, noise, lens))
    ids, pairs = [], []
    for number, (_, pixels) in enumerate(found, 1):
        image = pycolmap.Image(name=f"v{number:03d}.jpg", camera_id=camera.camera_id)
        image.image_id = database.write_image(image)
        frame = pycolmap.Frame()
        frame.rig_id = rig_id
        frame.add_data_id(image.data_id)
        database.write_frame(frame)
        database.write_keypoints(image.image_id, pixels.astype(np.float32))
        ids.append(image.image_id)
    for i in range(len(found)):
        for j in range(i + 1, len(found)):
            shared, a, b = np.intersect1d(found[i][0], found[j][0], return_indices=True)
            wrong = np.flatnonzero(random.random(len(shared)) < 0.05)
            b[wrong] = np.roll(b[wrong], 1)
            if len(shared) >= 20:
                database.write_matches(ids[i], ids[j], np.stack([a, b], 1).astype(np.uint32))
                pairs.append(f"v{i + 1:03d}.jpg v{j + 1:03d}.jpg\n")
    database.close()
    listing = path.with_suffix(".txt")
    listing.write_text("".join(pairs))
    options = pycolmap.TwoViewGeometryOptions()
    options.ransac.random_seed = 0
    pycolmap.verify_matches(path, listing, options)
