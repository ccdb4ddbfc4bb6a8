"""The Triton kernels of the fused step, in Triton's interpreter where there is no GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.lib.render.rasterise.reference import sh_basis
from scripts.lib.train.parameters import ADAM

pytest.importorskip("triton", reason="triton comes with torch's CUDA build")
COUNT, VIEWS = 70, 2


def call(root: Path, folder: Path, module: str, function: str, *arguments: object) -> list[object]:
    """Call `function(*arguments)` in a process whose Triton interprets; the result, then the arguments."""
    program = (
        "import sys, torch, importlib\n"
        "module, function, source, target = sys.argv[1:]\n"
        "arguments, named = torch.load(source, weights_only=False)\n"
        "result = getattr(importlib.import_module(module), function)(*arguments, **named)\n"
        "torch.save([result, *arguments], target)\n"
    )
    named = arguments[-1] if isinstance(arguments[-1], dict) else {}
    positional = arguments[:-1] if named else arguments
    torch.save([positional, named], folder / "in.pt")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(root)}
    paths = [str(folder / "in.pt"), str(folder / "out.pt")]
    subprocess.run(
        [sys.executable, "-c", program, module, function, *paths],
        check=True,
        env=environment,
        cwd=root,
    )
    answer: list[object] = torch.load(folder / "out.pt", weights_only=False)
    return answer


def cameras() -> torch.Tensor:
    """world_to_camera (V, 4, 4) of cameras that look any way."""
    made = torch.eye(4).repeat(VIEWS, 1, 1)
    made[:, :3, :3] = torch.linalg.qr(torch.randn(VIEWS, 3, 3))[0]
    made[:, :3, 3] = 3 * torch.randn(VIEWS, 3)
    return made


def stepped(leaf: torch.Tensor, rate: float | torch.Tensor, steps: int) -> torch.Tensor:
    """`leaf` after Adam's step `steps`, its moments having been zero."""
    m, v = (1 - ADAM["beta1"]) * leaf.grad, (1 - ADAM["beta2"]) * leaf.grad**2
    m, v = m / (1 - ADAM["beta1"] ** steps), v / (1 - ADAM["beta2"] ** steps)
    return leaf.detach() - rate * m / (v.sqrt() + ADAM["epsilon"])


@pytest.mark.parametrize(("degree", "bands"), [(0, 0), (1, 1), (1, 3), (2, 2), (2, 3), (3, 3)])
def test_harmonics(degree: int, bands: int, tmp_path: Path, root: Path) -> None:
    """Colours, their gradient through the viewing direction, and Adam on the coefficients."""
    torch.manual_seed(degree)
    means = torch.randn(COUNT, 3).requires_grad_()
    sh = (0.5 * torch.randn(COUNT, (bands + 1) ** 2, 3)).requires_grad_()
    views, radii = cameras(), torch.ones(VIEWS, COUNT, 2, dtype=torch.int32)
    radii[0, ::3] = 0
    used = (degree + 1) ** 2
    centres = -(views[:, :3, :3].mT @ views[:, :3, 3:])[..., 0]
    directions = torch.nn.functional.normalize(means - centres[:, None], dim=-1)
    basis = torch.stack([sh_basis(part, used) for part in directions])
    wanted = (torch.einsum("vnk,nkc->vnc", basis, sh[:, :used]) + 0.5).clamp_min(0)
    seen = radii[..., 0] > 0
    upstream = torch.randn(VIEWS, COUNT, 3)
    (wanted * upstream * seen[..., None]).sum().backward()

    module = "scripts.lib.train.kernels.harmonics_cuda"
    start = (means.detach(), sh.detach(), views, radii)
    made = call(root, tmp_path, module, "colours", *start, degree)[0]
    assert torch.allclose(made[seen], wanted[seen], atol=2e-5)

    moments = (torch.zeros_like(sh), torch.zeros_like(sh))
    gradient = torch.full((COUNT, 3), 0.25)
    rates, place = (0.01, 0.1, 5), (views, radii, made, upstream, gradient, degree)
    answer = call(
        root, tmp_path, module, "step_harmonics", *start[:2], moments, *place, *rates, ADAM
    )
    columns = torch.full((used, 1), 0.001)
    columns[0] = 0.01
    wanted = stepped(sh, 1.0, 5)[:, :used]
    moved = columns * (wanted - sh.detach()[:, :used])
    assert torch.allclose(answer[2][:, used:], sh.detach()[:, used:])
    assert torch.allclose(answer[2][:, :used], sh.detach()[:, :used] + moved, atol=1e-5)
    through = means.grad if degree else torch.zeros_like(means)
    assert torch.allclose(answer[8], 0.25 + through, atol=1e-4)


