"""A run from start to end: the clock, the curve, checkpoints and resume, and its numbers."""

from __future__ import annotations

import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import torch

from scripts.lib.contracts.train import CamerasRefined, CurvePoint, Train
from scripts.lib.core.console import Progress, say
from scripts.lib.scene.fall_off import at_corner
from scripts.lib.scene.scene import Scene
from scripts.lib.splat.gaussians import Gaussians
from scripts.lib.train.block import Block
from scripts.lib.train.checkpoint import Checkpoints
from scripts.lib.train.live import Watched
from scripts.lib.train.options import Settings
from scripts.lib.train.sharpness import soft_photos
from scripts.lib.train.trainer import Trainer

MEASUREMENTS = 10  # points of the curve


@dataclass(frozen=True)
class Trained:
    """A finished run: the splat in world units, and its numbers."""

    gaussians: Gaussians
    metrics: Train


class StoppedError(Exception):
    """SIGTERM came; the state was saved as a checkpoint if the run keeps any."""


@contextmanager
def told_when_stopped() -> Iterator[None]:
    """For programs: a `StoppedError` becomes a sentence and the exit code of SIGTERM, 143."""
    try:
        yield
    except StoppedError:
        say("Stopped by SIGTERM; run the same command again to continue")
        raise SystemExit(143) from None


@contextmanager
def _watching_sigterm() -> Iterator[list[bool]]:
    """Yield a one-element list that turns true when SIGTERM arrives."""
    asked = [False]

    def ask(_: int, __: FrameType | None) -> None:
        asked[0] = True

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)


def train(
    scene: Scene,
    settings: Settings,
    checkpoints: Checkpoints | None,
    every: float,
    block: Block | None = None,
    stage: str = "train_splat",
    watched: Watched | None = None,
) -> Trained:
    """Train `scene`; continue from `checkpoints` if they hold this run, saving `every` seconds.

    With a `block`, the part of a large scene that it describes. `stage` is what the progress is told of,
    `watched` shows it to others.

    Raises `StoppedError` after SIGTERM, UserError when no photo is left to train on.
    """
    trainer = Trainer(scene, settings, block)
    resumed_from = None
    if checkpoints and (state := checkpoints.load()):
        trainer.restore(state)
        resumed_from = trainer.step
    began = time.monotonic() - trainer.seconds
    saved = time.monotonic()
    progress: Progress | None = None
    measured_at = max(1, settings.steps // MEASUREMENTS)
    note = ""
    with _watching_sigterm() as asked:
        while not trainer.finished():
            trainer.advance()
            # The clock for the ETA starts after the first step, which compiles the kernels.
            progress = progress or Progress(stage, settings.steps, start=trainer.step)
            if trainer.step % measured_at == 0 or trainer.finished():
                psnr = trainer.measure()
                trainer.seconds = time.monotonic() - began
                if psnr is not None:
                    point = {
                        "step": trainer.step,
                        "seconds": round(trainer.seconds, 2),
                        "psnr": psnr,
                    }
                    trainer.curve.append(point)
                    note = f"{psnr:.2f} dB on validation photos"
            last = trainer.finished()
            if trainer.step % 10 == 0 or last:
                progress.update(
                    trainer.step, f"{len(trainer.parameters)} Gaussians, {note}".rstrip(", ")
                )
            if watched:
                watched.look(trainer)
            due = bool(every) and time.monotonic() - saved >= every
            if checkpoints and not last and (due or asked[0]):
                trainer.seconds = time.monotonic() - began
                checkpoints.save(trainer.step, trainer.state())
                saved = time.monotonic()
            if asked[0] and not last:
                raise StoppedError
    gaussians, split = trainer.gaussians(), trainer.split
    poses = trainer.adjust.poses
    cameras = CamerasRefined(poses.record() if poses else None, tuple(trainer.focal_scales()))
    metrics = Train(
        device=_device_name(trainer.device),
        backend=settings.backend,
        steps=trainer.step,
        planned_steps=settings.steps,
        photos_at_once=trainer.optimise.at_once,
        adapted=tuple(trainer.adapted),
        trained_on=len(split.trained),
        left_out=tuple(scene.names[index] for index in split.left_out),
        split=split.named(scene.names),
        split_counts=split.counts(),
        sky_photos=trainer.sky_photos,
        sky_from=trainer.sky_from,
        cameras=cameras,
        exposure=trainer.found.bright.record(trainer.adjust.exposures is not None)
        if trainer.found.bright
        else None,
        fall_off=trainer.found.fall_off,
        corners_lost=tuple(map(at_corner, trainer.found.fall_off)),
        soft=soft_photos(trainer.found.sharpness, [scene.names[index] for index in split.trained]),
        seconds=round(trainer.seconds, 2),
        gaussians=len(gaussians),
        peak_memory_mb=_peak_memory(trainer.device),
        seed=settings.seed,
        resumed_from=resumed_from,
        curve=tuple(
            CurvePoint(int(point["step"]), point["seconds"], point["psnr"])
            for point in trainer.curve
        ),
        curve_measured_on="steering" if split.steering else None,
        curve_exposure_fitted=trainer.adjust.exposures is not None,
    )
    return Trained(gaussians, metrics)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _peak_memory(device: torch.device) -> int:
    """Most memory held at once in MB: of the GPU on CUDA, else of this process."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_reserved(device) / 2**20)
    # getrusage(2): Linux counts in kilobytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)
