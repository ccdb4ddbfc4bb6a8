"""The photo loss and its gradient on the GPU, for several photos at once.

Two passes over memory, see loss.cu, and two small kernels that add up what their blocks found, always in the
same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scripts.lib.render.cuda.compile import Source
from scripts.lib.render.cuda.launch import Macros, launch
from scripts.lib.render.losses.reference import C1, C2, SIGMA, WINDOW

LOSS = Source(
    Path(__file__).with_name("loss.cu"),
    (),
    ("compare", "finish", "follow_back", "finish_exposures"),
)
THREADS, STRIP, ENDS = 128, 38, 256  # as in loss.cu
REACH = WINDOW - 1


def _taps() -> str:
    offsets = np.arange(WINDOW) - WINDOW // 2
    bell = np.exp(-(offsets**2) / (2 * SIGMA**2))
    return ", ".join(f"{tap:.9g}f" for tap in bell / bell.sum())


_BELL: Macros = (("WINDOW", WINDOW), ("TAPS", _taps()))
# By the type of the masks: shares of 1, or bytes of 255.
FLOATS: Macros = (*_BELL, ("MASK", "float"), ("SEEN", "1.0f"))
BYTES: Macros = (*_BELL, ("MASK", "unsigned char"), ("SEEN", "(1.0f / 255.0f)"))


@dataclass(frozen=True)
class Judged:
    """What V photos say of their renders: losses (V,), and their gradients by the renders (V, H, W, 3) and by
    the exposures (V, 6), None where there are none."""

    losses: Tensor
    gradients: Tensor
    by_exposures: Tensor | None


def judge(
    renders: Tensor,
    photos: Tensor,
    ssim_weight: float,
    masks: Tensor | None = None,
    exposures: Tensor | None = None,
    share: float = 1.0,
) -> Judged:
    """The loss of `reference.photo_loss` for each of V photos, and the gradients of `share` times their sum.

    renders (V, H, W, 3) float32; photos (V, H, W, 3) uint8; masks (V, H, W), uint8 or float32 in 0..1;
    exposures (V, 6) float32: logarithms of the gains and the offsets of the three colours, with which a
    render is compared as gain * render + offset. All contiguous, on the GPU, for which nothing waits. Gives
    the same bits each time. Raises ValueError for images of less than 11 x 11 pixels.
    """
    views, height, width = renders.shape[:3]
    if min(height, width) < WINDOW:
        raise ValueError(f"SSIM needs images of at least {WINDOW} x {WINDOW} pixels")
    macros = BYTES if masks is not None and masks.dtype == torch.uint8 else FLOATS
    images = (renders, photos, masks, exposures)
    across, down = 3 * (width - REACH), height - REACH
    maps = renders.new_empty(views * 3 * across * down)
    grid = (-(-across // THREADS), -(-down // STRIP), views)
    partial = renders.new_empty(views * grid[0] * grid[1] * 3)
    losses, scales = renders.new_empty(views), renders.new_empty(views)
    launch(
        LOSS, "compare", grid, THREADS, *images, width, height, C1, C2, maps, partial, macros=macros
    )
    launch(
        LOSS, "finish", (views,), ENDS, partial, grid[0] * grid[1], width, height, float(ssim_weight), losses,
        scales, macros=macros,
    )  # fmt: skip
    gradients = torch.empty_like(renders)
    grid = (-(-3 * width // THREADS), -(-height // STRIP), views)
    blocks = grid[0] * grid[1]
    by_blocks = None if exposures is None else renders.new_empty(views * blocks * 6)
    launch(
        LOSS, "follow_back", grid, THREADS, *images, maps, scales, width, height,
        share * (1 - ssim_weight) / (3 * width * height), -share * ssim_weight / (across * down), gradients,
        by_blocks, macros=macros,
    )  # fmt: skip
    if by_blocks is None:
        return Judged(losses, gradients, None)
    by_exposures = renders.new_empty((views, 6))
    launch(LOSS, "finish_exposures", (views,), ENDS, by_blocks, blocks, by_exposures, macros=macros)
    return Judged(losses, gradients, by_exposures)


def loss_and_gradient(
    render: Tensor, photo: Tensor, ssim_weight: float, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The loss of `reference.photo_loss`, a scalar tensor, and its gradient (H, W, 3) by `render`.

    render (H, W, 3) float32, photo (H, W, 3) uint8, mask (H, W) float32 in 0..1; as `judge` for one photo.
    """
    found = judge(render[None], photo[None], ssim_weight, None if mask is None else mask[None])
    return found.losses[0], found.gradients[0]
