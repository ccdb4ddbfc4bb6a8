"""The trained tensors with their Adam moments, in buffers that hold max_gaussians rows from the start."""

from __future__ import annotations

import math
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from scripts.lib.splat.gaussians import Gaussians
from scripts.lib.train.options import Precision
from scripts.lib.train.state import ParametersState

# Adam's learning rates in a scene of radius 1, the values 3D Gaussian splatting is usually run with.
# The constant band of the harmonics has its own rate, twenty times that of the others.
LEARNING_RATES = {"means": 1.6e-4, "quats": 1e-3, "scales": 5e-3, "opacities": 5e-2, "sh": 2.5e-3}
SH_REST = 1 / 20
NAMES = tuple(LEARNING_RATES)


class AdamNumbers(TypedDict):
    """Adam's decay of the first and the second moments, and what keeps it from dividing by zero."""

    beta1: float
    beta2: float
    epsilon: float


ADAM: AdamNumbers = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-15}


# Types of the harmonics and of all moments. Second moments need the range of a float: they go down to 1e-20.
TYPES: dict[Precision, tuple[torch.dtype, torch.dtype]] = {
    "single": (torch.float32, torch.float32),
    "half": (torch.float16, torch.bfloat16),
}


class Parameters:
    """N Gaussians as raw (PLY-native) torch tensors with first and second moments.

    `parameters["means"]` (N, 3), "quats" (N, 4) wxyz, "scales" (N, 3) log, "opacities" (N,) logit, "sh"
    (N, K, 3) are views of the buffers: writing to them changes the Gaussians. With `precision` "half" the
    harmonics and all moments have 16 bits; the rest is always float32.
    """

    def __init__(
        self, tensors: dict[str, Tensor], capacity: int, precision: Precision = "single"
    ) -> None:
        self.count = len(tensors["means"])
        self.capacity = max(capacity, self.count)
        self.precision = precision
        self.steps = 0  # Adam's own count, for its bias correction
        harmonics, moments = TYPES[precision]
        types = dict.fromkeys(NAMES, torch.float32) | {"sh": harmonics}
        self.values = {name: self._buffer(tensors[name], types[name]) for name in NAMES}
        self.first = {name: self._buffer(tensors[name], moments) for name in NAMES}
        self.second = {name: self._buffer(tensors[name], moments) for name in NAMES}
        for name in NAMES:
            self[name].copy_(tensors[name].detach())

    def _buffer(self, like: Tensor, dtype: torch.dtype) -> Tensor:
        shape = (self.capacity, *like.shape[1:])
        return torch.zeros(shape, dtype=dtype, device=like.device)

    def __getitem__(self, name: str) -> Tensor:
        return self.values[name][: self.count]

    def __len__(self) -> int:
        return self.count

    @property
    def device(self) -> torch.device:
        """Where the buffers lie."""
        return self.values["means"].device

    def moments(self, name: str) -> tuple[Tensor, Tensor]:
        """Adam's first and second moments of one tensor, as views of the same shape."""
        return self.first[name][: self.count], self.second[name][: self.count]

    @torch.no_grad()
    def replace_rows(self, rows: Tensor, values: dict[str, Tensor]) -> None:
        """Overwrite `rows` (M,) with `values` by name, and forget all their moments."""
        for name in NAMES:
            if name in values:
                self[name][rows] = values[name]
            for moment in self.moments(name):
                moment[rows] = 0

    @torch.no_grad()
    def append(self, values: dict[str, Tensor]) -> None:
        """Add Gaussians given by every name's rows (M, ...), with empty moments.

        Raises ValueError when they do not fit into the capacity.
        """
        begin, end = self.count, self.count + len(values["means"])
        if end > self.capacity:
            raise ValueError(f"{end} Gaussians do not fit into a capacity of {self.capacity}")
        for name in NAMES:
            self.values[name][begin:end] = values[name]
            for kind in (self.first, self.second):
                kind[name][begin:end] = 0
        self.count = end

    @torch.no_grad()
    def keep(self, rows: Tensor) -> None:
        """Go on with those at `rows` (M,), in this order, and their moments, in buffers of just that size.

        By way of the CPU's memory, one buffer after the other: the GPU has none left when this is asked for.
        """
        device, rows = self.device, rows.cpu()
        for name in NAMES:
            for kind in (self.values, self.first, self.second):
                kept = kind.pop(name).cpu()[
                    rows
                ]  # the large buffer is free before the small one is made
                kind[name] = kept.to(device)
        self.count = self.capacity = len(rows)

    @torch.no_grad()
    def adam(self, gradients: dict[str, Tensor], rates: dict[str, float]) -> None:
        """One Adam step (Kingma and Ba, 2015) from gradients shaped like the tensors; in single precision."""
        self.steps += 1
        for name in NAMES:
            columns = np.full(max(self[name][:1].numel(), 1), rates[name])
            if name == "sh":
                columns[3:] *= SH_REST
            arrays = (self[name], gradients[name], *self.moments(name))
            if self.device.type == "cuda":
                from scripts.lib.train.kernels.adam_cuda import adam
            else:
                from scripts.lib.train.kernels.adam import adam
            adam(*arrays, columns, self.steps, **ADAM)

    @torch.no_grad()
    def finite(self) -> Tensor:
        """Which Gaussians (N,) have only finite numbers, their moments included."""
        fine = torch.ones(len(self), dtype=torch.bool, device=self.device)
        for name in NAMES:
            for values in (self[name], *self.moments(name)):
                wrong = ~torch.isfinite(values)
                fine[wrong.nonzero()[:, 0]] = False
        return fine

    def state(self) -> ParametersState:
        """Everything needed to continue: tensors, moments and the number of steps, on the CPU."""
        rows = {
            name: [t.detach().cpu().contiguous() for t in (self[name], *self.moments(name))]
            for name in NAMES
        }
        return {"steps": self.steps, "rows": rows}

    @classmethod
    def restored(
        cls,
        state: ParametersState,
        capacity: int,
        device: torch.device,
        precision: Precision = "single",
    ) -> Parameters:
        """The parameters that `state()` described, on `device`.

        In `precision`, but that on a GPU those in 16 bits stay so: a run that goes on ends like one that
        never stopped, also where more memory is free by now.
        """
        rows = state["rows"]
        if rows["sh"][0].dtype == TYPES["half"][0] and device.type == "cuda":
            precision = "half"
        made = cls({name: rows[name][0].to(device) for name in NAMES}, capacity, precision)
        for name in NAMES:
            for moment, saved in zip(made.moments(name), rows[name][1:], strict=True):
                moment.copy_(saved)
        made.steps = state["steps"]
        return made


@torch.no_grad()
def export(
    tensors: dict[str, Tensor], centre: Tensor, radius: float, antialiased: bool = False
) -> Gaussians:
    """Raw tensors of training's frame in world units, without those too faint to be seen (alpha < 1/255)."""
    seen = torch.sigmoid(tensors["opacities"]) >= 1 / 255
    rows = {name: tensors[name].detach()[seen].cpu().double() for name in NAMES}
    quats = torch.nn.functional.normalize(rows["quats"], dim=1)
    scales = rows["scales"] + math.log(radius)
    return Gaussians(
        means=(rows["means"] * radius + centre.cpu().double()).float().numpy(),
        quats=quats.float().numpy(),
        scales=scales.float().numpy(),
        opacities=rows["opacities"].float().numpy(),
        sh0=rows["sh"][:, 0].float().numpy(),
        shN=rows["sh"][:, 1:].float().contiguous().numpy(),
        antialiased=antialiased,
    )
