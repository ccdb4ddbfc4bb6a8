"""How much each Gaussian shows, and which of them can go.

Growth makes more Gaussians than a scene needs: it cannot know beforehand which will be of use. Once it is
over, those that show least go, as many as together make a few per cent of the pictures; the rest of the run
closes the gaps. So their number follows from the scene, and `max_gaussians` is a ceiling.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from scripts.lib.render.rasterise import rasterise
from scripts.lib.train.views import Stack

SPARED = 0.05  # of all that the pictures show, made by those that go


def shown(parameters: dict[str, Tensor], views: Iterable[Stack], antialiased: bool) -> Tensor:
    """How many pixels of all views each Gaussian (N,) makes: its blend weights, summed.

    A picture of grey Gaussians is linear in their colours, and its derivative by one of them is the sum of
    that one's weights. Of the views, only cameras and sizes count.
    """
    with torch.no_grad():
        means, quats = parameters["means"], parameters["quats"]
        scales = torch.exp(parameters["scales"])
        opacities = torch.sigmoid(parameters["opacities"])
    total = torch.zeros(len(means), device=means.device)
    for stack in views:
        for row in range(len(stack)):
            grey = torch.zeros((len(means), 1, 3), device=means.device, requires_grad=True)
            colour, _ = rasterise(
                means,
                quats,
                scales,
                opacities,
                grey,
                stack.world_to_camera[row : row + 1],
                stack.K[row : row + 1],
                stack.size,
                antialiased=antialiased,
            )
            (gradient,) = torch.autograd.grad(colour[..., 0].sum(), grey)
            total += gradient[:, 0, 0]
    return total


def needed(weights: Tensor, spared: float = SPARED) -> Tensor:
    """Rows, in order, of all but those that show least, which make at most `spared` of all `weights` (N,)."""
    order = torch.argsort(weights)
    sums = torch.cumsum(weights[order].double(), 0)
    few = int((sums <= spared * sums[-1]).sum()) if len(weights) else 0
    return order[few:].sort().values
