"""Where the time of a training step on a GPU goes.

    python -m tests.bench.step_cuda UNDISTORTED.zip [--preset draft]

One run of the preset is measured at some shares of its steps. One JSON line. `step_ms`: between rounds of
growth, from the first step's call to the end of the last one's work. `issue_ms`: until the CPU had handed a
step over; where that is near `step_ms`, the GPU waits for the CPU. `gpu_ms`: what the kernels of a step take;
`kernels`: how many they are. `round_ms`: one round, with its repair and growth, less its steps.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile

from scripts.lib.scene.scene import load_scene
from scripts.lib.train.options import Capture, PresetName, TrainOptions, resolve
from scripts.lib.train.trainer import Trainer

SHARES = (0.15, 0.4, 0.7)  # draft and standard: half size; the same, full size; after growth
BURST = 6  # steps that the CPU may hand over before the GPU's queue is full
BURSTS = 4


def seconds(trainer: Trainer, steps: int) -> tuple[float, float]:
    """Of some steps: until they were handed over, and until they were done."""
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(steps):
        trainer.take_step()
    given = time.perf_counter() - begun
    torch.cuda.synchronize()
    return given, time.perf_counter() - begun


def measured(trainer: Trainer) -> dict[str, float]:
    """Of the steps that come next, after which the run has its old number of steps."""
    begun = trainer.step
    for _ in range(2):  # warm, also with lists of the length that this takes
        seconds(trainer, BURST)
        trainer.settle()
    bursts = [seconds(trainer, BURST) for _ in range(BURSTS)]
    _, long = seconds(trainer, BURST * BURSTS)
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        seconds(trainer, BURST)
    found = [
        event.time_range.elapsed_us()
        for event in seen.events()
        if event.device_type == DeviceType.CUDA
    ]
    trainer.settle()
    trainer.step = begun
    return {
        "step_ms": round(1000 * long / (BURST * BURSTS), 3),
        "issue_ms": round(1000 * sorted(given for given, _ in bursts)[BURSTS // 2] / BURST, 3),
        "gpu_ms": round(sum(found) / 1000 / BURST, 3),
        "kernels": round(len(found) / BURST, 1),
    }


def rounds(trainer: Trainer, step_ms: float, many: int = 3) -> float:
    """Milliseconds of a round without its steps."""
    torch.cuda.synchronize()
    begun, first = time.perf_counter(), trainer.step
    for _ in range(many * trainer.round):
        trainer.advance()
    torch.cuda.synchronize()
    spent = 1000 * (time.perf_counter() - begun)
    return round((spent - step_ms * (trainer.step - first)) / many, 3)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--preset", choices=get_args(PresetName), default="draft")
    parser.add_argument("--device", default="cuda", help="cpu: to try this program")
    args = parser.parse_args(argv)
    scene = load_scene(args.scene)
    options = TrainOptions(preset=args.preset)
    trainer = Trainer(scene, resolve(options, args.device, Capture.of(scene.sizes)))
    found = []
    for share in SHARES:
        while trainer.step < share * trainer.settings.steps:
            trainer.advance()
        own: dict[str, object] = {"step": trainer.step, "gaussians": len(trainer.parameters)}
        own |= measured(trainer)
        own["round_ms"] = rounds(trainer, measured(trainer)["step_ms"])
        found.append(own)
    print(
        json.dumps(
            {
                "preset": args.preset,
                "steps": trainer.settings.steps,
                "size": [int(side) for side in scene.sizes[0]],
                "photos_a_step": trainer.settings.batch_size,
                "together": trainer.optimise.at_once,
                "measured": found,
                "gpu": torch.cuda.get_device_name() if args.device == "cuda" else "none",
            }
        )
    )


if __name__ == "__main__":
    main()
