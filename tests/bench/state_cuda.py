"""Memory and speed of training on a GPU by the number of Gaussians, in single precision and in half of it.

    python -m tests.bench.state_cuda [--counts 300000,1000000,3000000,5000000] [--limit 7.5]

Random Gaussians of degree 3 that cover each pixel some eight times, four photos of 2 megapixels a step.
Prints one JSON line: for each count and precision the steps a second, the size of the state, and the most
memory that a step, a round of growth, a measurement and the thinning hold, and that torch has taken from the
driver in all, MB. With --limit (GB), torch gets no more than that, as on a smaller card; the driver's own
context, about half a GB, comes on top.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from scripts.lib.train import densify, thinning
from scripts.lib.train.fused import FusedStep
from scripts.lib.train.options import Precision
from scripts.lib.train.parameters import NAMES, Parameters
from scripts.lib.train.quality import mean_psnr
from scripts.lib.train.step import Adjustments
from scripts.lib.train.views import Stack
from tests.step_plan import plan

PHOTOS, SIZE, COVER = 4, (1632, 1224), 8
DEGREE, TERMS = 3, 16
FOCAL, DEPTH = 1400.0, 4.0
WARM, STEPS = 5, 30
PRECISIONS: tuple[Precision, ...] = ("single", "half")


def photos(device: str) -> Stack:
    """Noise from places beside each other."""
    width, height = SIZE
    poses = torch.eye(4, device=device).repeat(PHOTOS, 1, 1)
    poses[:, 0, 3] = torch.linspace(-0.1, 0.1, PHOTOS, device=device)
    K = torch.tensor([[FOCAL, 0, width / 2], [0, FOCAL, height / 2], [0, 0, 1]], device=device)
    pixels = torch.randint(0, 256, (PHOTOS, height, width, 3), dtype=torch.uint8, device=device)
    everyone = torch.arange(PHOTOS, device=device)
    return Stack(pixels, poses, K.repeat(PHOTOS, 1, 1), everyone, everyone * 0)


def gaussians(count: int, capacity: int, precision: Precision, device: str) -> Parameters:
    """Spread over what the cameras see, of sizes that make each pixel's cover."""
    width, height = SIZE
    torch.manual_seed(0)
    depth = DEPTH * (0.75 + 0.5 * torch.rand(count, device=device))
    place = torch.rand(count, 2, device=device) - 0.5
    across = place * torch.tensor([width, height], device=device) / FOCAL * depth[:, None]
    pixels = max(0.5, math.sqrt(COVER * width * height / count / (2 * math.pi)))
    start = {
        "means": torch.cat([across, depth[:, None]], dim=1),
        "quats": torch.randn(count, 4, device=device),
        "scales": 0.3 * torch.randn(count, 3, device=device) + math.log(pixels * DEPTH / FOCAL),
        "opacities": torch.randn(count, device=device),
        "sh": torch.zeros(count, TERMS, 3, device=device),
    }
    start["sh"][:, 0] = torch.randn(count, 3, device=device)
    return Parameters(start, capacity, precision)


class Peaks:
    """The most memory that is held in each phase of the work, MB."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        """Do `work` and note how much it held."""
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        result = work()
        torch.cuda.synchronize()
        self.found[name] = round(torch.cuda.max_memory_allocated() / 2**20)
        return result


def measured(count: int, precision: Precision, at_once: int, device: str) -> dict[str, Any]:
    """One run: some steps, a round of growth, steps at full size, a measurement, the thinning."""
    views, peaks = photos(device), Peaks()
    parameters = gaussians(round(count / 1.05), count, precision, device)
    generator = torch.Generator(device).manual_seed(0)
    step = FusedStep("cuda", at_once, SIZE[0] * SIZE[1], torch.device(device))
    cameras, done = [views.one(number) for number in range(PHOTOS)], 0

    def steps(number: int) -> torch.Tensor:
        nonlocal done
        norms = torch.zeros(len(parameters), device=device)
        for _ in range(number):
            given = plan(2 * done, DEGREE, noise=1e-4)
            step(parameters, views, given, generator, Adjustments(), norms)
            done += 1
        return norms

    def tensors() -> dict[str, torch.Tensor]:
        return {name: parameters[name] for name in NAMES}

    def grow() -> None:
        densify.grow(parameters, count, steps(1), generator)

    peaks("growth", grow)
    steps(WARM)
    step.lost()  # lists have the length that they need from here on
    peaks("step", lambda: steps(WARM))
    torch.cuda.synchronize()
    begun = time.monotonic()
    steps(STEPS)
    torch.cuda.synchronize()
    seconds = time.monotonic() - begun
    assert not step.lost()
    rows = parameters.state()["rows"]
    size = sum(t.numel() * t.element_size() for parts in rows.values() for t in parts)
    peaks("measurement", lambda: mean_psnr(tensors(), cameras, DEGREE, False))

    def thin() -> None:
        weights = thinning.contributions(tensors(), cameras, False)
        parameters.keep(thinning.needed(weights))

    peaks("thinning", thin)
    return {
        "steps_per_second": round(STEPS / seconds, 2),
        "at_once": step.at_once,
        "state_mb": round(size / 2**20),
        "peak_mb": peaks.found,
        "kept": len(parameters),
    }


def attempted(count: int, precision: Precision, at_once: int, device: str) -> dict[str, Any]:
    """The same on a GPU that nothing else fills; says so where its memory does not suffice."""
    gc.collect()
    torch.cuda.empty_cache()
    most = 0
    try:
        found = measured(count, precision, at_once, device)
        most = round(torch.cuda.memory_reserved() / 2**20)
    except torch.cuda.OutOfMemoryError:
        return {"out_of_memory": True}
    return found | {"reserved_mb": most}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", default="300000,1000000,3000000,5000000")
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--at-once", type=int, default=2, help="photos rendered together")
    parser.add_argument("--limit", type=float, help="GB that torch may take")
    args = parser.parse_args(argv)
    if args.limit:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(args.limit * 2**30 / total)
    found: dict[str, Any] = {}
    for precision in args.precisions.split(","):
        attempted(10_000, precision, args.at_once, "cuda")  # compiles and loads the kernels
    for count in map(int, args.counts.split(",")):
        found[str(count)] = {
            precision: attempted(count, precision, args.at_once, "cuda")
            for precision in args.precisions.split(",")
        }
    line = {"bench": "state_cuda", "size": SIZE, "photos": PHOTOS, "limit_gb": args.limit}
    print(json.dumps(line | {"gaussians": found, "gpu": torch.cuda.get_device_name()}))


if __name__ == "__main__":
    main()
