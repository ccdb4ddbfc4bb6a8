"""How well the Gaussians of a run show photos, while it goes on."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from scripts.lib.train.frozen import Frozen
from scripts.lib.train.step import render
from scripts.lib.train.views import Stack


@torch.no_grad()
def mean_psnr(
    parameters: dict[str, torch.Tensor],
    views: Iterable[Stack],
    degree: int,
    antialiased: bool,
    exposed: bool = False,
    frozen: Frozen | None = None,
) -> float | None:
    """Mean PSNR in dB of stacks of one photo each, `frozen` Gaussians drawn too; None when there are none.

    exposed: whether each render first gets the photo's brightness, see `exposed_as`.
    """
    errors = []
    for view in views:
        colour = render(parameters, view, degree, antialiased, frozen=frozen)[0]
        if exposed:
            colour = exposed_as(colour, view.photo(0), view.mask(0))
        errors.append(square_error(colour.clamp(0, 1), view.photo(0), view.mask(0)))
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


def exposed_as(
    colour: torch.Tensor, photo: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """A render (H, W, 3) with the gain and the offset of each colour that bring it nearest to a photo, uint8.

    Least squares over what the mask (H, W) shows. A colour that is the same everywhere is only moved.
    """
    real = photo.float() / 255
    weights = torch.ones_like(colour[..., 0]) if mask is None else mask
    weights = (weights / weights.sum().clamp_min(1e-6))[..., None]
    centre, real_centre = ((weights * it).sum(dim=(0, 1)) for it in (colour, real))
    away = colour - centre
    spread = (weights * away.square()).sum(dim=(0, 1))
    together = (weights * away * (real - real_centre)).sum(dim=(0, 1))
    gain = torch.where(spread > 1e-8, together / spread.clamp_min(1e-8), 1.0)
    return away * gain + real_centre
