"""Activations of the raw parameters, and their gradient straight into an Adam step, on the GPU.

One kernel before the rasteriser and one after it, where torch would launch some forty: exponentials and
sigmoids with their derivatives, the regularisers, Adam on means, quats, scales and opacities, the noise
of Markov chain Monte Carlo, and the norm of the gradient by each position.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from scripts.lib.render.cuda.compile import Source
from scripts.lib.render.cuda.launch import Macros, launch

FOLDER = Path(__file__).parent
HEADERS = (FOLDER / "numbers.cuh", FOLDER / "adam.cuh")
GAUSSIANS = Source(FOLDER / "gaussians.cu", HEADERS, ("activate", "step_geometry", "adam"))
BLOCK = 256
# Types of harmonics and moments, see numbers.cuh: float32, or float16 and bfloat16.
SINGLE: Macros = (("VALUE", "float"), ("MOMENT", "float"))
HALF: Macros = (("VALUE", "Half"), ("MOMENT", "Brain"))


def types_of(harmonics_or_moments: Tensor) -> Macros:
    """The macros with which kernels take such a tensor."""
    return SINGLE if harmonics_or_moments.dtype == torch.float32 else HALF


def activate(
    raw_scales: Tensor, raw_opacities: Tensor, seed: int, drop: float
) -> tuple[Tensor, Tensor]:
    """Scales (N, 3) = exp of the raw ones and opacities (N,) = sigmoid of the raw ones.

    With `drop` > 0 that share of the Gaussians is left out, drawn by `seed` (0 to 2^31 - 1), and the others
    stand in.
    """
    count = len(raw_opacities)
    scales, opacities = torch.empty_like(raw_scales), torch.empty_like(raw_opacities)
    launch(
        GAUSSIANS, "activate", (-(-count // BLOCK),), BLOCK, raw_scales, raw_opacities, scales, opacities,
        count, seed, float(drop), macros=HALF,
    )  # fmt: skip
    return scales, opacities


def step_geometry(
    values: tuple[Tensor, ...],
    first: tuple[Tensor, ...],
    second: tuple[Tensor, ...],
    gradients: tuple[Tensor, ...],
    rates: tuple[float, ...],
    steps: int,
    *,
    seed: int,
    drop: float,
    opacity_cost: float,
    scale_cost: float,
    axis_ratio: float,
    noise: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    position_gradients: Tensor,
    ledger: Tensor | None = None,
) -> None:
    """Step `steps` (from 1) of Adam on raw means, quats, scales and opacities, in place, then the noise.

    values, first, second, gradients, rates: in that order. The gradients are by the means (N, 3), the quats
    (N, 4), the scales (N, 3) after exp, and the opacities (N,) that went into the views. `seed` and `drop` as
    for `activate`. Moments in bfloat16 are rounded at random, by `seed`. opacity_cost and scale_cost:
    gradient added for every opacity and every scale. axis_ratio: of the longest axis to the second, at most;
    0 is no limit. The norm of each mean's gradient times its widest scale is added to `position_gradients`
    (N,). Nothing changes where the `ledger` of a `rasterise.cuda.room.Room` says that this step is lost.
    """
    count = len(values[0])
    correction = 1 - beta1**steps
    launch(
        GAUSSIANS, "step_geometry", (-(-count // BLOCK),), BLOCK, *values, *first, *second, *gradients,
        position_gradients, count, seed, float(drop), *(rate / correction for rate in rates),
        float(opacity_cost), float(scale_cost), math.log(axis_ratio) if axis_ratio else math.inf,
        float(noise), beta1, beta2, 1 / math.sqrt(1 - beta2**steps), epsilon, ledger,
        macros=types_of(first[0]),
    )  # fmt: skip
