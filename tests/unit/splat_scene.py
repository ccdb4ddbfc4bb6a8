"""A tiny scene with known answers: a few hundred Gaussians photographed from a ring of cameras."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from scripts.lib.core.files import add_to_zip, writing_zip
from scripts.lib.core.geo import fit_sim3
from scripts.lib.render.rasterise import rasterise
from scripts.lib.scene.colmap_model import (
    OBSERVATION,
    Model,
    View,
    model_members,
    quat_from_rotation,
)
from scripts.lib.splat.gaussians import SH_C0, Gaussians

WIDTH, HEIGHT = 64, 48


def make_gaussians(count: int = 200, seed: int = 0, bands: int = 0) -> Gaussians:
    """Solid coloured blobs in the unit cube around the origin."""
    rng = np.random.default_rng(seed)
    return Gaussians(
        means=rng.uniform(-0.5, 0.5, (count, 3)).astype(np.float32),
        quats=rng.normal(size=(count, 4)).astype(np.float32),
        scales=np.log(rng.uniform(0.03, 0.12, (count, 3))).astype(np.float32),
        opacities=rng.uniform(1, 4, count).astype(np.float32),
        sh0=((rng.uniform(0, 1, (count, 3)) - 0.5) / SH_C0).astype(np.float32),
        shN=rng.normal(0, 0.1, (count, bands, 3)).astype(np.float32),
    )


def look_at_origin(position: np.ndarray) -> np.ndarray:
    """world_to_camera (4, 4), OpenCV axes, for a camera at `position` looking at the origin."""
    z = -position / np.linalg.norm(position)
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    R = np.stack([x, np.cross(z, x), z])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = R, -R @ position
    return pose


def make_views(count: int = 12, offset: tuple[float, float, float] = (0, 0, 0)) -> list[View]:
    """A ring of cameras 2 units from the origin, the whole moved by `offset`."""
    K = np.array([[60.0, 0, WIDTH / 2], [0, 60.0, HEIGHT / 2], [0, 0, 1]])
    views = []
    for number in range(count):
        angle = 2 * np.pi * number / count
        pose = look_at_origin(np.array([2 * np.cos(angle), 2 * np.sin(angle), 0.6]))
        pose[:3, 3] -= pose[:3, :3] @ np.array(offset)
        views.append(View(f"photo_{number:02d}.jpg", WIDTH, HEIGHT, K, pose))
    return views


def photograph(gaussians: Gaussians, view: View) -> np.ndarray:
    """What `view` sees, (H, W, 3) uint8."""

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32)

    colour, _ = rasterise(
        tensor(gaussians.means),
        tensor(gaussians.quats),
        tensor(gaussians.scales).exp(),
        tensor(gaussians.opacities).sigmoid(),
        torch.cat([tensor(gaussians.sh0)[:, None], tensor(gaussians.shN)], dim=1),
        tensor(view.world_to_camera)[None],
        tensor(view.K)[None],
        (view.width, view.height),
    )
    return (colour[0].clamp(0, 1) * 255 + 0.5).to(torch.uint8).numpy()


def write_scene(path: Path, gaussians: Gaussians, views: list[View]) -> Model:
    """Write an `undistorted.zip` of photos of `gaussians`, its points their centres."""
    colours = np.clip(gaussians.sh0 * SH_C0 + 0.5, 0, 1) * 255
    model = Model(tuple(views), gaussians.means.astype(float), colours.astype(np.uint8))
    write_photos(path, model, [photograph(gaussians, view) for view in views])
    return model


def write_photos(path: Path, model: Model, photos: list[np.ndarray], tracked: bool = False) -> None:
    """Write an `undistorted.zip` of a model whose views show `photos` (H, W, 3) uint8, and its points if they
    are `tracked`."""
    with writing_zip(path) as archive:
        for view, photo in zip(model.views, photos, strict=True):
            buffer = io.BytesIO()
            Image.fromarray(photo).save(buffer, "JPEG", quality=97)
            add_to_zip(archive, f"images/{view.name}", buffer.getvalue())
        for member, data in (tracked_members if tracked else model_members)(model).items():
            add_to_zip(archive, member, data)


def tracked_members(model: Model, error: float = 0.8) -> dict[str, bytes]:
    """`model_members` of a model whose views show every point that lies inside their picture, before them.

    error: of every point's reprojection, pixels.
    """
    members = model_members(model)
    points = np.c_[model.points, np.ones(len(model.points))]
    images = [struct.pack("<Q", len(model.views))]
    lengths = np.zeros(len(points), int)
    for number, view in enumerate(model.views, start=1):
        x, y, z = view.K @ view.world_to_camera[:3] @ points.T
        x, y = x / z, y / z
        inside = (z > 0) & (x >= 0) & (x < view.width) & (y >= 0) & (y < view.height)
        lengths += inside
        seen = np.zeros(int(inside.sum()), OBSERVATION)
        seen["x"], seen["y"], seen["point"] = x[inside], y[inside], np.flatnonzero(inside) + 1
        pose = view.world_to_camera
        quat = quat_from_rotation(pose[:3, :3])
        images.append(struct.pack("<I7dI", number, *quat, *pose[:3, 3], number))
        images.append(view.name.encode() + b"\0" + struct.pack("<Q", len(seen)) + seen.tobytes())
    places = [struct.pack("<Q", len(points))]
    for number, (place, length) in enumerate(zip(model.points, lengths, strict=True), start=1):
        places.append(struct.pack("<Q3d3BdQ", number, *place, 0, 0, 0, error, length))
        places.append(bytes(8 * int(length)))
    return members | {
        "sparse/images.bin": b"".join(images),
        "sparse/points3D.bin": b"".join(places),
    }


def unsteady(world_to_camera: np.ndarray, radians: float = 0.006) -> np.ndarray:
    """The poses (N, 4, 4) with each camera turned by chance, by so much (1 sigma) about each of its axes."""
    turns = Rotation.from_rotvec(
        np.random.default_rng(0).normal(0, radians, (len(world_to_camera), 3))
    )
    turned = world_to_camera.copy()
    turned[:, :3] = turns.as_matrix() @ world_to_camera[:, :3]
    return turned


def picture_shift(found: np.ndarray, true: np.ndarray, K: np.ndarray, points: np.ndarray) -> float:
    """Pixels (RMS) by which cameras (N, 4, 4) show `points` (M, 3) elsewhere than the true ones do.

    A motion that all cameras share is taken out first: it is fitted to their centres.
    """
    centres = (-np.einsum("nji,nj->ni", p[:, :3, :3], p[:, :3, 3]) for p in (true, found))
    moved = fit_sim3(*centres).apply(points)

    def pixels(poses: np.ndarray, places: np.ndarray) -> np.ndarray:
        local = np.einsum("nij,mj->nmi", poses[:, :3, :3], places) + poses[:, None, :3, 3]
        flat = local @ K.T
        return np.asarray(flat[..., :2] / flat[..., 2:])

    missed = pixels(found.astype(float), moved) - pixels(true, points)
    return float(np.sqrt((missed**2).sum(axis=-1).mean()))
