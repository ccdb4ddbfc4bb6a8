"""Launch our CUDA kernels with torch tensors, on torch's device and stream."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scripts.lib.render.cuda.compile import Source, machine_code

Macros = tuple[tuple[str, str | int], ...]


def launch(
    source: Source,
    kernel: str,
    grid: tuple[int, ...],
    block: int,
    *arguments: Tensor | float | None,
    macros: Macros = (),
) -> None:
    """Launch one kernel of `source`, compiled with `macros` (pairs of name and value).

    Tensors go as pointers and must be contiguous (ValueError), None as no pointer, int and float as 32 bits.
    Nothing happens where the grid has no block.
    """
    if not all(grid):
        return
    code = _kernels(source, macros, torch.cuda.current_device())[kernel]
    stream = _stream(torch.cuda.current_stream().cuda_stream)
    _start()(stream, _shape(grid, block), code, *map(_value, arguments))


# What every launch needs again is found once: the GPU must not wait for the CPU.


@cache
def _start() -> Any:
    from cuda.core import launch as start

    return start


@lru_cache(maxsize=256)
def _shape(grid: tuple[int, ...], block: int) -> Any:
    from cuda.core import LaunchConfig

    return LaunchConfig(grid=grid, block=block)


@cache
def _kernels(source: Source, macros: Macros, device: int) -> dict[str, object]:
    from cuda.core import Device, ObjectCode

    Device(device).set_current()
    major, minor = torch.cuda.get_device_capability(device)
    module = ObjectCode.from_cubin(machine_code(source, dict(macros), f"sm_{major}{minor}"))
    return {name: module.get_kernel(name) for name in source.kernels}


def _value(argument: Tensor | float | None) -> Any:
    if isinstance(argument, Tensor):
        if not argument.is_contiguous():
            raise ValueError("kernels take contiguous tensors")
        return argument.data_ptr()
    if argument is None:
        return 0
    return np.float32(argument) if isinstance(argument, float) else np.int32(argument)


@cache
def _stream(handle: int) -> Any:
    from cuda.core import Stream

    return Stream.from_handle(handle)
