"""The CPU backend: numba kernels behind a torch autograd function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from scripts.lib.core.jit import LOCK, threads
from scripts.lib.render.rasterise import binning, ellipses, projection, projection_backward, tiles


@dataclass
class _Frame:
    """What the way back needs of one rendered view."""

    size: tuple[int, int]
    antialiased: bool
    camera: npt.NDArray[np.float32]
    records: npt.NDArray[np.float32]
    tiles: npt.NDArray[np.int64]
    entries: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int32]
    slots: int
    transmittances: npt.NDArray[np.float32]
    stops: npt.NDArray[np.float32]
    ends: npt.NDArray[np.int64]


def _forward(
    parameters: list[npt.NDArray[np.float32]],
    camera: npt.NDArray[np.float32],
    size: tuple[int, int],
    antialiased: bool,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], _Frame]:
    (width, height), count, workers = size, len(parameters[0]), threads()
    records = np.empty((count, ellipses.RECORD), np.float32)
    depths, boxes = np.empty(count, np.float32), np.empty(count, np.int32)
    projection.project(
        workers, camera, width, height, antialiased, *parameters, records, depths, boxes
    )
    lists, entries, starts, counts, slots = binning.bin_tiles(workers, size, records, depths, boxes)
    number = len(lists) - 1
    colour = np.empty((height, width, 3), np.float32)
    alpha = np.empty((height, width, 1), np.float32)
    transmittances = np.empty((number, tiles.PIXELS), np.float32)
    stops, ends = np.empty_like(transmittances), np.empty(number, np.int64)
    tiles.draw(
        workers, width, height, records, lists, entries, colour, alpha, transmittances, stops, ends
    )
    frame = _Frame(
        size,
        antialiased,
        camera,
        records,
        lists,
        entries,
        starts,
        counts,
        slots,
        transmittances,
        stops,
        ends,
    )
    return colour, alpha, frame


def _backward(
    parameters: list[npt.NDArray[np.float32]],
    frame: _Frame,
    d_colour: npt.NDArray[np.float32],
    d_alpha: npt.NDArray[np.float32],
) -> list[npt.NDArray[np.float32]]:
    workers, (width, height) = threads(), frame.size
    partial = np.empty((frame.slots, ellipses.GRADIENTS), np.float32)
    tiles.draw_backward(
        workers,
        width,
        height,
        frame.records,
        frame.tiles,
        frame.entries,
        frame.transmittances,
        frame.stops,
        frame.ends,
        d_colour,
        d_alpha,
        partial,
    )
    gradients = [np.empty_like(parameter) for parameter in parameters]
    projection_backward.project_backward(
        workers,
        frame.camera,
        frame.antialiased,
        *parameters,
        frame.records,
        frame.starts,
        frame.counts,
        partial,
        *gradients,
    )
    return gradients


class _Rasterise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, camera: Any, size: Any, antialiased: bool, *parameters: torch.Tensor
    ) -> Any:
        arrays = [parameter.detach().numpy() for parameter in parameters]
        with LOCK:
            colour, alpha, ctx.frame = _forward(arrays, camera, size, antialiased)
        ctx.save_for_backward(*parameters)
        return torch.from_numpy(colour), torch.from_numpy(alpha)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_colour: torch.Tensor, d_alpha: torch.Tensor) -> Any:
        arrays = [parameter.detach().numpy() for parameter in ctx.saved_tensors]
        with LOCK:
            gradients = _backward(
                arrays, ctx.frame, d_colour.contiguous().numpy(), d_alpha.contiguous().numpy()
            )
        return (None, None, None, *(torch.from_numpy(gradient) for gradient in gradients))


def render(
    means: torch.Tensor,
    quats: torch.Tensor,
    scales: torch.Tensor,
    opacities: torch.Tensor,
    sh: torch.Tensor,
    world_to_camera: torch.Tensor,
    K: torch.Tensor,
    size: tuple[int, int],
    *,
    near: float = 0.01,
    far: float = 1e10,
    antialiased: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One camera: colour (H, W, 3) premultiplied and alpha (H, W, 1), float32."""
    camera = projection.pack_camera(
        world_to_camera.detach().cpu().numpy(), K.detach().cpu().numpy(), size, near, far
    )
    parameters = [
        parameter.to("cpu", torch.float32).contiguous()
        for parameter in (means, quats, scales, opacities, sh)
    ]
    colour, alpha = _Rasterise.apply(camera, size, antialiased, *parameters)  # type: ignore[no-untyped-call]
    return colour, alpha
