"""A whole training run on files: options resolved, the scene loaded, the splat and its numbers written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from scripts.lib.console import UserError, say
from scripts.lib.files import write_json
from scripts.lib.gaussians import write_ply
from scripts.lib.options import parse_options
from scripts.lib.scene import load_scene
from scripts.lib.train.checkpoint import Checkpoints, run_key
from scripts.lib.train.loop import train
from scripts.lib.train.options import TrainOptions, as_dict, resolve

TAG = "splatmake "  # the PLY's comment line: what evaluation must know about training


def choose_device(wanted: str) -> str:
    """ "cuda" or "cpu" for the option `device`.

    Raises UserError when "cuda" is asked for and torch sees no GPU, or on an unknown name.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise UserError(f"option device is {wanted!r}; choose auto, cuda or cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "option device is 'cuda' but torch sees no CUDA GPU; check nvidia-smi and the torch"
            " build, or set device to auto"
        )
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def run(
    scene_path: Path, options_text: str, ply: Path, metrics_path: Path, checkpoints: Path
) -> dict[str, Any]:
    """Train on `scene_path`, write `ply` and `metrics_path`, return the metrics.

    Raises UserError on bad input or options, `loop.StoppedError` after SIGTERM.
    """
    options = parse_options(TrainOptions, options_text)
    settings = resolve(options, choose_device(options.device))
    scene = load_scene(scene_path, settings.resolution)
    store = Checkpoints(checkpoints, run_key(scene_path, as_dict(settings)))
    say(
        f"Training {len(scene)} photos on {settings.device}: {settings.steps} steps, at most"
        f" {settings.cap} Gaussians, long side {int(scene.sizes.max())} px"
    )
    outcome = train(
        scene, settings, store if options.checkpoint_every else None, options.checkpoint_every
    )
    known = {"resolution": int(scene.sizes.max()), "holdout": settings.holdout}
    write_ply(ply, outcome.gaussians, (TAG + json.dumps(known, sort_keys=True),))
    metrics = outcome.metrics | {"resolution": known["resolution"], "options": as_dict(settings)}
    write_json(metrics_path, metrics)
    store.clear()
    return metrics
