"""Growth: where the loss pulls most, a Gaussian becomes two along its long axis; faint ones move there.

The noise that lets faint Gaussians explore is that of Kheradmand et al., "3D Gaussian Splatting as Markov
chain Monte Carlo" (NeurIPS 2024). Plain torch, so every device runs the same.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scripts.lib.train.parameters import NAMES, Parameters

DEAD = 0.005  # opacity below which a Gaussian is moved elsewhere
TRANSPARENT = -8.0  # logit of an opacity well below that
# Two halves stand this many standard deviations from the middle, along the longest axis. Variances add: along
# that axis 1 - APART^2 of the variance is left to each half.
APART = 0.7
NARROWER = math.sqrt(1 - APART**2)
# What a half reaches of its own opacity in the middle between them.
IN_THE_MIDDLE = math.exp(-(APART**2) / (2 * (1 - APART**2)))
MOST_OPAQUE = 0.98  # of a half


def draw(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` different indices, drawn one after the other with probability proportional to `weights` (N,).

    Those of weight 0 are not drawn; fewer come back where fewer have a weight. By the largest of exponential
    keys: Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006).
    """
    uniform = torch.rand(len(weights), generator=generator, device=weights.device)
    exponential = -torch.log(uniform.clamp(1e-12, 1 - 1e-7))
    keys = torch.where(weights > 0, torch.log(weights) - torch.log(exponential), -torch.inf)
    count = min(count, int((weights > 0).sum()))
    return torch.topk(keys, count).indices


@torch.no_grad()
def halve(parameters: Parameters, rows: Tensor) -> dict[str, Tensor]:
    """Make each Gaussian of `rows` (M,), all different, one of its two halves; the other halves by name.

    Together they have the mean and the covariance of the one that they come from, and its opacity in the
    middle.
    """
    scales, means = parameters["scales"][rows], parameters["means"][rows]
    longest = scales.argmax(dim=1, keepdim=True)
    axis = torch.zeros_like(scales).scatter_(1, longest, 1.0)
    q = torch.nn.functional.normalize(parameters["quats"][rows], dim=1)
    away = rotate(q, axis) * (APART * torch.exp(scales.gather(1, longest)))
    through = (1 - torch.sigmoid(parameters["opacities"][rows])).sqrt()
    opacity = ((1 - through) / IN_THE_MIDDLE).clamp(DEAD, MOST_OPAQUE)
    values = {
        "means": means - away,
        "scales": scales + axis * math.log(NARROWER),
        "opacities": torch.logit(opacity),
    }
    parameters.replace_rows(rows, values)
    return {name: parameters[name][rows] for name in NAMES} | {"means": means + away}


def rotate(quats: Tensor, vectors: Tensor) -> Tensor:
    """Vectors (M, 3) turned by unit quaternions (M, 4) wxyz."""
    w, v = quats[:, :1], quats[:, 1:]
    t = 2 * torch.linalg.cross(v, vectors)
    turned: Tensor = vectors + w * t + torch.linalg.cross(v, t)
    return turned


def set_transparent(parameters: Parameters, rows: Tensor) -> None:
    """Make the Gaussians of `rows` (M,) so faint that they are dead; the next round of growth moves them."""
    values = torch.full_like(parameters["opacities"][rows], TRANSPARENT)
    parameters.replace_rows(rows, {"opacities": values})


@torch.no_grad()
def grow(parameters: Parameters, target: int, weights: Tensor, generator: torch.Generator) -> int:
    """Halve live Gaussians drawn by `weights` (N,); how many were halved.

    The other halves replace those fainter than DEAD, and fill up to `target` in all.
    """
    alive = torch.sigmoid(parameters["opacities"]) > DEAD
    dead = torch.nonzero(~alive)[:, 0]
    wanted = len(dead) + max(0, target - len(parameters))
    chosen = draw(weights * alive, wanted, generator)
    if not len(chosen):
        return 0
    halves = halve(parameters, chosen)
    moved = dead[: len(chosen)]
    parameters.replace_rows(moved, {name: rows[: len(moved)] for name, rows in halves.items()})
    if len(chosen) > len(moved):
        parameters.append({name: rows[len(moved) :] for name, rows in halves.items()})
    return len(chosen)


@torch.no_grad()
def shorten(scales: Tensor, ratio: float) -> None:
    """Hold the longest axis within `ratio` times the second, in raw `scales` (N, 3); 0 is no limit."""
    if ratio:
        a, b, c = scales.unbind(dim=1)
        # The median of three; torch.median takes six times as long.
        second = torch.maximum(torch.minimum(a, b), torch.minimum(torch.maximum(a, b), c))
        scales.clamp_(max=(second + math.log(ratio))[:, None])


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
    means += rotate(torch.nn.functional.normalize(quats, dim=1), local)
