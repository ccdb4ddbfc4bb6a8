"""Adam's update in one pass over memory, for the CPU."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import torch

from scripts.lib.core.jit import LOCK, compiled, parallel, take_next, threads

f32 = np.float32
CHUNK = 4096


@compiled
def _some(counter, values, gradient, first, second, rates, beta1, beta2, root, epsilon):  # type: ignore[no-untyped-def]
    count, columns = values.shape[0], rates.shape[0]
    while True:
        begin = take_next(counter, CHUNK)
        if begin >= count:
            break
        column = begin % columns
        for i in range(begin, min(begin + CHUNK, count)):
            g = gradient[i]
            m = first[i] + (g - first[i]) * (f32(1) - beta1)
            v = second[i] * beta2 + g * g * (f32(1) - beta2)
            first[i], second[i] = m, v
            values[i] -= rates[column] * m / (math.sqrt(v) * root + epsilon)
            column = 0 if column + 1 == columns else column + 1


@parallel
def _all(workers, values, gradient, first, second, rates, beta1, beta2, root, epsilon):  # type: ignore[no-untyped-def]
    counter = np.zeros(1, np.int64)
    for _ in numba.prange(workers):
        _some(counter, values, gradient, first, second, rates, beta1, beta2, root, epsilon)


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
    """Step `steps` (from 1) of Adam, in place; four tensors of one shape, contiguous, on the CPU.

    `rates` (C,): the learning rate of each column, repeated over the flattened tensor.
    """
    corrected = (np.asarray(rates, np.float64) / (1 - beta1**steps)).astype(np.float32)
    root = f32(1 / math.sqrt(1 - beta2**steps))
    flat = [tensor.reshape(-1).numpy() for tensor in (values, gradient, first, second)]
    with LOCK:
        _all(threads(), *flat, corrected, f32(beta1), f32(beta2), root, f32(epsilon))
