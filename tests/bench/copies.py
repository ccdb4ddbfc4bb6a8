"""How Gaussians multiplied before 0.2: copies at one place, up to the ceiling, and none removed.

After Kheradmand et al., "3D Gaussian Splatting as Markov Chain Monte Carlo" (NeurIPS 2024), from the paper's
formulae: a Gaussian that becomes n stands for the same colour when its opacity o turns into
1 - (1 - o)^(1/n) and its width shrinks by o / D.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor

from scripts.lib.train.densify import DEAD
from scripts.lib.train.parameters import NAMES, Parameters

UNTIL = 0.75  # share of the steps that growth went on for
MOST_COPIES = 51  # more copies in one round count as this many


@contextmanager
def growing_by_copies() -> Iterator[None]:
    """Training as it was, until the block ends."""
    with (
        patch("scripts.lib.train.densify.grow", grow),
        patch("scripts.lib.train.trainer.GROW_UNTIL", UNTIL),
        patch("scripts.lib.train.trainer.Trainer._thin", lambda trainer: None),
    ):
        yield


def shared_out(opacity: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """New opacity (M,) and width factor (M,) when each of `opacity` (M,) becomes `copies` (M,).

    The paper's double sum collapses (hockey-stick identity) to
    D = sum_k C(n, k) (-1)^(k-1) o_new^k / sqrt(k), k = 1 .. n.
    """
    count = copies.clamp(1, MOST_COPIES).double()
    old = opacity.double()
    new = 1 - (1 - old) ** (1 / count)
    total, term = torch.zeros_like(new), torch.ones_like(new)
    for k in range(1, int(count.max()) + 1):
        term = term * new * ((count - k + 1) / k).clamp(min=0)  # C(n, k) new^k
        total += term * ((-1) ** (k - 1) / math.sqrt(k))
    return new.to(opacity), (old / total).to(opacity)


def draw(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` indices drawn with probability proportional to `weights` (N,), with replacement."""
    edges = torch.cumsum(weights.double(), 0)
    spots = torch.rand(count, generator=generator, device=weights.device, dtype=torch.float64)
    return torch.searchsorted(edges, spots * edges[-1]).clamp(max=len(weights) - 1)


def split_off(parameters: Parameters, sources: Tensor) -> dict[str, Tensor]:
    """Share each source among its copies (in place) and return the copies' rows by name."""
    times = torch.bincount(sources, minlength=len(parameters))[sources] + 1
    opacity, shrink = shared_out(torch.sigmoid(parameters["opacities"][sources]), times)
    values = {
        "opacities": torch.logit(opacity.clamp(DEAD, 1 - 1e-6)),
        "scales": parameters["scales"][sources] + torch.log(shrink)[:, None],
    }
    parameters.replace_rows(sources, values)
    return {name: parameters[name][sources] for name in NAMES}


@torch.no_grad()
def grow(parameters: Parameters, target: int, weights: Tensor, generator: torch.Generator) -> int:
    """As `densify.grow`: dead Gaussians move to opaque ones, and copies fill up to `target`."""
    opacity = torch.sigmoid(parameters["opacities"])
    dead = torch.nonzero(opacity <= DEAD)[:, 0]
    if 0 < len(dead) < len(parameters):
        sources = draw(opacity * (opacity > DEAD), len(dead), generator)
        parameters.replace_rows(dead, split_off(parameters, sources))
    missing = max(0, target - len(parameters))
    if missing:
        parameters.append(split_off(parameters, draw(weights, missing, generator)))
    return len(dead) + missing
