"""Our CUDA kernels of a training step, the rasteriser's apart: milliseconds, and how fast they move memory.

    python -m tests.bench.kernels_cuda [--gaussians 300000] [--views 2] [--size 1500x1000] [--precision half]

A made scene: random Gaussians of degree 3, of which each view sees two thirds, and random pictures. Beside
every kernel the same work by plain torch (autograd, and torch's fused Adam), and gigabytes a second by the
bytes that the work cannot do without. Kernels are queued while the GPU sleeps, so that launches do not count.
Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scripts.lib.render.losses import cuda as losses
from scripts.lib.render.losses import reference
from scripts.lib.render.rasterise.reference import sh_basis
from scripts.lib.train.densify import add_noise
from scripts.lib.train.kernels.adam_cuda import adam
from scripts.lib.train.kernels.geometry_cuda import activate, step_geometry
from scripts.lib.train.kernels.harmonics_cuda import colours, slopes_of, step_harmonics
from scripts.lib.train.options import Precision
from scripts.lib.train.parameters import ADAM, LEARNING_RATES, SH_REST, Parameters

DEGREE, TERMS = 3, 16
REPEATS, ROUNDS = 10, 5
SLEEP = 100_000_000  # cycles: longer than it takes to queue the slowest work
GEOMETRY = ("means", "quats", "scales", "opacities")
WEIGHT = 0.2  # of SSIM


@dataclass(frozen=True)
class Work:
    """A kernel's work, the same by torch, and the bytes that it has to read and write."""

    ours: Callable[[], Any]
    torchs: Callable[[], Any]
    bytes: int


