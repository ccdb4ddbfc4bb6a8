"""How well the Gaussians of a run show photos, while it goes on."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from scripts.lib.train.step import render
from scripts.lib.train.views import Stack


@torch.no_grad()
def mean_psnr(
    parameters: dict[str, torch.Tensor], views: Iterable[Stack], degree: int, antialiased: bool
) -> float | None:
    """Mean PSNR in dB of stacks of one photo each; None when there are none."""
    errors = []
    for view in views:
        colour = render(parameters, view, degree, antialiased)[0].clamp(0, 1)
        errors.append(square_error(colour, view.photo(0), view.mask(0)))
    if not errors:
        return None
    return float((-10 * torch.log10(torch.stack(errors).clamp_min(1e-10))).mean())


def square_error(
    colour: torch.Tensor, photo: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """Mean square error of a render (H, W, 3) in 0..1 against a photo, uint8, over what its mask shows."""
    squares = (colour - photo.float() / 255).square().mean(dim=2)
    if mask is None:
        return squares.mean()
    return (squares * mask).sum() / mask.sum().clamp_min(1e-6)
