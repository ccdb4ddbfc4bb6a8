"""Faster-GS's CUDA backend (Hahlbohm et al., CVPR 2026) where it is installed, to be measured beside ours.

https://github.com/nerficg-project/faster-gaussian-splatting, Apache-2.0, folder FasterGSCudaBackend. Nothing
of it is part of this project.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from scripts.lib.render.rasterise.passes import Cameras
from scripts.lib.splat.gaussians import Gaussians

MODULE = "FasterGSCudaBackend.torch_bindings.rasterization"


def fastergs() -> Any:
    """Its functions; None where it cannot be imported."""
    try:
        return importlib.import_module(MODULE)
    except ImportError:
        return None


class FasterGs:
    """A splat on its way through Faster-GS, from raw parameters and harmonics to their gradients."""

    def __init__(self, module: Any, splat: Gaussians) -> None:
        self.module = module
        rows = (splat.means, splat.scales, splat.quats, splat.opacities[:, None])
        harmonics = (splat.sh0[:, None], splat.shN)
        self.leaves = [
            torch.tensor(values, dtype=torch.float32, device="cuda").contiguous().requires_grad_()
            for values in (*rows, *harmonics)
        ]

    def __call__(
        self, view: Cameras, slope: Tensor, clock: Callable[[str, Callable[[], Any]], Any]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Image (1, H, W, 3) and gradients by means, quats, scales, opacities and the constant band, all raw;
        slope (1, H, W, 3)."""
        w2c, K, (width, height) = view.world_to_camera[0], view.K[0].tolist(), view.size
        settings = self.module.RasterizerSettings(
            w2c=w2c,
            cam_position=-w2c[:3, :3].T @ w2c[:3, 3],
            bg_color=torch.zeros(3, device="cuda"),
            active_sh_bases=1 + self.leaves[5].shape[1],
            width=width,
            height=height,
            focal_x=K[0][0],
            focal_y=K[1][1],
            center_x=K[0][2],
            center_y=K[1][2],
            near_plane=view.near,
            far_plane=view.far,
            proper_antialiasing=False,
        )
        for leaf in self.leaves:
            leaf.grad = None
        image = clock(
            "forward",
            lambda: self.module.diff_rasterize(*self.leaves, torch.empty(0), settings),
        )
        turned = slope[0].permute(2, 0, 1).contiguous()
        clock("backward", lambda: image.backward(turned))
        means, scales, quats, opacities, constant, _ = (leaf.grad for leaf in self.leaves)
        assert means is not None and scales is not None and quats is not None
        assert opacities is not None and constant is not None
        found = (means, quats, scales, opacities[:, 0], constant[:, 0])
        return image.detach().permute(1, 2, 0)[None], found
