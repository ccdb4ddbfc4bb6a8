"""How well a run shows photos while it goes on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scripts.lib.measure import evaluate
from scripts.lib.train.quality import exposed_as


@pytest.mark.parametrize("masked", [False, True])
def test_the_best_gain_and_offset_are_those_of_the_evaluation(masked: bool) -> None:
    rng = np.random.default_rng(0)
    render = rng.uniform(0.2, 0.8, (20, 30, 3)).astype(np.float32)
    render[..., 2] = 0.5  # a colour that is the same everywhere
    photo = (render * [0.7, 1.1, 1.0] + 0.05 + rng.normal(0, 0.02, render.shape)).clip(0, 1)
    stored = (photo * 255 + 0.5).astype(np.uint8)
    mask = np.ones((20, 30), np.float32)
    expected = stored.astype(np.float32) / 255
    if masked:
        mask[:, :12] = 0
        stored[:, :12] = 255
        expected[:, :12] = np.nan
    given = torch.tensor(mask) if masked else None
    found = exposed_as(torch.tensor(render), torch.tensor(stored), given).clamp(0, 1).numpy()
    assert found == pytest.approx(evaluate.exposed_as(render, expected), abs=1e-4)
