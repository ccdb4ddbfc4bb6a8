"""What the capture cameras really saw of each Gaussian: the weight it has in their pictures. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scripts.lib.contracts.eval import Needles
from scripts.lib.render.pieces import AnyRenderer, renderer_of
from scripts.lib.scene.scene import Scene
from scripts.lib.splat.pieces import Splat, parts_of

Float = npt.NDArray[np.float64]

SEEN_PIXELS = 0.05  # weight, in whole pixels, from which a view counts as having seen a Gaussian


@dataclass(frozen=True)
class Visibility:
    """Of N Gaussians: `weight` (N,) summed over views, in pixels; `views` (N,) that saw each."""

    weight: Float
    views: npt.NDArray[np.int64]


def measure(splat: Splat, scene: Scene, indices: Sequence[int], device: str) -> Visibility:
    """Blend weights (opacity times transmittance) of every Gaussian over some of the scene's views."""
    renderer = renderer_of(splat, device)
    total = np.zeros(len(splat))
    views = np.zeros(len(splat), np.int64)
    for index in indices:
        weight = renderer.weights(scene.world_to_camera[index], scene.K[index], scene.sizes[index])
        total += weight
        views += weight >= SEEN_PIXELS
    return Visibility(total, views)


def needles(splat: Splat, renderer: AnyRenderer, scene: Scene, indices: Sequence[int]) -> Needles:
    """How much of some of the scene's views is made by needles: Gaussians that are long and thin.

    A disc seen from its edge is none, so the longest axis is compared with the second. `renderer` is of the
    same Gaussians.
    """
    ratio, weight = np.zeros(len(splat)), np.zeros(len(splat))
    for rows, part in parts_of(splat):
        axes = np.sort(part.scales.astype(np.float64), axis=1)
        ratio[rows] = np.exp(axes[:, 2] - axes[:, 1])
    for index in indices:
        weight += renderer.weights(scene.world_to_camera[index], scene.K[index], scene.sizes[index])
    whole = weight.sum() or 1.0
    over_10, over_30 = (float(weight[ratio > limit].sum() / whole) for limit in (10, 30))
    return Needles(over_10, over_30, len(indices))
