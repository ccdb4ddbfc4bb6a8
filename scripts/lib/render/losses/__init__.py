"""What training minimises: L1 and structural similarity between a render and its photo."""

from __future__ import annotations

from typing import Any

import torch

from scripts.lib.render.losses.reference import WINDOW


class _PhotoLoss(torch.autograd.Function):
    """The kernels give loss and gradient at once; the way back only scales it."""

    @staticmethod
    def forward(ctx: Any, render: Any, photo: Any, ssim_weight: float, mask: Any) -> Any:
        if render.is_cuda:
            from scripts.lib.render.losses.cuda import loss_and_gradient
        else:
            from scripts.lib.render.losses.cpu import loss_and_gradient
        loss, gradient = loss_and_gradient(
            render.detach().contiguous(),
            photo.contiguous(),
            ssim_weight,
            None if mask is None else mask.float().contiguous(),
        )
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Any) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None, None


def photo_loss(
    render: torch.Tensor,
    photo: torch.Tensor,
    ssim_weight: float = 0.2,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Scalar `(1 - w) * L1 + w * (1 - SSIM)` of a render (H, W, 3), float32, and a photo, uint8.

    `mask` (H, W), 0..1: where it is 0 the render is left unjudged (the photo stands in for it), and the
    loss is the mean over the rest. Differentiable in `render`. SSIM counts the windows of 11 x 11 that
    lie wholly inside the image; ValueError when a side is shorter and `ssim_weight` is not 0.
    """
    if ssim_weight and min(render.shape[:2]) < WINDOW:
        raise ValueError(f"SSIM needs images of at least {WINDOW} x {WINDOW} pixels")
    if not ssim_weight:
        from scripts.lib.render.losses.reference import photo_loss as plain

        return plain(render, photo.float() / 255, ssim_weight, mask)
    found: torch.Tensor = _PhotoLoss.apply(render, photo, ssim_weight, mask)  # type: ignore[no-untyped-call]
    return found
