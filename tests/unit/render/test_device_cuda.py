"""The choice of a real GPU, its lock, and the renderer on it against the one on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.lib.core import card_lock
from scripts.lib.render.device import choose_device, on_device
from scripts.lib.render.renderer import Renderer
from tests.unit.splat_scene import make_gaussians, make_views

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


@pytest.fixture(autouse=True)
def usable_gpu() -> None:
    """Skip where the GPU cannot be used: too old, or without what compiles kernels for it."""
    found = choose_device("auto", 0, {})
    if found.type == "cpu":
        pytest.skip(found.reason)


def test_a_card_is_kept_for_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_lock, "FOLDER", tmp_path)
    with on_device("auto", 1) as found:
        assert found.type == "cuda" and found.name == torch.cuda.get_device_name()
        (lock,) = tmp_path.iterdir()
        assert lock.name.startswith("splatmake-gpu-") and len(card_lock._held) == 1
        with on_device("cuda") as again:
            assert again.type == "cuda"
    assert not card_lock._held


def test_pictures_and_weights_agree() -> None:
    gaussians, view = make_gaussians(bands=3), make_views(1)[0]
    place = (view.world_to_camera, view.K, (view.width, view.height))
    cpu, cuda = Renderer(gaussians, "cpu"), Renderer(gaussians, "cuda")
    assert np.abs(cpu.picture(*place) - cuda.picture(*place)).max() < 5e-3
    near, far = cpu.weights(*place), cuda.weights(*place)
    assert np.abs(near - far).max() < 1e-2 * max(1.0, float(near.max()))
