"""The fused step against the step by autograd, on a GPU or on its stand-in; and its numbers of 16 bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from scripts.lib.render.losses import cuda as losses
from scripts.lib.render.rasterise import cuda as rasteriser
from scripts.lib.scene.known_depths import KnownDepths
from scripts.lib.train.cameras import Exposures
from scripts.lib.train.depth_term import DepthTerm
from scripts.lib.train.frozen import Frozen
from scripts.lib.train.fused import FusedStep
from scripts.lib.train.kernels import geometry_cuda, harmonics_cuda
from scripts.lib.train.options import Precision
from scripts.lib.train.parameters import NAMES, Parameters
from scripts.lib.train.step import Adjustments, AutogradStep
from scripts.lib.train.views import Stack
from tests.stages.cuda_stand_in import DEVICES, kernels_on, needs_compiler
from tests.step_plan import plan

COUNT, PHOTOS, SIZE = 120, 3, (40, 30)


def start(precision: Precision, device: str) -> Parameters:
    """Gaussians before the cameras, some of them seen by none."""
    torch.manual_seed(0)
    tensors = {
        "means": torch.randn(COUNT, 3) * torch.tensor([1.0, 1.0, 0.5]) + torch.tensor([0, 0, 4.0]),
        "quats": torch.randn(COUNT, 4),
        "scales": torch.randn(COUNT, 3) * 0.5 - 2,
        "opacities": torch.randn(COUNT),
        "sh": 0.3 * torch.randn(COUNT, 9, 3),
    }
    tensors["means"][:5, 2] = -4
    placed = {name: value.to(device) for name, value in tensors.items()}
    return Parameters(placed, COUNT + 10, precision)


def photos(device: str) -> Stack:
    """Three photos of noise from places beside each other."""
    torch.manual_seed(1)
    width, height = SIZE
    poses = torch.eye(4).repeat(PHOTOS, 1, 1)
    poses[:, 0, 3] = torch.tensor([-0.5, 0, 0.5])
    K = torch.tensor([[40.0, 0, width / 2], [0, 40, height / 2], [0, 0, 1]]).repeat(PHOTOS, 1, 1)
    pixels = (255 * torch.rand(PHOTOS, height, width, 3)).to(torch.uint8)
    everyone = torch.arange(PHOTOS, device=device)
    return Stack(pixels.to(device), poses.to(device), K.to(device), everyone, everyone * 0)


@contextmanager
def running(device: str) -> Iterator[None]:
    with kernels_on(device, rasteriser, losses, geometry_cuda, harmonics_cuda):
        yield


def around(device: str) -> Frozen:
    """Gaussians that stand between the others and never change."""
    torch.manual_seed(2)
    count = COUNT // 2
    return Frozen.of(
        {
            "means": (torch.randn(count, 3) + torch.tensor([0, 0, 4.0])).to(device),
            "quats": torch.randn(count, 4).to(device),
            "scales": (torch.randn(count, 3) * 0.5 - 2).to(device),
            "opacities": torch.randn(count).to(device),
            "sh": 0.3 * torch.randn(count, 9, 3).to(device),
        }
    )


def fused(at_once: int, device: str, frozen: Frozen | None = None) -> FusedStep:
    return FusedStep("cuda", at_once, SIZE[0] * SIZE[1], torch.device(device), frozen)


def depth_term(device: str) -> DepthTerm:
    """Points of each photo at depths that its Gaussians have, and that they do not have."""
    rng = np.random.default_rng(0)
    known = [
        KnownDepths(
            rng.uniform(0.1, 0.9, (count, 2)),
            rng.uniform(2, 6, count),
            np.full(count, 0.01),
            np.zeros(count, bool),
        )
        for count in (40, 25, 0)
    ]
    return DepthTerm(known, 1.0, 0, torch.device(device))


def stepped(
    step: FusedStep | AutogradStep, precision: Precision, device: str, depth_weight: float = 0.0
) -> tuple[Parameters, torch.Tensor]:
    """Parameters after one step, and the norms that it added; exposures are learned too."""
    parameters = start(precision, device)
    generator = torch.Generator(device)
    exposures = Exposures(PHOTOS, torch.device(device))
    norms = torch.zeros(COUNT, device=device)
    given = replace(plan(4), depth_weight=depth_weight)
    step(parameters, photos(device), given, generator, Adjustments(exposures), norms)
    assert exposures.values.abs().max() > 0
    return parameters, norms


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("precision", "at_once", "block"),
    [("single", 3, False), ("single", 1, False), ("half", 2, False), ("single", 2, True)],
)
def test_it_steps_as_autograd_does(
    precision: Precision, at_once: int, block: bool, device: str
) -> None:
    frozen = around(device) if block else None
    with running(device):
        found, norms = stepped(fused(at_once, device, frozen), precision, device)
        again, _ = stepped(fused(at_once, device, frozen), precision, device)
    wanted, aims = stepped(AutogradStep(around("cpu") if block else None), "single", "cpu")
    assert len(norms) == len(found) == COUNT, "frozen ones are not trained"
    exact = precision == "single"
    torch.testing.assert_close(norms.cpu(), aims, rtol=1e-3 if exact else 1e-2, atol=1e-7)
    for name in NAMES:
        # Adam's first step moves every number by its rate, whatever its gradient: the moments tell more.
        pairs = list(zip(found.moments(name), wanted.moments(name), strict=True))
        # First moments of harmonics hold what rounding added to these, too.
        for a, b in pairs[1:] if (precision, name) == ("half", "sh") else pairs:
            near = torch.isclose(
                a.cpu().float(), b, rtol=2e-3 if exact else 2e-2, atol=2e-3 * float(b.abs().max())
            )
            assert near.float().mean() > 0.99, (name, float(near.float().mean()))
        assert device == "cuda" or torch.equal(found[name], again[name])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("block", [False, True])
def test_its_depth_term_is_that_of_autograd(block: bool, device: str) -> None:
    step, frozen = fused(3, device, around(device) if block else None), None
    if block:
        frozen = around("cpu")
    step.depths = depth_term(device)
    with running(device):
        found, _ = stepped(step, "single", device, 500.0)
    autograd = AutogradStep(frozen, depth_term("cpu"))
    wanted, _ = stepped(autograd, "single", "cpu", 500.0)
    without, _ = stepped(autograd, "single", "cpu", 0.0)
    for name in ("means", "quats", "scales", "opacities"):
        a, b, plain = (one.moments(name)[0].cpu() for one in (found, wanted, without))
        assert (b - plain).abs().max() > 10 * plain.abs().max(), "the term does not show"
        near = torch.isclose(a, b, rtol=5e-3, atol=2e-3 * float(b.abs().max()))
        assert near.float().mean() > 0.99, (name, float(near.float().mean()))


@needs_compiler
def test_goes_on_from_a_checkpoint_as_if_it_had_not_stopped() -> None:
    """How numbers of 16 bits are rounded follows from the step, not from what came before it."""
    step, views, generator = fused(2, "cpu"), photos("cpu"), torch.Generator()
    whole = start("half", "cpu")

    def steps(parameters: Parameters, *seeds: int) -> None:
        for seed in seeds:
            norms = torch.zeros(COUNT)
            step(parameters, views, plan(seed), generator, Adjustments(), norms)

    with running("cpu"):
        steps(whole, 0, 2)
        resumed, other = (
            Parameters.restored(whole.state(), COUNT, torch.device("cpu"), "half") for _ in range(2)
        )
        steps(whole, 4)
        steps(resumed, 4)
        steps(other, 6)
    for name in NAMES:
        found = (resumed[name], *resumed.moments(name))
        for a, b in zip(found, (whole[name], *whole.moments(name)), strict=True):
            assert torch.equal(a, b), name
        # Another step rounds otherwise, by no more than the next number; of harmonics' first ones see above.
        pairs = list(zip(other.moments(name), whole.moments(name), strict=True))
        assert not any(torch.equal(a, b) for a, b in pairs), name
        for a, b in pairs[1:] if name == "sh" else pairs:
            assert torch.allclose(a.float(), b.float(), rtol=2.0**-6), name
