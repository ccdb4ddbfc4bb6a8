"""The photo loss in plain torch: for any device, and what the kernels are held against."""

from __future__ import annotations

import torch
from torch.nn import functional

WINDOW, SIGMA = 11, 1.5  # the Gaussian window of Wang et al., "Image quality assessment" (2004)
C1, C2 = 0.01**2, 0.03**2  # its stabilisers, for values in 0..1


def photo_loss(
    render: torch.Tensor,
    photo: torch.Tensor,
    ssim_weight: float = 0.2,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """As `scripts.lib.render.losses.photo_loss`, for two images (H, W, 3) with values about 0..1."""
    if mask is None:
        return _photo_loss(render, photo, ssim_weight)
    mask = mask.reshape(*render.shape[:2], 1).to(render)
    blended = mask * render + (1 - mask) * photo
    return _photo_loss(blended, photo, ssim_weight) / mask.mean().clamp_min(1e-6)


def _photo_loss(render: torch.Tensor, photo: torch.Tensor, ssim_weight: float) -> torch.Tensor:
    loss = (1 - ssim_weight) * functional.l1_loss(render, photo)
    if ssim_weight:
        loss = loss + ssim_weight * (1 - ssim(render, photo))
    return loss


def ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean structural similarity of two images (H, W, 3), by torch convolutions on any device."""
    if min(a.shape[:2]) < WINDOW:
        raise ValueError(f"SSIM needs images of at least {WINDOW} x {WINDOW} pixels")
    offsets = torch.arange(WINDOW, dtype=a.dtype, device=a.device) - WINDOW // 2
    window = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    window = window / window.sum()
    x, y = a.permute(2, 0, 1), b.permute(2, 0, 1).to(a)
    maps = torch.cat([x, y, x * x, y * y, x * y])[:, None]
    maps = functional.conv2d(maps, window.reshape(1, 1, 1, -1))
    maps = functional.conv2d(maps, window.reshape(1, 1, -1, 1))
    mean_x, mean_y, xx, yy, xy = maps[:, 0].chunk(5)
    ssim = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    ssim = ssim * (2 * (xy - mean_x * mean_y) + C2)
    ssim = ssim / (xx - mean_x**2 + yy - mean_y**2 + C2)
    return ssim.mean()
