"""A large scene trained as one and in blocks, one after another or side by side on several GPUs.

    python -m tests.bench.world_blocks FOLDER --blocks 1 4 9 --gpus 2

FOLDER/undistorted.zip is what `tests.bench.made_world` leaves. Runs the programs that the workflow runs, and
prints one JSON line for each number of blocks: wall seconds, dB on the photos that nothing was trained on,
Gaussians, and the most GPU memory that one job took. `tests.bench.blocks` tells of seams.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.contracts.blocks import Blocks
from scripts.lib.contracts.record import read
from scripts.lib.measure.metrics import psnr
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.scene import load_scene
from scripts.lib.scene.split import recorded
from scripts.lib.splat.gaussians import read_ply
from scripts.lib.train.note import read_note


class Gpus:
    """Runs programs, each alone on one of `count` GPUs from number `first` on (count 0: on the CPU)."""

    def __init__(self, count: int, first: int = 0) -> None:
        self.free: queue.Queue[int] = queue.Queue()
        self.count = count
        for number in range(first, first + max(count, 1)):
            self.free.put(number)

    def run(self, program: str, **arguments: Any) -> None:
        """Run `python -m scripts.PROGRAM --NAME VALUE ...`; raises CalledProcessError."""
        words = [sys.executable, "-m", f"scripts.{program}"]
        for name, value in arguments.items():
            values = value if isinstance(value, list) else [value]
            words += [f"--{name}", *map(str, values)]
        own = self.free.get()
        try:
            shown = {"CUDA_VISIBLE_DEVICES": str(own)} if self.count else {}
            subprocess.run(words, check=True, env=os.environ | shown, stdout=subprocess.DEVNULL)
        finally:
            self.free.put(own)


def train(folder: Path, home: Path, blocks: int, options: str, gpus: Gpus) -> dict[str, Any]:
    """Train in `home`, which must be new; the wall seconds of it and of its jobs, and memory."""
    scene, device = folder / "undistorted.zip", "cuda" if gpus.count else "cpu"
    (home / "blocks").mkdir(parents=True)
    common = {"scene": scene, "options": options, "device": device}
    spans: dict[str, float] = {}

    def timed(name: str, program: str, **arguments: Any) -> None:
        began = time.monotonic()
        gpus.run(program, **arguments)
        spans[name] = round(time.monotonic() - began, 1)

    def trained(program: str, ply: Path, **more: Any) -> None:
        files = {"ply": ply, "metrics": ply.with_suffix(".json"), "checkpoints": home / ply.stem}
        timed(ply.stem, program, **common, **files, **more)

    began = time.monotonic()
    if blocks == 1:
        trained("train_splat", home / "splat.ply")
        parts = [home / "splat.json"]
    else:
        plan, coarse = home / "blocks" / "plan.json", home / "blocks" / "coarse.ply"
        with ThreadPoolExecutor(max(gpus.count, 1)) as pool:
            planned = pool.submit(
                timed, "plan", "plan_blocks", scene=scene, blocks=blocks, plan=plan
            )
            trained("train_coarse", coarse)
            planned.result()
            plys = [home / "blocks" / f"{number}.ply" for number in range(1, blocks + 1)]
            jobs = [
                pool.submit(trained, "train_block", ply, plan=plan, coarse=coarse, block=ply.stem)
                for ply in plys
            ]
            for job in jobs:
                job.result()
        numbers = [ply.with_suffix(".json") for ply in plys]
        made = {"ply": home / "splat.ply", "metrics": home / "splat.json"}
        both = [coarse, coarse.with_suffix(".json")]
        timed("merge", "merge_blocks", plan=plan, coarse=both, blocks=plys, numbers=numbers, **made)
        parts = [coarse.with_suffix(".json"), *numbers]
    wall = time.monotonic() - began
    peaks = [json.loads(path.read_text())["peak_memory_mb"] for path in parts]
    return {"wall": round(wall, 1), "jobs": spans, "peak_memory_mb": peaks}


def judged(scene_path: Path, ply: Path, device: str) -> dict[str, float]:
    """Mean dB on the photos that the training of `ply` left for judging, and the number of Gaussians."""
    note = read_note(ply)
    assert note is not None and note.split is not None, "a splat that was not trained here"
    scene = load_scene(scene_path, note.resolution)
    chosen = recorded(note.split, scene.names, str(scene.path)).judged
    splat = read_ply(ply)
    renderer = Renderer(splat, device)
    found = [
        psnr(
            renderer.picture(scene.world_to_camera[row], scene.K[row], scene.sizes[row]),
            photo / 255,
        )
        for row, photo in zip(chosen, scene.photos(chosen), strict=True)
    ]
    return {"psnr": round(float(np.mean(found)), 3), "gaussians": len(splat), "photos": len(chosen)}


def main(argv: Sequence[str] | None = None) -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 4, 9])
    parser.add_argument("--gpus", type=int, default=0, help="0: the CPU")
    parser.add_argument("--first-gpu", type=int, default=0, help="number of the first of them")
    parser.add_argument("--options", default='{"preset": "standard"}', help="of train_splat, JSON")
    parser.add_argument("--label", default="", help="of the folders that are left")
    args = parser.parse_args(argv)
    for blocks in args.blocks:
        home = args.folder / f"blocks{blocks}{args.label}"
        line = train(args.folder, home, blocks, args.options, Gpus(args.gpus, args.first_gpu))
        device = "cuda" if args.gpus else "cpu"
        line |= judged(args.folder / "undistorted.zip", home / "splat.ply", device)
        if blocks > 1:
            plan = read(Blocks, home / "blocks" / "plan.json")
            line["photos_of_blocks"] = [len(block.photos) for block in plan.blocks]
        print(json.dumps({"bench": "world_blocks", "blocks": blocks, **line}), flush=True)


if __name__ == "__main__":
    main()
