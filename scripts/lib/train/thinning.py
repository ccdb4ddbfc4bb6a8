"""How much each Gaussian shows, and which of them can go.

Growth makes more Gaussians than a scene needs: it cannot know beforehand which will be of use. Once it is
over, those that show least go, as many as together make a few per cent of the pictures; the rest of the run
closes the gaps. So their number follows from the scene, and `max_gaussians` is a ceiling.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from scripts.lib.core.console import UserError
from scripts.lib.render.renderer import blend_weights
from scripts.lib.train.frozen import Frozen
from scripts.lib.train.step import render
from scripts.lib.train.views import Stack

SPARED = 0.05  # of all that the pictures show, made by those that go


def contributions(
    parameters: dict[str, Tensor],
    views: Iterable[Stack],
    antialiased: bool,
    frozen: Frozen | None = None,
) -> Tensor:
    """How many pixels of all views each Gaussian (N,) makes: its blend weights, summed.

    Of the views, only cameras and sizes count. `frozen` Gaussians stand in the way.
    Raises UserError when nothing shows at all, unless it is of a part of the scene, which may be empty.
    """
    plain = {name: values.detach() for name, values in parameters.items()}
    total = torch.zeros_like(plain["opacities"])
    for stack in views:
        for row in range(len(stack)):
            total += _one_view(plain, stack, row, antialiased, frozen)
    if frozen is None and not (total > 0).any():
        raise UserError(
            "training has made everything transparent: what the photos show fits neither the cameras nor the"
            " points; look at the photos in undistorted.zip, and in sfm.json for cameras far from all others"
        )
    return total


def _one_view(
    plain: dict[str, Tensor], stack: Stack, row: int, antialiased: bool, frozen: Frozen | None
) -> Tensor:
    camera = replace(
        stack, world_to_camera=stack.world_to_camera[row : row + 1], K=stack.K[row : row + 1]
    )
    return blend_weights(
        len(plain["means"]),
        plain["means"].device,
        lambda grey: render(plain | {"sh": grey}, camera, 0, antialiased, frozen=frozen),
    )


def needed(weights: Tensor, spared: float = SPARED) -> Tensor:
    """Rows, in order, of all but those that show least, which make at most `spared` of all `weights` (N,)."""
    order = torch.argsort(weights)
    sums = torch.cumsum(weights[order].double(), 0)
    few = int((sums <= spared * sums[-1]).sum()) if len(weights) else 0
    return order[few:].sort().values
