"""Quality against the number of Gaussians, on a GPU: `python -m tests.bench.curve SCENE.zip ...`.

Trains every scene with several ceilings, as Gaussians multiply now (halved, and those that show least
removed) and as they did before 0.2 (copies at one place, none removed). One JSON line for each run, with dB
and SSIM on photos not trained on; none stops early.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from contextlib import nullcontext
from pathlib import Path

import torch

from tests.bench.copies import growing_by_copies
from tests.bench.judge import Judge, load_decoded
from tests.bench.train_gpu import Run, measured, ours, settings_of, warm_up

CEILINGS = (50_000, 100_000, 200_000, 400_000, 1_000_000)
STRATEGIES = ("halves", "copies")


def main() -> None:
    """Train, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", type=Path, nargs="+", help="undistorted.zip of each scene")
    parser.add_argument("--ceilings", type=int, nargs="+", default=CEILINGS)
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    parser.add_argument("--preset", default="standard")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--seconds", type=float, default=1e9, help="start no run after so many")
    args = parser.parse_args()
    began = time.monotonic()
    judges = [Judge(load_decoded(path), "cuda") for path in args.scenes]
    warm_up(judges[0], with_reference=False)
    for seed in args.seeds:
        for ceiling in args.ceilings:
            for judge in judges:
                for strategy in args.strategies:
                    if time.monotonic() - began > args.seconds:
                        run = f"{judge.views.scene.path.stem} {strategy} {ceiling}"
                        print(json.dumps({"bench": "curve", "not_run": run, "seed": seed}))
                        continue
                    one(judge, args.preset, strategy, ceiling, seed)


def one(judge: Judge, preset: str, strategy: str, ceiling: int, seed: int) -> None:
    """One run, and its line."""
    scene = judge.views.scene
    settings = settings_of(scene, preset, seed)
    settings = dataclasses.replace(settings, max_gaussians=ceiling)

    def run() -> Run:
        with growing_by_copies() if strategy == "copies" else nullcontext():
            return ours(scene.at_most(settings.resolution), settings)

    try:
        measured(judge, f"{strategy} {ceiling}", seed, run, None)
    except torch.cuda.OutOfMemoryError as error:
        print(json.dumps({"bench": "curve", "recipe": f"{strategy} {ceiling}", "why": str(error)}))


if __name__ == "__main__":
    main()
