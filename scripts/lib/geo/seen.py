"""Which photos saw each Gaussian, and each place, closely enough. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scripts.lib.measure.visibility import SEEN_PIXELS
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.scene import Scene, usual_depths
from scripts.lib.splat.gaussians import Gaussians

Float = npt.NDArray[np.float64]
LONG_SIDE = 480  # pixels of the views that tell what was seen; more shows no more Gaussians
COARSEST = (
    4.0  # times the usual size of a photo's pixel, from which a photo is too far away to count
)


@dataclass(frozen=True)
class Cameras:
    """The photos that count, of `scene`: `indices`, and how far each of these (V,) sees closely enough."""

    scene: Scene
    indices: tuple[int, ...]
    reach: Float

    def covering(self, points: Float) -> npt.NDArray[np.int64]:
        """How many of the photos have each point (P, 3), world units, in their frame and see level ground
        there closely enough: at a low angle, a pixel is stretched over it."""
        count = np.zeros(len(points), np.int64)
        for index, reach in zip(self.indices, self.reach, strict=True):
            pose = self.scene.world_to_camera[index]
            x, y, z = self.scene.K[index] @ (pose[:3, :3] @ points.T + pose[:3, 3:])
            width, height = self.scene.sizes[index]
            front = (z > 0) & (x >= 0) & (x <= width * z) & (y >= 0) & (y <= height * z)
            ray = self.scene.centres[index] - points
            # Distance over the sine of the angle, against the reach.
            near = (ray**2).sum(axis=1) <= reach * np.maximum(ray[:, 2], 0)
            count += front & near
        return count


def cameras_of(scene: Scene, indices: Sequence[int]) -> Cameras:
    """The photos at `indices`; each reaches to where its pixels are `COARSEST` times the usual size."""
    coarsest = COARSEST * pixel_size(scene, indices)
    return Cameras(scene, tuple(indices), coarsest * scene.K[np.asarray(indices), 0, 0])


def pixel_size(scene: Scene, indices: Sequence[int]) -> float:
    """What a pixel of these photos usually measures on the surface that they show, world units."""
    focal = scene.K[np.asarray(indices), 0, 0]
    return float(np.median(usual_depths(scene, indices) / focal))


def photos_of(gaussians: Gaussians, cameras: Cameras, device: str = "cpu") -> npt.NDArray[np.int64]:
    """How many of these cameras see each Gaussian (N,), within their reach."""
    scene, renderer = cameras.scene, Renderer(gaussians, device)
    small = scene.at_most(LONG_SIDE)
    photos = np.zeros(len(gaussians), np.int64)
    for index, reach in zip(cameras.indices, cameras.reach, strict=True):
        weight = renderer.weights(small.world_to_camera[index], small.K[index], small.sizes[index])
        away = np.linalg.norm(gaussians.means - scene.centres[index], axis=1)
        photos += (weight >= SEEN_PIXELS) & (away <= reach)
    return photos
