"""What a checkpoint holds: everything that training changes."""

from __future__ import annotations

from typing import TypedDict

from torch import Tensor


class ParametersState(TypedDict):
    """The Gaussians' parameters, each with its two moments, and the number of steps."""

    steps: int
    rows: dict[str, list[Tensor]]


class TrainerState(TypedDict):
    """A training after some step; tensors on the CPU. None for corrections that are switched off."""

    step: int
    seconds: float
    curve: list[dict[str, float]]
    max_gaussians: int
    adapted: list[str]
    parameters: ParametersState
    position_gradients: Tensor
    exposures: dict[str, Tensor] | None
    poses: dict[str, Tensor] | None
    focals: dict[str, Tensor] | None
    generator: Tensor
