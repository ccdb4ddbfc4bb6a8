"""The photo loss: the kernel against plain torch, SSIM against the metric, and its edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.lib.measure import metrics
from scripts.lib.render.losses import photo_loss, reference
from scripts.lib.render.losses.cpu import loss_and_gradient


def images(width: int, height: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A render (H, W, 3) with values a little outside 0..1, and a photo uint8 that resembles it."""
    random = np.random.default_rng(seed)
    render = random.uniform(-0.1, 1.1, (height, width, 3)).astype(np.float32)
    photo = np.clip(render + random.normal(0, 0.2, render.shape), 0, 1) * 255
    return torch.from_numpy(render), torch.from_numpy(photo.astype(np.uint8))


def truth(
    render: torch.Tensor, photo: torch.Tensor, weight: float, mask: torch.Tensor | None = None
) -> tuple[float, torch.Tensor]:
    """Loss and gradient by autograd in double precision."""
    leaf = render.double().requires_grad_()
    loss = reference.photo_loss(leaf, photo.double() / 255, weight, mask)
    loss.backward()
    return float(loss.detach()), leaf.grad


@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(11, 70),
    height=st.integers(11, 50),
    weight=st.floats(0.01, 1.0),
    masked=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_kernel_agrees_with_autograd(
    width: int, height: int, weight: float, masked: bool, seed: int
) -> None:
    render, photo = images(width, height, seed)
    mask = None
    if masked:
        random = np.random.default_rng(seed)
        mask = torch.from_numpy(random.uniform(0, 1, (height, width)).astype(np.float32).round(1))
    leaf = render.clone().requires_grad_()
    loss = photo_loss(leaf, photo, weight, mask)
    (3 * loss).backward()
    wanted, gradient = truth(render, photo, weight, mask)
    assert float(loss.detach()) == pytest.approx(wanted, rel=1e-5)
    assert (leaf.grad / 3 - gradient).abs().max() < 2e-5 * gradient.abs().max() + 1e-9


def test_perfect_render_has_no_loss() -> None:
    _, photo = images(40, 30)
    loss, gradient = loss_and_gradient(photo.float() / 255, photo, 1.0)
    assert abs(loss) < 1e-6 and gradient.abs().max() < 1e-6


def test_what_the_mask_hides_does_not_matter() -> None:
    render, photo = images(48, 32)
    mask = torch.ones(32, 48)
    mask[:, 24:] = 0
    spoilt = render.clone()
    spoilt[:, 24:] += 5
    leaf = spoilt.requires_grad_()
    loss = photo_loss(leaf, photo, 0.2, mask)
    loss.backward()
    assert float(loss) == pytest.approx(float(photo_loss(render, photo, 0.2, mask)))
    assert not leaf.grad[:, 24:].any() and leaf.grad[:, :24].abs().sum() > 0


def test_ssim_is_the_metric_s() -> None:
    render, photo = images(60, 40)
    ours = float(reference.ssim(render, photo.float() / 255))
    assert ours == pytest.approx(metrics.ssim(render, photo.numpy() / 255), abs=1e-5)


def test_too_small_for_ssim() -> None:
    render, photo = images(40, 10)
    with pytest.raises(ValueError, match="at least 11"):
        photo_loss(render, photo, 0.2)
    assert float(photo_loss(render, photo, 0.0)) > 0
