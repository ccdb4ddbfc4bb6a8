"""Training on a GPU against gsplat's own recipe: `python -m tests.bench.train_gpu SCENE.zip`.

Trains one undistorted scene with (a) a reference written on gsplat's public API with its documented
defaults (DefaultStrategy, 30 000 steps, one photo a step, torch's Adam for each group of parameters, the
photos on the GPU already, our fast photo loss: a stronger baseline than gsplat's own script, which decodes
a JPEG every step), and (b) our presets. Prints one JSON line for each run and one with the ratios.
Both are warmed up first, so that nothing is compiled on the clock.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from scripts.lib.contracts.record import to_json
from scripts.lib.render.losses import photo_loss
from scripts.lib.scene.scene import Scene
from scripts.lib.scene.split import split_scene
from scripts.lib.splat.gaussians import Gaussians, write_ply
from scripts.lib.train.initialise import frame_of, initial_tensors
from scripts.lib.train.loop import train
from scripts.lib.train.options import (
    Capture,
    PresetName,
    Settings,
    TrainOptions,
    resolution_for,
    resolve,
)
from scripts.lib.train.parameters import export
from scripts.lib.train.views import load_stacks
from tests.bench.judge import TEST_EVERY, Judge, load_decoded

Run = tuple[Gaussians, dict[str, Any]]
REFERENCE_STEPS = 30_000
CURVE_EVERY = 5000  # steps between the reference's held-out figures


def reference(scene: Scene, steps: int, seed: int, judge: Judge) -> Run:
    """gsplat's documented defaults; the schedule (rates, harmonics, strategy) is that of 30 000 steps."""
    import gsplat

    device = torch.device("cuda")
    torch.manual_seed(seed)
    frame = frame_of(scene)  # of radius 1, so gsplat's scene_scale is 1
    stacks = load_stacks(scene, frame, split_scene(scene, TEST_EVERY).trained, device)
    views = [stack.one(row) for stack in stacks for row in range(len(stack))]
    start = initial_tensors(
        scene, frame, max_gaussians=10**9, sh_degree=3, seed=seed, device=device, start_share=0.0
    )
    start["sh0"], start["shN"] = start["sh"][:, :1].clone(), start.pop("sh")[:, 1:].clone()
    params = {name: torch.nn.Parameter(value) for name, value in start.items()}
    rates = {"means": 1.6e-4, "scales": 5e-3, "opacities": 5e-2, "quats": 1e-3}
    rates |= {"sh0": 2.5e-3, "shN": 2.5e-3 / 20}
    optimisers = {
        name: torch.optim.Adam([{"params": value, "lr": rates[name]}], eps=1e-15)
        for name, value in params.items()
    }
    decay = torch.optim.lr_scheduler.ExponentialLR(optimisers["means"], 0.01 ** (1 / steps))
    strategy = gsplat.DefaultStrategy()
    strategy.check_sanity(params, optimisers)
    state = strategy.initialize_state(scene_scale=1.0)

    def splat() -> Gaussians:
        names = ("means", "quats", "scales", "opacities")
        tensors = {name: params[name].detach() for name in names}
        tensors["sh"] = torch.cat([params["sh0"], params["shN"]], 1).detach()
        return export(tensors, torch.tensor(frame.centre), frame.radius)

    random, order, curve = np.random.default_rng(seed), list[int](), list[dict[str, Any]]()
    torch.cuda.synchronize()
    began = time.monotonic()
    for step in range(steps):
        if not order:
            order = random.permutation(len(views)).tolist()
        view = views[order.pop()]
        image, _, info = gsplat.rasterization(
            params["means"],
            params["quats"],
            torch.exp(params["scales"]),
            torch.sigmoid(params["opacities"]),
            torch.cat([params["sh0"], params["shN"]], 1),
            view.world_to_camera,
            view.K,
            *view.size,
            sh_degree=min(step // 1000, 3),
            packed=False,
        )
        strategy.step_pre_backward(params, optimisers, state, step, info)
        photo_loss(image[0], view.photo(0), 0.2, view.mask(0)).backward()
        for optimiser in optimisers.values():
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        decay.step()
        strategy.step_post_backward(params, optimisers, state, step, info, packed=False)
        if (step + 1) % CURVE_EVERY == 0 or step + 1 == steps:
            torch.cuda.synchronize()
            stopped = time.monotonic()
            gaussians = splat()
            point = {"step": step + 1, "seconds": round(stopped - began, 2)}
            curve.append(point | {"psnr": judge.psnr(gaussians)})
            print(json.dumps({"reference": curve[-1], "gaussians": len(gaussians)}), flush=True)
            began += time.monotonic() - stopped  # measuring is not training
    seconds = curve[-1]["seconds"]
    return gaussians, {"steps": steps, "seconds": seconds, "gaussians": len(gaussians)} | {
        "curve": curve
    }


def ours(scene: Scene, settings: Settings) -> Run:
    """One of our runs: its splat, steps, seconds and Gaussians."""
    outcome = train(scene, settings, None, 0)
    kept = ("steps", "seconds", "gaussians", "curve")
    figures = to_json(outcome.metrics)
    return outcome.gaussians, {key: figures[key] for key in kept}


def measured(
    judge: Judge, recipe: str, seed: int, run: Callable[[], Run], keep: Path | None
) -> dict[str, Any]:
    """Do `run`, measure its splat on the held-out photos, print and return one line.

    `whole_seconds` has the loading of the photos and the measuring in it.
    """
    began, scene = time.monotonic(), judge.views.scene
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    gaussians, numbers = run()
    peak = torch.cuda.max_memory_allocated() / 2**20
    found, streaks = judge.quality(gaussians), judge.streaks(gaussians)
    line = {
        "bench": "train_gpu",
        "scene": scene.path.stem,
        "device": torch.cuda.get_device_name(),
        "recipe": recipe,
        "seed": seed,
        "seconds": round(numbers["seconds"], 2),
        "whole_seconds": round(time.monotonic() - began, 2),
        "psnr": round(found["psnr"], 3),
        "ssim": round(found["ssim"], 4),
        **streaks,
        "gaussians": numbers["gaussians"],
        "peak_memory_mb": round(peak),
        "steps_per_second": round(numbers["steps"] / numbers["seconds"], 1),
        "steps": numbers["steps"],
    }
    if "curve" in numbers:
        line["curve"] = [(c["seconds"], round(c["psnr"], 2)) for c in numbers["curve"]]
    print(json.dumps(line), flush=True)
    if keep:
        write_ply(keep / f"{scene.path.stem}-{recipe}-{seed}.ply", gaussians)
    return line


def ratios(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Means and spreads by recipe, seconds and dB against the reference's."""
    by: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by.setdefault(line["recipe"], []).append(line)
    result: dict[str, Any] = {"bench": "train_gpu ratios", "scene": lines[0]["scene"]}
    base = by.get("reference")
    for recipe, runs in by.items():
        psnr = [run["psnr"] for run in runs]
        seconds = float(np.mean([run["seconds"] for run in runs]))
        row = {
            "psnr": round(float(np.mean(psnr)), 2),
            "spread": round(max(psnr) - min(psnr), 2),
            "seconds": round(seconds, 1),
        }
        if base:
            wanted = float(np.mean([run["seconds"] for run in base]))
            row["seconds_ratio"] = f"1/{wanted / seconds:.1f}"
            row["psnr_gain"] = round(
                float(np.mean(psnr)) - float(np.mean([run["psnr"] for run in base])), 2
            )
            row["memory_ratio"] = round(
                max(run["peak_memory_mb"] for run in runs)
                / max(run["peak_memory_mb"] for run in base),
                2,
            )
        result[recipe] = row
    return result


def main() -> None:
    """Train, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", type=Path, help="undistorted.zip")
    parser.add_argument(
        "--recipes",
        nargs="*",
        default=["draft:0,1,2", "standard:0,1,2", "high:0,1,2", "reference:0"],
        help="RECIPE:SEEDS; reference, or one of our presets",
    )
    parser.add_argument("--reference-steps", type=int, default=REFERENCE_STEPS)
    parser.add_argument(
        "--set", action="append", default=[], help="NAME,KEY=VALUE,...: a recipe of its own"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of every --set")
    parser.add_argument("--keep", type=Path, help="folder to leave the splats in")
    args = parser.parse_args()
    scene = load_decoded(args.scene)
    judge = Judge(scene, "cuda")
    warm_up(judge, any(text.startswith("reference") for text in args.recipes))
    lines = []
    for text in args.recipes:
        recipe, _, seeds = text.partition(":")
        for seed in map(int, (seeds or "0").split(",")):
            changes = {"steps": args.reference_steps} if recipe == "reference" else {}
            run = _run(judge, recipe, seed, changes)
            lines.append(measured(judge, recipe, seed, run, args.keep))
    for seed in args.seeds:  # side by side, so that a machine that slows down slows all of them
        for text in args.set:
            name, *pairs = text.split(",")
            changes = {k: _value(v) for k, v in (pair.split("=") for pair in pairs)}
            run = _run(judge, changes.pop("preset", "standard"), seed, changes)
            lines.append(measured(judge, name, seed, run, args.keep))
    print(json.dumps(ratios(lines)))


def _value(text: str) -> Any:
    """A value of --set: JSON, or a plain word."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def warm_up(judge: Judge, with_reference: bool) -> None:
    """Compile and load every kernel, off the clock."""
    scene = judge.views.scene
    settings = settings_of(scene, "standard", 0)
    ours(scene, dataclasses.replace(settings, steps=40, max_gaussians=20_000))
    if with_reference:
        reference(scene, 40, 0, judge)


def settings_of(scene: Scene, preset: str, seed: int) -> Settings:
    """What a preset means for a scene on a GPU."""
    options = TrainOptions(preset=cast(PresetName, preset), test_every=TEST_EVERY, seed=seed)
    sizes = scene.at_most(resolution_for(options, "cuda")).sizes
    return resolve(options, "cuda", Capture.of(sizes[split_scene(scene, TEST_EVERY).trained]))


def _run(judge: Judge, recipe: str, seed: int, changes: dict[str, Any]) -> Callable[[], Run]:
    """The run of a recipe, not yet started."""
    scene = judge.views.scene
    if recipe == "reference":
        return lambda: reference(scene, changes["steps"], seed, judge)
    settings = dataclasses.replace(settings_of(scene, recipe, seed), **changes)
    trained = scene.at_most(settings.resolution)
    return lambda: ours(trained, settings)


if __name__ == "__main__":
    main()
