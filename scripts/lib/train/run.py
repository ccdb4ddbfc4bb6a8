"""A whole training run on files: options resolved, the scene loaded, the splat and its numbers written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.contracts.live import Live
from scripts.lib.contracts.record import stamped, write
from scripts.lib.contracts.train import Train
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.console import say
from scripts.lib.core.digest import code_digest
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import TRAINING
from scripts.lib.render.device import Device
from scripts.lib.scene.scene import Scene, load_scene
from scripts.lib.scene.split import Split, split_scene
from scripts.lib.splat.gaussians import write_ply
from scripts.lib.train.block import Block
from scripts.lib.train.checkpoint import Checkpoints, run_key
from scripts.lib.train.leave_out import without_transients
from scripts.lib.train.live import Watched
from scripts.lib.train.loop import train
from scripts.lib.train.mask_pictures import write_masks
from scripts.lib.train.note import TrainingNote
from scripts.lib.train.options import (
    Capture,
    Settings,
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
    left_out: Path | None = None,
) -> Train:
    """Train on `scene_path`, write `ply` and `metrics_path`, return the metrics.

    `checkpoints` is a folder, or `s3://BUCKET/PREFIX`. `left_out`: a zip to write, see `mask_pictures`.
    Raises UserError on bad input or options, `loop.StoppedError` after SIGTERM.
    """
    options = parse_options(TrainOptions, options_text)
    scene = load_scene(scene_path, resolution_for(options, device.type))
    split = split_scene(scene, options.test_every, chosen_names(options.test_photos))
    settings = resolve(options, device.type, Capture.of(scene.sizes[split.capture]))
    job = Job(scene, settings, split, options.checkpoint_every, "train_splat")
    return finish(job, scene_path, ply, metrics_path, checkpoints, device, {}, left_out)


@dataclass(frozen=True)
class Job:
    """A training: of which photos, with which settings, and which of them do what; how often to save a
    checkpoint (seconds, 0: never); the program that does it; and the block of a large scene that it makes."""

    scene: Scene
    settings: Settings
    split: Split
    checkpoint_every: float
    stage: str
    block: Block | None = None


def finish(
    job: Job,
    scene_path: Path,
    ply: Path,
    metrics_path: Path,
    checkpoints: Path | str,
    device: Device,
    made_from: Mapping[str, object],
    left_out: Path | None = None,
) -> Train:
    """Do a training and write what it leaves; as `run`. `made_from`: what else its checkpoints depend on."""
    scene, settings, split = job.scene, job.settings, job.split
    say(
        f"Training on {len(split.trained)} of {len(scene)} photos, {device.type}: {settings.steps} steps,"
        f" at most {settings.max_gaussians} Gaussians, long side {int(scene.sizes.max())} px"
    )
    key = run_key(scene_path, {**as_dict(settings), **made_from}, code_digest(ROOT, job.stage))
    store = Checkpoints(checkpoints, key)
    # Where checkpoints go to a bucket, nobody looks into this machine's folder.
    watched = Watched(ply.parent) if job.stage == Live.stage and not store.place.remote else None
    with store:
        # What training looks at counts, not the photos that judge the result.
        shown, transients = without_transients(scene, split.capture, settings)
        outcome = train(
            shown,
            settings,
            store if job.checkpoint_every else None,
            job.checkpoint_every,
            job.block,
            job.stage,
            watched,
        )
    note = TrainingNote(
        int(scene.sizes.max()),
        settings.test_every,
        settings.test_photos,
        outcome.metrics.sky_from,
        split.record(scene.names),
        outcome.metrics.cameras.focal_scales if outcome.metrics.cameras else (),
        outcome.metrics.fall_off,
    )
    if left_out:
        write_masks(left_out, shown, transients)
    write_ply(ply, outcome.gaussians, (note.comment(),))
    metrics = dataclasses.replace(
        outcome.metrics,
        device_reason=device.reason,
        resolution=note.resolution,
        transients=transients,
    )
    metrics = stamped(metrics, as_dict(settings), *TRAINING)
    write(metrics_path, metrics)
    store.clear()
    if watched:
        watched.clear()
    return metrics
