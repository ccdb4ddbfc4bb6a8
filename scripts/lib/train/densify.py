"""Growth by Markov chain Monte Carlo: dead Gaussians move to live ones, new ones are split off.

After Kheradmand et al., "3D Gaussian Splatting as Markov Chain Monte Carlo" (NeurIPS 2024), from
the paper's formulae: a Gaussian that becomes n stands for the same colour when its opacity o turns
into 1 - (1 - o)^(1/n) and its width shrinks by o / D. Plain torch, so every backend runs the same.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scripts.lib.train.parameters import NAMES, Parameters

DEAD = 0.005  # opacity below which a Gaussian is moved elsewhere
TRANSPARENT = -8.0  # logit of an opacity well below that
MOST_COPIES = 51  # the sum below is tabulated this far; more copies in one round count as this many


def shared_out(opacity: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """New opacity (M,) and width factor (M,) when each of `opacity` (M,) becomes `copies` (M,).

    The paper's double sum collapses (hockey-stick identity) to
    D = sum_k C(n, k) (-1)^(k-1) o_new^k / sqrt(k), k = 1 .. n.
    """
    count = copies.clamp(1, MOST_COPIES).double()
    old = opacity.double()
    new = 1 - (1 - old) ** (1 / count)
    highest = int(count.max()) if len(count) else 1
    total = torch.zeros_like(new)
    term = torch.ones_like(new)
    for k in range(1, highest + 1):
        term = term * new * ((count - k + 1) / k).clamp(min=0)  # C(n, k) new^k
        total += term * ((-1) ** (k - 1) / math.sqrt(k))
    return new.to(opacity), (old / total).to(opacity)


def draw(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` indices drawn with probability proportional to `weights` (N,), with replacement."""
    edges = torch.cumsum(weights.double(), 0)
    spots = torch.rand(count, generator=generator, device=weights.device, dtype=torch.float64)
    return torch.searchsorted(edges, spots * edges[-1]).clamp(max=len(weights) - 1)


@torch.no_grad()
def split_off(parameters: Parameters, sources: Tensor) -> dict[str, Tensor]:
    """Share each source among its copies (in place) and return the copies' rows by name."""
    times = torch.bincount(sources, minlength=len(parameters))[sources] + 1
    opacity, shrink = shared_out(torch.sigmoid(parameters["opacities"][sources]), times)
    opacity = opacity.clamp(DEAD, 1 - 1e-6)
    values = {
        "opacities": torch.logit(opacity),
        "scales": parameters["scales"][sources] + torch.log(shrink)[:, None],
    }
    parameters.replace_rows(sources, values)
    return {name: parameters[name][sources] for name in NAMES}


def set_transparent(parameters: Parameters, rows: Tensor) -> None:
    """Make the Gaussians of `rows` (M,) so faint that they are dead; the next relocation moves them."""
    values = torch.full_like(parameters["opacities"][rows], TRANSPARENT)
    parameters.replace_rows(rows, {"opacities": values})


@torch.no_grad()
def relocate_dead(parameters: Parameters, weights: Tensor, generator: torch.Generator) -> int:
    """Move Gaussians fainter than DEAD onto live ones drawn by `weights` (N,); how many moved."""
    opacity = torch.sigmoid(parameters["opacities"])
    dead = torch.nonzero(opacity <= DEAD)[:, 0]
    if len(dead) in (0, len(parameters)):
        return 0
    alive = torch.where(opacity > DEAD, weights, torch.zeros_like(weights))
    sources = draw(alive, len(dead), generator)
    parameters.replace_rows(dead, split_off(parameters, sources))
    return len(dead)


@torch.no_grad()
def grow(parameters: Parameters, target: int, weights: Tensor, generator: torch.Generator) -> int:
    """Append copies drawn by `weights` (N,) until there are `target`; how many were added."""
    missing = target - len(parameters)
    if missing <= 0:
        return 0
    parameters.append(split_off(parameters, draw(weights, missing, generator)))
    return missing


@torch.no_grad()
def add_noise(parameters: Parameters, amount: float, generator: torch.Generator) -> None:
    """Add noise to the means: `amount` x covariance x normal, for faint Gaussians only.

    Solid ones (opacity above a few per cent) stay; faint ones explore.
    """
    means, quats = parameters["means"], parameters["quats"]
    gate = torch.sigmoid(-100 * (torch.sigmoid(parameters["opacities"]) - 0.005))
    normal = torch.randn(means.shape, generator=generator, device=means.device)
    # R S^2 R^T x has the law of R S^2 x, because R^T of a normal is the same normal.
    local = normal * torch.exp(2 * parameters["scales"]) * (gate * amount)[:, None]
    q = torch.nn.functional.normalize(quats, dim=1)
    w, v = q[:, :1], q[:, 1:]
    t = 2 * torch.linalg.cross(v, local)
    means += local + w * t + torch.linalg.cross(v, t)
