"""What training minimises: L1 and structural similarity between a render and its photo."""

from __future__ import annotations

import torch

from scripts.lib.losses.reference import WINDOW


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
        from scripts.lib.losses.reference import photo_loss as plain

        return plain(render, photo.float() / 255, ssim_weight, mask)
    if render.is_cuda:
        from scripts.lib.losses.cuda import photo_loss as kernel
    else:
        from scripts.lib.losses.cpu import photo_loss as kernel
    return kernel(render, photo, ssim_weight, mask)