def milliseconds(work: Callable[[], Any]) -> float:
    """Of the GPU for one call, median of several rounds."""
    work()
    spans = []
    for _ in range(ROUNDS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        torch.cuda._sleep(SLEEP)
        begin.record()
        for _ in range(REPEATS):
            work()
        end.record()
        torch.cuda.synchronize()
        spans.append(begin.elapsed_time(end) / REPEATS)
    return float(np.median(spans))


class Scene:
    """What the kernels work on, on the GPU."""

    def __init__(self, count: int, views: int, size: tuple[int, int], precision: Precision) -> None:
        torch.manual_seed(0)
        torch.set_default_device("cuda")
        width, height = size
        start = {
            "means": torch.randn(count, 3),
            "quats": torch.randn(count, 4),
            "scales": torch.randn(count, 3) - 5,
            "opacities": torch.randn(count),
            "sh": 0.3 * torch.randn(count, TERMS, 3),
        }
        self.count, self.views, self.pixels = count, views, views * width * height
        self.parameters = Parameters(start, count, precision)
        self.parameters.steps = 100
        self.cameras = torch.eye(4).repeat(views, 1, 1)
        self.cameras[:, :3, 3] = torch.randn(views, 3)
        self.seen = (torch.rand(views, count, 1) < 2 / 3).int().expand(-1, -1, 2).contiguous()
        self.renders = torch.rand(views, height, width, 3)
        self.photos = (255 * torch.rand(views, height, width, 3)).to(torch.uint8)
        self.masks = torch.full((views, height, width), 255, dtype=torch.uint8)
        self.exposures = 0.1 * torch.randn(views, 6)
        self.gradients = {name: torch.randn_like(value) for name, value in start.items()}
        self.v_colours = torch.randn(views, count, 3)
        self.generator = torch.Generator("cuda").manual_seed(0)

    def leaves(self, *names: str) -> list[Tensor]:
        """Parameters for autograd."""
        return [self.parameters[name].detach().float().requires_grad_() for name in names]

    def colours_by_torch(self, means: Tensor, sh: Tensor) -> Tensor:
        """As `harmonics_cuda.colours`."""
        centres = -(self.cameras[:, :3, :3].mT @ self.cameras[:, :3, 3:])[..., 0]
        directions = torch.nn.functional.normalize(means - centres[:, None], dim=-1)
        basis = torch.stack([sh_basis(part, TERMS) for part in directions])
        return (torch.einsum("vnk,nkc->vnc", basis, sh) + 0.5).clamp_min(0)

    def losses_by_torch(self, masked: bool) -> None:
        """As `losses.judge`, with masks and exposures if `masked`."""
        renders = self.renders.detach().requires_grad_()
        exposures = self.exposures.detach().requires_grad_()
        for number in range(self.views):
            compared, mask = renders[number], None
            if masked:
                compared = compared * exposures[number, :3].exp() + exposures[number, 3:]
                mask = self.masks[number].float() / 255
            photo = self.photos[number].float() / 255
            reference.photo_loss(compared, photo, WEIGHT, mask).backward()


def optimiser(scene: Scene, *names: str) -> Callable[[dict[str, Tensor]], None]:
    """A step of torch's fused Adam on copies of parameters."""
    copies = {name: scene.parameters[name].float().clone().requires_grad_() for name in names}
    found = torch.optim.Adam(
        [{"params": [copies[name]], "lr": LEARNING_RATES[name]} for name in names], fused=True
    )

    def step(gradients: dict[str, Tensor]) -> None:
        for name in names:
            copies[name].grad = gradients[name]
        found.step()

    return step


def works(scene: Scene) -> dict[str, Work]:
    """All kernels by name."""
    p, count, views = scene.parameters, scene.count, scene.views
    made = colours(p["means"], p["sh"], scene.cameras, scene.seen, DEGREE)
    v_means, norms = torch.zeros_like(p["means"]), torch.zeros_like(p["opacities"])
    slopes = torch.empty_like(scene.v_colours)
    value, one, two = (torch.zeros_like(scene.gradients["sh"]) for _ in range(3))
    first, second = zip(*(p.moments(name) for name in GEOMETRY), strict=True)
    on_sh, on_geometry, plain = (
        optimiser(scene, "sh"),
        optimiser(scene, *GEOMETRY),
        optimiser(scene, "sh"),
    )

    def harmonics() -> None:
        slopes_of(scene.seen, made, scene.v_colours, slopes, p["sh"])
        step_harmonics(
            p["means"], p["sh"], p.moments("sh"), scene.cameras, slopes, v_means, DEGREE,
            LEARNING_RATES["sh"], SH_REST, p.steps, seed=1, **ADAM,
        )  # fmt: skip

    def harmonics_by_torch() -> None:
        means, sh = scene.leaves("means", "sh")
        seen = scene.v_colours * (scene.seen[..., :1] > 0)
        scene.colours_by_torch(means, sh).backward(seen)
        assert sh.grad is not None and means.grad is not None
        v_means.add_(means.grad)
        on_sh({"sh": sh.grad})

    def geometry() -> None:
        step_geometry(
            tuple(p[name] for name in GEOMETRY), first, second,
            tuple(scene.gradients[name] for name in GEOMETRY),
            tuple(LEARNING_RATES[name] for name in GEOMETRY), p.steps, seed=1, drop=0.1,
            position_gradients=norms, opacity_cost=1e-8, scale_cost=1e-8, axis_ratio=0.0, noise=1e-3, **ADAM,
        )  # fmt: skip

    def geometry_by_torch() -> None:
        scales, opacities = scene.leaves("scales", "opacities")
        kept = (torch.rand(count) >= 0.1) / 0.9
        sum(
            (value * scene.gradients[name]).sum() + 1e-8 * value.sum()
            for name, value in (("scales", scales.exp()), ("opacities", opacities.sigmoid() * kept))
        ).backward()  # type: ignore[union-attr]
        assert scales.grad is not None and opacities.grad is not None
        on_geometry({**scene.gradients, "scales": scales.grad, "opacities": opacities.grad})
        torch.linalg.vector_norm(scene.gradients["means"], dim=1) * scales.detach().exp().amax(
            dim=1
        )
        add_noise(p, 1e-3, scene.generator)

    def activate_by_torch() -> None:
        kept = (torch.rand(count) >= 0.1) / 0.9
        p["scales"].exp(), (p["opacities"].sigmoid() * kept).clamp_max(0.9999)

    columns = np.full(3 * TERMS, LEARNING_RATES["sh"])
    seen = float((scene.seen[..., 0] > 0).any(dim=0).float().mean())
    row = 3 * TERMS * p["sh"].element_size()
    moment = p.moments("means")[0].element_size()
    return {
        "activate": Work(
            lambda: activate(p["scales"], p["opacities"], 1, 0.1), activate_by_torch, count * 32
        ),
        "colours": Work(
            lambda: colours(p["means"], p["sh"], scene.cameras, scene.seen, DEGREE),
            lambda: scene.colours_by_torch(p["means"], p["sh"]),
            int(count * (12 + 20 * views + row * seen)),
        ),
        "judge": Work(
            lambda: losses.judge(scene.renders, scene.photos, WEIGHT),
            lambda: scene.losses_by_torch(False),
            scene.pixels * (15 + 36 + 36 + 15 + 12),
        ),
        "judge, masks and exposures": Work(
            lambda: losses.judge(scene.renders, scene.photos, WEIGHT, scene.masks, scene.exposures),
            lambda: scene.losses_by_torch(True),
            scene.pixels * (16 + 36 + 36 + 16 + 12),
        ),
        "step_harmonics": Work(
            harmonics, harmonics_by_torch, count * (12 + 56 * views + 24 + 6 * row)
        ),
        "step_geometry": Work(
            geometry, geometry_by_torch, count * (2 * 44 + 4 * 11 * moment + 44 + 4)
        ),
        "adam": Work(
            lambda: adam(value, scene.gradients["sh"], one, two, columns, 100, **ADAM),
            lambda: plain(scene.gradients),
            count * 7 * 4 * 3 * TERMS,
        ),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gaussians", type=int, default=300_000)
    parser.add_argument("--views", type=int, default=2)
    parser.add_argument("--size", default="1500x1000")
    parser.add_argument("--precision", choices=("single", "half"), default="half")
    args = parser.parse_args(argv)
    width, height = map(int, args.size.split("x"))
    scene = Scene(args.gaussians, args.views, (width, height), args.precision)
    found = {}
    for name, work in works(scene).items():
        ours = milliseconds(work.ours)
        found[name] = {
            "ms": round(ours, 4),
            "gb_per_s": round(work.bytes / ours / 1e6),
            "torch_ms": round(milliseconds(work.torchs), 3),
        }
    print(
        json.dumps(
            {
                "gaussians": args.gaussians,
                "views": args.views,
                "precision": args.precision,
                "size": [width, height],
                "kernels": found,
                "gpu": torch.cuda.get_device_name(),
            }
        )
    )


if __name__ == "__main__":
    main()
