"""Adam's update in one pass over memory, on the GPU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from scripts.lib.render.cuda.launch import launch
from scripts.lib.train.kernels.geometry_cuda import BLOCK, GAUSSIANS, HALF


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
    """As `scripts.lib.train.kernels.adam.adam`, for tensors on the GPU, all of them float32."""
    corrected = (np.asarray(rates, np.float64) / (1 - beta1**steps)).astype(np.float32)
    total = values.numel()
    launch(
        GAUSSIANS, "adam", (-(-total // BLOCK),), BLOCK, values, gradient.contiguous(), first, second,
        torch.from_numpy(corrected).to(values.device, non_blocking=True), total, len(corrected), beta1, beta2,
        1 / math.sqrt(1 - beta2**steps), epsilon, macros=HALF,
    )  # fmt: skip
