"""A rasteriser for GPUs as a differentiable torch function."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scripts.lib.render.rasterise.passes import Cameras, Rasteriser, Shapes
from scripts.lib.render.rasterise.reference import sh_basis


def render(
    rasteriser: Rasteriser, shapes: Shapes, sh: Tensor, cameras: Cameras, antialiased: bool
) -> tuple[Tensor, Tensor]:
    """Images (V, H, W, 3), premultiplied, and alpha (V, H, W, 1) of Gaussians with harmonics sh (N, K, 3).

    Differentiable in the shapes and the harmonics, not in the cameras.
    """
    image, alpha = _Rasterise.apply(  # type: ignore[no-untyped-call]
        shapes.means.contiguous(),
        shapes.quats.contiguous(),
        shapes.scales.contiguous(),
        shapes.opacities.contiguous(),
        _colours(shapes.means, sh, cameras),
        cameras,
        antialiased,
        rasteriser,
    )
    return image, alpha[..., None]


def _colours(means: Tensor, sh: Tensor, cameras: Cameras) -> Tensor:
    """Colours (V, N, 3) of the Gaussians as each camera sees them."""
    pose = cameras.world_to_camera
    centres = -(pose[:, :3, :3].transpose(1, 2) @ pose[:, :3, 3:])[..., 0]
    colours = []
    for centre in centres:
        directions = torch.nn.functional.normalize(means - centre, dim=1)
        basis = sh_basis(directions, sh.shape[1])
        colours.append((torch.einsum("nk,nkc->nc", basis, sh) + 0.5).clamp_min(0))
    return torch.stack(colours)


class _Rasterise(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        colours: Tensor,
        cameras: Cameras,
        antialiased: bool,
        rasteriser: Rasteriser,
    ) -> tuple[Tensor, Tensor]:
        """Draw, and keep what the way back needs."""
        started = rasteriser(Shapes(means, quats, scales, opacities), cameras, antialiased)
        context.started = started
        return started.draw(colours), started.alpha()

    @staticmethod
    def backward(context: Any, v_image: Tensor, v_alpha: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Gradients by what `forward` was given."""
        found = context.started.backward(v_image.contiguous(), v_alpha.contiguous(), poses=False)
        by_shapes = (found.means, found.quats, found.scales, found.opacities, found.colours)
        return *by_shapes, None, None, None
