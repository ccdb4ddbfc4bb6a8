"""A plan of one training step, for tests and benchmarks: a new field is given a value in one place."""

from __future__ import annotations

from scripts.lib.train.parameters import LEARNING_RATES
from scripts.lib.train.step import StepPlan


def plan(seed: int, degree: int = 2, noise: float = 0.0) -> StepPlan:
    """Nothing dropped, no limit of axes, no antialiasing."""
    return StepPlan(
        degree=degree,
        rates=dict(LEARNING_RATES),
        noise=noise,
        ssim_weight=0.2,
        opacity_cost=0.01,
        scale_cost=0.01,
        axis_ratio=0.0,
        antialiased=False,
        drop=0.0,
        seed=seed,
    )
