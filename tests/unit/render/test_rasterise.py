"""The CPU kernels against plain torch: the same picture, the same gradients, and the formulae themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from scripts.lib.render.rasterise import rasterise
from tests.unit.splat_scene import look_at_origin

NAMES = ("means", "quats", "scales", "opacities", "sh")
SIZE = (75, 53)  # no multiple of the tile


def cloud(count: int, degree: int, seed: int = 0, *, width: float = 0.06) -> dict[str, Tensor]:
    """Gaussians of many shapes about the origin, some of them behind or outside every camera."""
    random = np.random.default_rng(seed)
    values = {
        "means": random.normal(0, 0.6, (count, 3)),
        "quats": random.normal(size=(count, 4)),
        "scales": np.exp(random.normal(np.log(width), 0.8, (count, 3))),
        "opacities": random.uniform(0.02, 1.0, count),
        "sh": random.normal(0, 0.4, (count, (degree + 1) ** 2, 3)),
    }
    return {name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()}


def camera(angle: float, distance: float = 2.5) -> tuple[Tensor, Tensor]:
    """world_to_camera (1, 4, 4) and K (1, 3, 3) of a camera on a ring, off-centre principal point."""
    eye = np.array([distance * np.cos(angle), distance * np.sin(angle), 0.7])
    K = np.array([[62.0, 0, 34.2], [0, 65.0, 29.1], [0, 0, 1]])
    pose = torch.tensor(look_at_origin(eye), dtype=torch.float32)
    return pose[None], torch.tensor(K, dtype=torch.float32)[None]


def both(
    values: dict[str, Tensor], pose: Tensor, K: Tensor, **options: object
) -> tuple[list[Tensor], list[Tensor]]:
    """Colour, alpha and the gradients of a random weighting of both: (cpu, reference in float64).

    Where an alpha falls on the threshold of 1/255 itself, rounding decides whether it is drawn: such
    pixels, a few at most, have no weight.
    """
    leaves, pictures = [], []
    for backend, dtype in (("cpu", torch.float32), ("reference", torch.float64)):
        parameters = [values[name].detach().to(dtype, copy=True).requires_grad_() for name in NAMES]
        pair = rasterise(*parameters, pose.to(dtype), K.to(dtype), SIZE, backend=backend, **options)
        leaves.append(parameters)
        pictures.append(torch.cat(pair, dim=3))
    off = (pictures[0] - pictures[1]).detach().abs().amax(dim=3, keepdim=True)
    assert (off > 5e-5).sum() <= 3 and off.max() < 2 / 255
    weights = torch.randn(pictures[0].shape, generator=torch.Generator().manual_seed(1))
    weights = torch.where(off > 5e-5, 0, weights)
    results = []
    for parameters, picture in zip(leaves, pictures, strict=True):
        (picture * weights).sum().backward()
        found = [picture.detach() * (off <= 5e-5), *(leaf.grad for leaf in parameters)]
        results.append(found)
    return results[0], results[1]


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("antialiased", [False, True])
def test_picture_and_gradients_agree_with_autograd(degree: int, antialiased: bool) -> None:
    pose, K = camera(0.4 + degree)
    background = torch.tensor([0.2, 0.5, 0.1])
    ours, truth = both(
        cloud(400, degree, degree), pose, K, antialiased=antialiased, background=background
    )
    assert truth[0][..., 3].max() > 0.9, "the test scene covers something"
    assert (ours[0] - truth[0]).abs().max() < 5e-5
    for name, gradient, wanted in zip(NAMES, ours[1:], truth[1:], strict=True):
        error = torch.linalg.vector_norm(gradient - wanted) / torch.linalg.vector_norm(wanted)
        assert error < 2e-4, (name, float(error))


def test_gradients_agree_with_finite_differences() -> None:
    """In double precision through the reference, at places where no threshold is crossed."""
    pose, K = camera(1.1)
    values = cloud(12, 2, 5, width=0.15)
    pose, K = pose.double(), K.double()
    leaves = [values[name].double().requires_grad_() for name in NAMES]
    leaves[3].data.clamp_(0.3, 0.9)

    def weighted(*parameters: Tensor, backend: str = "reference") -> Tensor:
        colour, alpha = rasterise(*parameters, pose, K, SIZE, backend=backend)
        ramp = torch.linspace(0.5, 1.5, colour.numel(), dtype=colour.dtype).reshape(colour.shape)
        return (colour * ramp).sum() + alpha.square().sum()

    weighted(*leaves).backward()
    singles = [leaf.detach().float().requires_grad_() for leaf in leaves]
    pose, K = pose.float(), K.float()
    weighted(*singles, backend="cpu").backward()
    pose, K = pose.double(), K.double()
    random = np.random.default_rng(0)
    for leaf, single in zip(leaves, singles, strict=True):
        direction = torch.tensor(random.normal(size=leaf.shape))
        step = 1e-6 * direction
        others = [other.detach() for other in leaves]
        place = next(i for i, other in enumerate(leaves) if other is leaf)
        ends = []
        for sign in (1, -1):
            others[place] = leaf.detach() + sign * step
            ends.append(weighted(*others))
        slope = float((ends[0] - ends[1]) / 2e-6)
        assert slope == pytest.approx(float((leaf.grad * direction).sum()), rel=2e-3, abs=1e-3)
        assert slope == pytest.approx(float((single.grad * direction).sum()), rel=4e-3, abs=1e-2)


def test_a_solid_wall_stops_the_light() -> None:
    """Hundreds of opaque layers: pixels stop, and what lies behind gets no gradient."""
    pose, K = camera(0.0)
    values = cloud(600, 1, 3, width=0.3)
    values["opacities"] = torch.full((600,), 0.95)
    ours, truth = both(values, pose, K)
    assert (ours[0][..., 3] > 0.999).float().mean() > 0.5
    for gradient, wanted in zip(ours[1:], truth[1:], strict=True):
        assert torch.linalg.vector_norm(gradient - wanted) < 1e-3 * torch.linalg.vector_norm(wanted)
    assert (ours[4] == 0).float().mean() > 0.3


def test_cameras_of_a_batch_are_rendered_apart() -> None:
    values = list(cloud(200, 1).values())
    poses, Ks = zip(*(camera(angle) for angle in (0.0, 1.0, 2.0)), strict=True)
    backgrounds = torch.rand(3, 3)
    together, alpha = rasterise(
        *values, torch.cat(poses), torch.cat(Ks), SIZE, background=backgrounds
    )
    assert together.shape == (3, SIZE[1], SIZE[0], 3) and alpha.shape == (3, SIZE[1], SIZE[0], 1)
    for number in range(3):
        one, _ = rasterise(*values, poses[number], Ks[number], SIZE, background=backgrounds[number])
        assert torch.equal(one[0], together[number])


def test_one_gaussian_is_what_the_formula_says() -> None:
    """A round one in the middle of the picture: alpha falls off as a normal of the blurred width."""
    size, focal, depth, width = (41, 41), 100.0, 4.0, 0.08
    K = torch.tensor([[[focal, 0, 20.5], [0, focal, 20.5], [0, 0, 1.0]]])
    values = {
        "means": torch.tensor([[0.0, 0.0, depth]]),
        "quats": torch.tensor([[1.0, 0, 0, 0]]),
        "scales": torch.full((1, 3), width),
        "opacities": torch.tensor([0.8]),
        "sh": torch.full((1, 1, 3), 1.0),
    }
    colour, alpha = rasterise(*values.values(), torch.eye(4)[None], K, size)
    variance = (focal * width / depth) ** 2 + 0.3
    distance = torch.arange(41) - 20.0
    wanted = 0.8 * torch.exp(-(distance**2) / (2 * variance))
    wanted = torch.where(wanted >= 1 / 255, wanted, 0)
    assert torch.allclose(alpha[0, 20, :, 0], wanted, atol=1e-5)
    assert torch.allclose(colour[0, 20, 20], torch.full((3,), 0.8 * (0.5 + 0.28209479)), atol=1e-5)
    sharp, _ = rasterise(*values.values(), torch.eye(4)[None], K, size, antialiased=True)
    ratio = (variance - 0.3) / variance  # sqrt of the quotient of areas of a round footprint
    assert float(sharp[0, 20, 20, 0] / colour[0, 20, 20, 0]) == pytest.approx(ratio, rel=1e-4)


def test_nothing_to_see_is_background_without_gradient() -> None:
    pose, K = camera(0.0)
    values = {name: value.requires_grad_() for name, value in cloud(50, 0).items()}
    far = {**values, "means": values["means"] + torch.tensor([500.0, 0.0, 0.0])}
    background = torch.tensor([0.1, 0.2, 0.3])
    colour, alpha = rasterise(*far.values(), pose, K, SIZE, background=background)
    assert torch.equal(colour, background.expand_as(colour)) and not alpha.any()
    colour.sum().backward()
    assert not any(value.grad.any() for value in values.values())
    empty = {name: value.detach()[:0] for name, value in values.items()}
    colour, alpha = rasterise(*empty.values(), pose, K, SIZE)
    assert not colour.any() and not alpha.any()


def test_odd_values_do_no_harm() -> None:
    """NaN, infinite, huge and zero-length input is left out; the rest is drawn as without it."""
    pose, K = camera(0.2)
    good = cloud(100, 1)
    colour, _ = rasterise(*good.values(), pose, K, SIZE)
    odd = {name: value[:6].clone() for name, value in good.items()}
    odd["means"][0], odd["means"][1] = float("nan"), float("inf")
    odd["means"][2] = 1e30
    odd["scales"][3] = float("nan")
    odd["opacities"][4] = float("nan")
    odd["opacities"][5] = 0.0
    mixed = [torch.cat([good[name], odd[name]]) for name in NAMES]
    leaves = [value.requires_grad_() for value in mixed]
    with_odd, _ = rasterise(*leaves, pose, K, SIZE)
    assert torch.allclose(with_odd, colour, atol=1e-6)
    with_odd.sum().backward()
    assert all(torch.isfinite(leaf.grad[:100]).all() for leaf in leaves)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quats": torch.zeros(5, 3)}, "quats"),
        ({"sh": torch.zeros(5, 5, 3)}, "coefficients"),
        ({"K": torch.eye(4)[None]}, "K has shape"),
        ({"size": (0, 5)}, "nothing to render"),
        ({"background": torch.zeros(4)}, "background"),
        ({"backend": "opengl"}, "unknown backend"),
    ],
)
def test_wrong_shapes_are_named(change: dict[str, object], message: str) -> None:
    pose, K = camera(0.0)
    arguments = {**cloud(5, 0), "world_to_camera": pose, "K": K, "size": SIZE, **change}
    with pytest.raises(ValueError, match=message):
        rasterise(**arguments)


def test_the_number_of_threads_changes_no_bit(tmp_path: Path, root: Path) -> None:
    """Work is cut into pieces that do not depend on who does them."""
    program = (
        "import sys, torch\n"
        "from scripts.lib.render.rasterise import rasterise\n"
        "from tests.unit.render.test_rasterise import cloud, camera, SIZE\n"
        "leaves = [v.requires_grad_() for v in cloud(900, 2).values()]\n"
        "colour, _ = rasterise(*leaves, *camera(0.7), SIZE)\n"
        "colour.square().sum().backward()\n"
        "torch.save([colour.detach(), *(leaf.grad for leaf in leaves)], sys.argv[1])\n"
    )
    results = []
    for threads in ("1", "2"):
        out = tmp_path / f"{threads}.pt"
        names = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads), "PYTHONPATH": str(root)}
        subprocess.run(
            [sys.executable, "-c", program, str(out)], check=True, env=environment, cwd=root
        )
        results.append(torch.load(out))
    for one, two in zip(*results, strict=True):
        assert torch.equal(one, two)
