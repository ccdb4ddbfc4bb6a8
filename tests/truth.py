"""The sample scene's truth in the frame of a reconstruction: a Sim3 from true to estimated camera centres."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from scripts.lib.core.geo import Sim3, fit_sim3
from scripts.lib.scene.scene import Scene, fit

Float = npt.NDArray[np.float64]


def read_truth(sample: Path) -> dict[str, Any]:
    """truth.json of one of the two captures of the sample scene."""
    truth: dict[str, Any] = json.loads((sample / "truth.json").read_text())
    return truth


def align(scene: Scene, truth: dict[str, Any]) -> tuple[Sim3, Float]:
    """The similarity from the true world to the scene's, and each camera's distance (V,) after it, metres.

    Distances are in the true world's metres whatever the scene's scale is.
    """
    true = np.array([truth["photos"][name]["centre"] for name in scene.names])
    sim3 = fit_sim3(true, scene.centres)
    return sim3, np.linalg.norm(sim3.apply(true) - scene.centres, axis=1) / sim3.scale


def heldback_depth(sample: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Exact depth along the camera's axis of the views that the pipeline never saw, in metres, 0 for the sky.

    Of every fourth pixel: (H / 4, W / 4) are those of `photo[2::4, 2::4]`.
    """
    with np.load(sample / "heldback_depth.npz") as found:
        return {name: found[name].astype(np.float32) for name in found.files}


def flat_surfaces(sample: Path, name: str) -> npt.NDArray[np.bool_]:
    """Which of a held-back view's exact depths (`heldback_depth`) are of walls and ground up to 25 m away:
    flat to a hundredth of the distance around them, and upright or level."""
    truth, depth = read_truth(sample), heldback_depth(sample)[name].astype(float)
    camera, pose = truth["camera"], np.array(truth["heldback"][name]["world_to_camera"])
    height, width = depth.shape
    x = (4 * np.arange(width) + 2.5 - camera["cx"]) / camera["fx"]
    y = (4 * np.arange(height) + 2.5 - camera["cy"]) / camera["fy"]
    rays = np.stack([np.broadcast_to(x, depth.shape), np.broadcast_to(y[:, None], depth.shape)], -1)
    points = np.concatenate([rays, np.ones((height, width, 1))], axis=2) * depth[..., None]
    points = points @ pose[:3, :3]  # the truth's Z is up
    across, down = points[2:-2, 4:] - points[2:-2, :-4], points[4:, 2:-2] - points[:-4, 2:-2]
    normals = np.cross(across, down)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True).clip(1e-12)
    inner = points[2:-2, 2:-2]
    bent = np.zeros(inner.shape[:2])
    for row in range(5):
        for column in range(5):
            other = points[row : row + height - 4, column : column + width - 4]
            bent = np.maximum(bent, np.abs(((other - inner) * normals).sum(axis=2)))
    rise, away = np.abs(normals[..., 2]), depth[2:-2, 2:-2]
    found = np.zeros(depth.shape, bool)
    flat = (bent < 0.01 * away) & (away > 0) & (away < 25)
    found[2:-2, 2:-2] = flat & ((rise < 0.2) | (rise > 0.95))
    return found


def heldback(
    sample: Path, truth: dict[str, Any], sim3: Sim3, resolution: int
) -> list[tuple[str, Float, Float, Float]]:
    """The views the pipeline never saw: (name, world_to_camera (4, 4) in the scene's frame, K, photo).

    Photos are float (H, W, 3) in 0..1 with a long side of `resolution` pixels.
    """
    camera = truth["camera"]
    width, height = fit(camera["width"], camera["height"], resolution)
    K = np.array([[camera["fx"], 0, camera["cx"]], [0, camera["fy"], camera["cy"]], [0, 0, 1]])
    K = np.diag([width / camera["width"], height / camera["height"], 1]) @ K
    views = []
    for name, view in truth["heldback"].items():
        pose = np.array(view["world_to_camera"])
        rotation = pose[:3, :3] @ sim3.rotation.T
        centre = sim3.apply(np.array(view["centre"])[None])[0]
        moved = np.eye(4)
        moved[:3, :3], moved[:3, 3] = rotation, -rotation @ centre
        image = Image.open(sample / "heldback" / name).convert("RGB")
        photo = np.asarray(image.resize((width, height), Image.Resampling.BOX)) / 255.0
        views.append((name, moved, K, photo))
    return views
