"""Launch our CUDA kernels with torch tensors, on torch's device and stream."""

from __future__ import annotations

from functools import cache
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
    from cuda.core import LaunchConfig
    from cuda.core import launch as start

    if not all(grid):
        return
    code = _kernels(source, macros, torch.cuda.current_device())[kernel]
    stream = _stream(torch.cuda.current_stream().cuda_stream)
    start(stream, LaunchConfig(grid=grid, block=block), code, *map(_value, arguments))


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
