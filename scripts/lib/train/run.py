"""A whole training run on files: options resolved, the scene loaded, the splat and its numbers written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.lib.console import say
from scripts.lib.files import write_json
from scripts.lib.gaussians import write_ply
from scripts.lib.options import parse_options
from scripts.lib.scene import load_scene
from scripts.lib.train.checkpoint import Checkpoints, run_key
from scripts.lib.train.device import choose_device
from scripts.lib.train.loop import train
from scripts.lib.train.note import TrainingNote
from scripts.lib.train.options import TrainOptions, as_dict, resolve


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
    note = TrainingNote(int(scene.sizes.max()), settings.holdout)
    write_ply(ply, outcome.gaussians, (note.comment(),))
    metrics = outcome.metrics | {"resolution": note.resolution, "options": as_dict(settings)}
    write_json(metrics_path, metrics)
    store.clear()
    return metrics
