"""Speed of the CPU backend: `python -m tests.bench.train_cpu` prints one JSON line.

For 10k, 30k and 60k Gaussians at 270 x 480: whole training steps a second (render, loss, gradients,
Adam, densification), and forward plus backward of the rasteriser alone. Gaussians and cameras are
drawn at random with the sizes that training leaves, so no scene is needed. CPU seconds stand beside
wall seconds because the machine may be doing other work.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from scripts.lib.core.threads import use_threads

ROOT = Path(__file__).resolve().parents[2]
HERE = Path("tests/bench/train_cpu.py")
BUDGETS = (20, 60, 180)  # seconds
COUNTS = (10_000, 30_000, 60_000)
SIZE = (270, 480)
VIEWS = 12


def timed(action: Callable[[], object], seconds: float) -> dict[str, float]:
    """Call `action` for about `seconds`; calls a second of wall time and of CPU time."""
    for _ in range(3):
        action()
    calls, wall, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        action()
        calls += 1
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"per_second": round(calls / wall, 2), "cpu_ms": round(1000 * cpu / calls, 1)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=5.0, help="per measurement")
    parser.add_argument("--against", help="an older revision to measure in the same run")
    parser.add_argument("--curve", type=Path, help="undistorted.zip: held-out PSNR after budgets")
    parser.add_argument("--budgets", type=float, nargs="+", default=BUDGETS, help="seconds each")
    parser.add_argument("--steps", type=int, nargs="+", default=[], help="of --curve: not budgets")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--copies", action="store_true", help="Gaussians multiply as before 0.2")
    parser.add_argument(
        "--change", action="append", default=[], metavar="SETTING=VALUE", help="of --curve"
    )
    args = parser.parse_args()
    use_threads(args.threads)

    if args.curve:
        from tests.bench.copies import growing_by_copies

        pairs = (pair.split("=") for pair in args.change)
        changes = {key: json.loads(value) for key, value in pairs}
        with growing_by_copies() if args.copies else nullcontext():
            amounts = args.steps or args.budgets
            found = curve(args.curve, args.threads, amounts, args.seeds, changes, bool(args.steps))
        print(json.dumps({"bench": "train_cpu curve", "copies": args.copies} | found))
        return

    import numpy as np
    import torch

    from scripts.lib.train.options import TrainOptions, resolve
    from scripts.lib.train.parameters import NAMES
    from scripts.lib.train.step import render
    from scripts.lib.train.trainer import Trainer
    from scripts.lib.train.views import Stack
    from tests.bench.cloud import make_scene

    result: dict[str, Any] = {"bench": "train_cpu", "threads": args.threads, "size": SIZE}
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            scene = make_scene(Path(folder) / "scene.zip", count, SIZE, VIEWS)
            options = TrainOptions(
                steps=100_000, max_gaussians=count, sh_degree=2, resolution=0, test_every=0
            )
            trainer = Trainer(scene, resolve(options, "cpu"))
            trainer.step = 50_000  # past the coarse part, every band in use, densification on
            steps = timed(trainer.advance, args.seconds)
        p, view = trainer.parameters, trainer.photos.stacks[0].one(0)
        leaves = {name: p[name].detach().requires_grad_() for name in NAMES}

        def both(leaves: dict[str, torch.Tensor] = leaves, view: Stack = view) -> None:
            colour = render(leaves, view, degree=2, antialiased=False)
            colour.sum().backward()

        result[str(count)] = {"step": steps, "rasterise": timed(both, args.seconds)}
    result["numpy"], result["torch"] = np.__version__, torch.__version__
    if args.against:
        older = of_revision(args.against, args.threads, args.seconds)
        result["against"] = args.against
        for number in map(str, COUNTS):
            before, now = (found[number]["step"]["cpu_ms"] for found in (older, result))
            result[number] |= {"older_cpu_ms": before, "faster": round(before / now, 2)}
    print(json.dumps(result))


def curve(
    scene_path: Path,
    threads: int,
    amounts: Sequence[float],
    seeds: Sequence[int],
    changes: dict[str, Any],
    in_steps: bool = False,
) -> dict[str, Any]:
    """What whole runs come to on photos not trained on, for `amounts` of seconds on quiet cores, or of steps.

    A quiet machine's seconds are taken as CPU seconds over threads, and the steps are chosen by what earlier
    ones took; wall seconds stand beside them. `changes`: settings that differ from the preset's.
    """
    from dataclasses import replace

    from scripts.lib.scene.scene import load_scene
    from scripts.lib.scene.split import split_scene
    from scripts.lib.train.loop import train
    from scripts.lib.train.options import Capture, TrainOptions, resolution_for, resolve
    from tests.bench.judge import Judge

    options = TrainOptions()
    scene = load_scene(scene_path, resolution_for(options, "cpu"))
    judge = Judge(scene, "cpu", options.test_every)
    capture = Capture.of(scene.sizes[split_scene(scene, options.test_every).trained])
    settings = replace(resolve(options, "cpu", capture), **changes)
    rows, per_step = [], 0.0
    # Twice 200 steps first: compile, then find what a step takes.
    plan = [] if in_steps else [(0.0, 0), (0.0, 0)]
    for budget, seed in [*plan, *((amount, seed) for amount in amounts for seed in seeds)]:
        steps = round(budget if in_steps else budget / per_step) if budget else 200
        wall, cpu = time.perf_counter(), time.process_time()
        outcome = train(scene, replace(settings, steps=steps, seed=seed), None, 0)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if seed == seeds[0] or not budget:  # the same steps for all seeds of a budget
            per_step = cpu / threads / steps
        if budget:
            row: dict[str, Any] = {"seconds_planned": None if in_steps else budget, "seed": seed}
            row["steps"] = steps
            row |= {"cpu_over_threads": round(cpu / threads, 1), "wall": round(wall, 1)}
            row |= {"gaussians": len(outcome.gaussians)}
            quality = judge.quality(outcome.gaussians)
            row |= {key: round(value, 4) for key, value in quality.items()}
            rows.append(row | judge.streaks(outcome.gaussians))
            print(json.dumps(rows[-1]), flush=True)
    return {"scene": str(scene_path.parent.name), "changes": changes, "runs": rows}


def of_revision(revision: str, threads: int, seconds: float) -> dict[str, Any]:
    """What this benchmark finds in an older revision, in a checkout of its own.

    A revision from before the benchmark is measured with its first version.
    """
    git = partial(subprocess.run, check=True, text=True, capture_output=True)
    added = git(["git", "log", "--format=%h", "--diff-filter=A", "--", str(HERE)], cwd=ROOT).stdout
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git(["git", "worktree", "add", "--detach", str(tree), revision], cwd=ROOT)
        try:
            if not (tree / HERE).exists():
                git(["git", "checkout", added.split()[-1], "--", "tests/bench"], cwd=tree)
            command = [sys.executable, "-m", "tests.bench.train_cpu"]
            options = ["--threads", str(threads), "--seconds", str(seconds)]
            line = git([*command, *options], cwd=tree).stdout.strip().splitlines()[-1]
        finally:
            git(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT)
    found: dict[str, Any] = json.loads(line)
    return found


if __name__ == "__main__":
    main()
