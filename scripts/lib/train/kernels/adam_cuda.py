"""Adam's update in one pass over memory, in Triton."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import triton
import triton.language as tl

BLOCK = 1024


@triton.jit
def adam_update(value, gradient, first, second, mask, rate, beta1, beta2, root, epsilon):  # type: ignore[no-untyped-def]
    """The values of a block after one Adam step; the moments behind the pointers are brought forward.

    first, second: pointers to the block's moments; mask: which of them there are. `rate` is the learning
    rate over 1 - beta1^t, `root` 1 / sqrt(1 - beta2^t).
    """
    m = tl.load(first, mask=mask, other=0.0)
    v = tl.load(second, mask=mask, other=0.0)
    m += (gradient - m) * (1 - beta1)
    v = v * beta2 + gradient * gradient * (1 - beta2)
    tl.store(first, m, mask=mask)
    tl.store(second, v, mask=mask)
    return value - rate * m / (tl.sqrt(v) * root + epsilon)


@triton.jit
def _adam(  # type: ignore[no-untyped-def]
    values,
    gradient,
    first,
    second,
    rates,
    total,
    columns,
    beta1,
    beta2,
    root,
    epsilon,
    BLOCK: tl.constexpr,
):
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < total
    g = tl.load(gradient + place, mask=inside, other=0.0)
    rate = tl.load(rates + place % columns, mask=inside, other=0.0)
    value = tl.load(values + place, mask=inside, other=0.0)
    value = adam_update(
        value, g, first + place, second + place, inside, rate, beta1, beta2, root, epsilon
    )
    tl.store(values + place, value, mask=inside)


def adam(
    values: torch.Tensor,
    gradient: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    rates: npt.NDArray[Any],
    steps: int,
    *,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> None:
    """As `scripts.lib.train.kernels.adam.adam`, for tensors on the GPU."""
    corrected = (np.asarray(rates, np.float64) / (1 - beta1**steps)).astype(np.float32)
    total = values.numel()
    if not total:
        return
    _adam[(triton.cdiv(total, BLOCK),)](
        values,
        gradient.contiguous(),
        first,
        second,
        torch.from_numpy(corrected).to(values.device, non_blocking=True),
        total,
        len(corrected),
        beta1,
        beta2,
        1 / math.sqrt(1 - beta2**steps),
        epsilon,
        BLOCK=BLOCK,
    )
