"""What the capture cameras really saw of each Gaussian: the weight it has in their pictures. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.scene import Scene
from scripts.lib.splat.gaussians import Gaussians

Float = npt.NDArray[np.float64]

SEEN_PIXELS = 0.05  # weight, in whole pixels, from which a view counts as having seen a Gaussian


@dataclass(frozen=True)
class Visibility:
    """Of N Gaussians: `weight` (N,) summed over views, in pixels; `views` (N,) that saw each."""

    weight: Float
    views: npt.NDArray[np.int64]


def measure(gaussians: Gaussians, scene: Scene, indices: Sequence[int], device: str) -> Visibility:
    """Blend weights (opacity times transmittance) of every Gaussian over some of the scene's views."""
    renderer = Renderer(gaussians, device)
    total = np.zeros(len(gaussians))
    views = np.zeros(len(gaussians), np.int64)
    for index in indices:
        weight = renderer.weights(scene.world_to_camera[index], scene.K[index], scene.sizes[index])
        total += weight
        views += weight >= SEEN_PIXELS
    return Visibility(total, views)