@pytest.mark.parametrize("dimming", [False, True])
def test_geometry(dimming: bool, tmp_path: Path, root: Path) -> None:
    """Activations, the chain rule back through them, the regularisers and Adam; no noise, nothing dropped."""
    torch.manual_seed(3)
    shapes = {"means": (COUNT, 3), "quats": (COUNT, 4), "scales": (COUNT, 3), "opacities": (COUNT,)}
    raw = {name: torch.randn(shape).requires_grad_() for name, shape in shapes.items()}
    upstream = [torch.randn(shape) for shape in list(shapes.values())[:3]]
    upstream.append(torch.randn(VIEWS, COUNT))
    dimmed = torch.rand(VIEWS, COUNT) if dimming else None
    scales, opacities = torch.exp(raw["scales"]), torch.sigmoid(raw["opacities"])
    shown = opacities * (dimmed if dimmed is not None else torch.ones(VIEWS, 1))
    loss = (raw["means"] * upstream[0]).sum() + (raw["quats"] * upstream[1]).sum()
    loss = loss + (scales * upstream[2]).sum() + (shown * upstream[3]).sum()
    (loss + 0.1 * opacities.sum() + 0.2 * scales.sum()).backward()

    module = "scripts.lib.train.kernels.geometry_cuda"
    start = tuple(leaf.detach() for leaf in raw.values())
    made = call(root, tmp_path, module, "activate", start[2], start[3], 7, 0.0)[0]
    assert torch.allclose(made[0], scales, rtol=1e-5)
    assert torch.allclose(made[1], opacities, rtol=1e-5)

    empty = tuple(torch.zeros_like(value) for value in start)
    rates = (0.01, 0.02, 0.03, 0.04)
    options = {"seed": 7, "drop": 0.0, "opacity_cost": 0.1, "scale_cost": 0.2, "noise": 0.0, **ADAM}
    moments = (empty, tuple(value.clone() for value in empty))
    answer = call(
        root,
        tmp_path,
        module,
        "step_geometry",
        start,
        *moments,
        tuple(upstream),
        dimmed,
        rates,
        3,
        options,
    )
    for value, leaf, rate in zip(answer[1], raw.values(), rates, strict=True):
        assert torch.allclose(value, stepped(leaf, rate, 3), atol=1e-5)
    norms = torch.linalg.vector_norm(upstream[0], dim=1) * scales.amax(dim=1)
    assert torch.allclose(answer[0], norms, rtol=1e-4)


def test_drop_and_noise(tmp_path: Path, root: Path) -> None:
    """A share of the opacities becomes 0, the rest grow; faint Gaussians are shaken within their size."""
    module, count = "scripts.lib.train.kernels.geometry_cuda", 2000
    scales, opacities = torch.full((count, 3), -2.0), torch.full((count,), -2.0)
    made = call(root, tmp_path, module, "activate", scales, opacities, 7, 0.3)[0][1]
    dropped = made == 0
    assert 0.25 < dropped.float().mean() < 0.35
    assert torch.allclose(made[~dropped], torch.sigmoid(opacities[~dropped]) / 0.7, rtol=1e-5)

    values = (torch.zeros(count, 3), torch.randn(count, 4), scales, torch.full((count,), -9.0))
    values[2][:, 0] = -6.0  # flat ones
    empty = tuple(torch.zeros_like(value) for value in values)
    gradients = (*empty[:3], torch.zeros(1, count))
    options = {"seed": 9, "drop": 0.0, "opacity_cost": 0.0, "scale_cost": 0.0, "noise": 2.0, **ADAM}
    moments = (empty, tuple(value.clone() for value in empty))
    rates = (0.0, 0.0, 0.0, 0.0)
    answer = call(
        root,
        tmp_path,
        module,
        "step_geometry",
        values,
        *moments,
        gradients,
        None,
        rates,
        1,
        options,
    )
    q = torch.nn.functional.normalize(values[1], dim=1)
    axes = torch.stack(  # columns of the rotation: the Gaussians' own axes
        [
            torch.stack(
                [
                    1 - 2 * (q[:, 2] ** 2 + q[:, 3] ** 2),
                    2 * (q[:, 1] * q[:, 2] + q[:, 0] * q[:, 3]),
                    2 * (q[:, 1] * q[:, 3] - q[:, 0] * q[:, 2]),
                ],
                dim=1,
            ),
            torch.stack(
                [
                    2 * (q[:, 1] * q[:, 2] - q[:, 0] * q[:, 3]),
                    1 - 2 * (q[:, 1] ** 2 + q[:, 3] ** 2),
                    2 * (q[:, 2] * q[:, 3] + q[:, 0] * q[:, 1]),
                ],
                dim=1,
            ),
        ],
        dim=1,
    )
    along = (axes * answer[1][0][:, None]).sum(dim=2)
    gate = torch.sigmoid(-100 * (torch.sigmoid(torch.tensor(-9.0)) - 0.005))
    wanted = 2.0 * torch.exp(torch.tensor([-12.0, -4.0])) * gate
    assert torch.allclose(along.std(dim=0), wanted, rtol=0.1)
    assert (along.mean(dim=0).abs() < 0.1 * wanted).all()


def test_adam(tmp_path: Path, root: Path) -> None:
    """The plain kernel steps as the CPU's does, a rate for each column."""
    from scripts.lib.train.kernels.adam import adam

    torch.manual_seed(5)
    tensors = [torch.randn(300, 4) for _ in range(3)]
    tensors.append(torch.rand(300, 4))  # the second moment
    rates = np.array([0.1, 0.2, 0.3, 0.4])
    module = "scripts.lib.train.kernels.adam_cuda"
    answer = call(root, tmp_path, module, "adam", *tensors, rates, 4, ADAM)
    adam(*tensors, rates, 4, **ADAM)
    for found, wanted in zip(answer[1:5], tensors, strict=True):
        assert torch.allclose(found, wanted, atol=1e-6)
