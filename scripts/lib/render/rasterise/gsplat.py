"""gsplat's CUDA kernels behind the same interface as ours: a second backend, and what ours is measured by."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scripts.lib.core.console import UserError
from scripts.lib.render.rasterise.constants import EPS2D
from scripts.lib.render.rasterise.passes import Cameras, Gradients, Shapes

TILE = 16


def gsplat_kernels() -> Any:
    """gsplat's compiled CUDA functions. Raises UserError when it or its kernels are missing."""
    try:
        from gsplat.cuda._backend import _C as kernels  # noqa: N811
    except ImportError as error:
        raise UserError(
            f"train_splat.rasteriser is 'gsplat', but it cannot be imported ({error}); install gsplat"
            " with its CUDA kernels, or leave the option at 'splatmake'"
        ) from None
    if kernels is None:
        raise UserError(
            "train_splat.rasteriser is 'gsplat', but it has no CUDA kernels (no nvcc to build them was"
            " found); install the CUDA toolkit or a gsplat wheel built for this torch, or leave the"
            " option at 'splatmake'"
        )
    return kernels


class GsplatPass:
    """A `passes.Pass` by gsplat 1.5."""

    def __init__(self, shapes: Shapes, cameras: Cameras, antialiased: bool) -> None:
        self.kernels, self.shapes, self.cameras = gsplat_kernels(), shapes, cameras
        kernels, (width, height) = self.kernels, cameras.size
        self.pinhole = kernels.CameraModelType.PINHOLE
        self.gaussians = (shapes.means, None, shapes.quats, shapes.scales)
        self.camera = (cameras.world_to_camera, cameras.K, width, height, EPS2D)
        self.seen, self.means2d, self.depths, self.conics, dimmed = (
            kernels.projection_ewa_3dgs_fused_fwd(
                *self.gaussians, shapes.opacities, *self.camera, cameras.near, cameras.far, 0.0,
                antialiased, self.pinhole,
            )
        )  # fmt: skip
        self.dimmed = dimmed if antialiased else None

    def draw(self, colours: Tensor) -> Tensor:
        """See `passes.Pass`."""
        kernels, (width, height) = self.kernels, self.cameras.size
        views = len(self.cameras.K)
        across, down = -(-width // TILE), -(-height // TILE)
        _, keys, order = kernels.intersect_tile(
            self.means2d, self.seen, self.depths, None, None, views, TILE, across, down, True, False
        )
        offsets = kernels.intersect_offset(keys, views, across, down).view(views, down, across)
        del keys
        shown = self.shapes.opacities.expand(views, -1).contiguous()
        shown = shown if self.dimmed is None else shown * self.dimmed
        self.drawn = (
            self.means2d, self.conics, colours, shown, None, None, width, height, TILE, offsets, order,
        )  # fmt: skip
        image: Tensor
        image, self.shown, self.last = kernels.rasterize_to_pixels_3dgs_fwd(*self.drawn)
        return image

    def alpha(self) -> Tensor:
        """See `passes.Pass`."""
        shown: Tensor = self.shown[..., 0]
        return shown

    def backward(self, v_image: Tensor, v_alpha: Tensor | None, *, poses: bool) -> Gradients:
        """See `passes.Pass`."""
        by_alpha = torch.zeros_like(self.shown) if v_alpha is None else v_alpha[..., None]
        _, v_means2d, v_conics, v_colours, v_shown = self.kernels.rasterize_to_pixels_3dgs_bwd(
            *self.drawn, self.shown, self.last, v_image, by_alpha.contiguous(), False
        )
        v_means, _, v_quats, v_scales, v_cameras = self.kernels.projection_ewa_3dgs_fused_bwd(
            *self.gaussians, *self.camera, self.pinhole, self.seen, self.conics, self.dimmed, v_means2d,
            torch.zeros_like(self.depths), v_conics,
            None if self.dimmed is None else v_shown * self.shapes.opacities, poses,
        )  # fmt: skip
        v_opacities = v_shown if self.dimmed is None else v_shown * self.dimmed
        return Gradients(
            v_means,
            v_quats,
            v_scales,
            v_opacities.sum(dim=0),
            v_colours,
            v_cameras if poses else None,
        )
