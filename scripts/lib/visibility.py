"""What the capture cameras really saw of each Gaussian: the weight it has in their pictures. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from scripts.lib.codecs.values import sigmoid
from scripts.lib.gaussians import SH_C0, Gaussians
from scripts.lib.rasterise import rasterise
from scripts.lib.scene import Scene

Float = npt.NDArray[np.float64]

SEEN_PIXELS = 0.05  # weight, in whole pixels, from which a view counts as having seen a Gaussian


@dataclass(frozen=True)
class Visibility:
    """Of N Gaussians: `weight` (N,) summed over views, in pixels; `views` (N,) that saw each."""

    weight: Float
    views: npt.NDArray[np.int64]


def measure(gaussians: Gaussians, scene: Scene, indices: Sequence[int], device: str) -> Visibility:
    """Blend weights (opacity times transmittance) of every Gaussian over some of the scene's views.

    The picture of grey Gaussians is linear in their colour, and its derivative by a Gaussian's colour
    is exactly the sum of its blend weights: one backward pass a view, with the renderer as it is.
    """

    def tensor(values: npt.NDArray[np.generic]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device)

    centre = scene.centres.mean(axis=0)
    cameras = scene.world_to_camera.copy()
    cameras[:, :3, 3] += cameras[:, :3, :3] @ centre
    means = tensor(gaussians.means.astype(np.float64) - centre)
    quats, scales = tensor(gaussians.quats), tensor(np.exp(gaussians.scales))
    opacities = tensor(sigmoid(gaussians.opacities))
    total = np.zeros(len(gaussians))
    views = np.zeros(len(gaussians), np.int64)
    for index in indices:
        grey = torch.zeros((len(gaussians), 1, 3), device=device, requires_grad=True)
        width, height = (int(v) for v in scene.sizes[index])
        colour, _ = rasterise(
            means,
            quats,
            scales,
            opacities,
            grey,
            tensor(cameras[index : index + 1]),
            tensor(scene.K[index : index + 1]),
            (width, height),
            antialiased=gaussians.antialiased,
        )
        (slope,) = torch.autograd.grad(colour[..., 0].sum(), grey)
        weight = slope[:, 0, 0].double().cpu().numpy() / SH_C0
        total += weight
        views += weight >= SEEN_PIXELS
    return Visibility(total, views)
