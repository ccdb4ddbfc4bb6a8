"""A whole training run on files: options resolved, the scene loaded, the splat and its numbers written."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from scripts.lib.contracts.record import stamped, write
from scripts.lib.contracts.train import Train
from scripts.lib.core.console import say
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import TRAINING
from scripts.lib.render.device import Device
from scripts.lib.scene.scene import load_scene
from scripts.lib.scene.split import split_scene
from scripts.lib.splat.gaussians import write_ply
from scripts.lib.train.checkpoint import Checkpoints, run_key
from scripts.lib.train.loop import train
from scripts.lib.train.note import TrainingNote
from scripts.lib.train.options import (
    Capture,
    TrainOptions,
    as_dict,
    chosen_names,
    resolution_for,
    resolve,
)


def run(
    scene_path: Path,
    options_text: str,
    ply: Path,
    metrics_path: Path,
    checkpoints: Path | str,
    device: Device,
) -> Train:
    """Train on `scene_path`, write `ply` and `metrics_path`, return the metrics.

    `checkpoints` is a folder, or `s3://BUCKET/PREFIX`.
    Raises UserError on bad input or options, `loop.StoppedError` after SIGTERM.
    """
    options = parse_options(TrainOptions, options_text)
    scene = load_scene(scene_path, resolution_for(options, device.type))
    names = chosen_names(options.test_photos)
    split = split_scene(scene, options.test_every, names)
    trained = split.trained
    # Those that steer are counted as trained on: a few photos less are no reason to work less.
    capture = sorted({*trained, *split.steering} - {*split.judged})
    settings = resolve(options, device.type, Capture.of(scene.sizes[capture]))
    say(
        f"Training on {len(trained)} of {len(scene)} photos, {device.type}: {settings.steps} steps, at most"
        f" {settings.max_gaussians} Gaussians, long side {int(scene.sizes.max())} px"
    )
    store = Checkpoints(checkpoints, run_key(scene_path, as_dict(settings)))
    with store:
        outcome = train(
            scene,
            settings,
            store if options.checkpoint_every else None,
            options.checkpoint_every,
        )
    note = TrainingNote(
        int(scene.sizes.max()),
        settings.test_every,
        settings.test_photos,
        outcome.metrics.sky_from,
        split.record(scene.names),
        outcome.metrics.cameras.focal_scales if outcome.metrics.cameras else (),
    )
    write_ply(ply, outcome.gaussians, (note.comment(),))
    metrics = dataclasses.replace(
        outcome.metrics, device_reason=device.reason, resolution=note.resolution
    )
    metrics = stamped(metrics, as_dict(settings), *TRAINING)
    write(metrics_path, metrics)
    store.clear()
    return metrics
