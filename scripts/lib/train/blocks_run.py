"""Training a large scene in parts: the coarse model of the whole, and each block, on files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from scripts.lib.contracts.blocks import BlockPlan, Blocks
from scripts.lib.contracts.record import read
from scripts.lib.contracts.train import Train
from scripts.lib.core.console import UserError
from scripts.lib.core.files import sha256
from scripts.lib.core.options import parse_options
from scripts.lib.render.device import Device
from scripts.lib.scene.scene import Scene, load_scene
from scripts.lib.scene.split import Split, split_scene
from scripts.lib.splat.gaussians import read_ply
from scripts.lib.train.block import Block, Sky
from scripts.lib.train.initialise import frame_of
from scripts.lib.train.note import read_note
from scripts.lib.train.options import (
    Capture,
    Settings,
    TrainOptions,
    chosen_names,
    resolution_for,
    resolve,
)
from scripts.lib.train.run import Job, finish

# The coarse model is what surrounds a block and what it starts from: half the resolution and half the steps
# of a training of the whole do for that. Small photos are not halved: they would show nothing.
COARSE_STEPS, COARSE_SIDE = 0.5, 480


def run_coarse(
    scene_path: Path,
    options_text: str,
    ply: Path,
    metrics_path: Path,
    checkpoints: Path | str,
    device: Device,
    left_out: Path | None = None,
) -> Train:
    """Train the coarse model of a scene that is to be trained in blocks, as `run.run` trains a scene."""
    options = parse_options(TrainOptions, options_text)
    whole = load_scene(scene_path, resolution_for(options, device.type))
    side = int(whole.sizes.max())
    scene = whole.at_most(max(side // 2, min(side, COARSE_SIDE)))
    split = split_scene(scene, options.test_every, chosen_names(options.test_photos))
    settings = resolve(options, device.type, Capture.of(scene.sizes[split.capture]))
    settings = dataclasses.replace(
        settings,
        steps=max(1, round(COARSE_STEPS * settings.steps)),
        resolution=int(scene.sizes.max()),
        lens_light=False,  # blocks, which see other photos each, would not agree about it
    )
    job = Job(scene, settings, split, options.checkpoint_every, "train_coarse")
    return finish(job, scene_path, ply, metrics_path, checkpoints, device, {}, left_out)


def run_block(
    scene_path: Path,
    plan_path: Path,
    number: int,
    coarse_path: Path,
    options_text: str,
    ply: Path,
    metrics_path: Path,
    checkpoints: Path | str,
    device: Device,
) -> Train:
    """Train block `number` of the plan, starting from the coarse model. Raises as `run.run`."""
    options = parse_options(TrainOptions, options_text)
    plan = read(Blocks, plan_path)
    planned = block_of(plan, number, plan_path)
    whole = load_scene(scene_path, resolution_for(options, device.type))
    note = read_note(coarse_path)
    sky = None
    if note and note.sky_from is not None:
        sky = Sky(tuple(frame_of(whole).centre.tolist()), note.sky_from)
    if note and note.focal_scales:  # as the coarse model found them, alike for all blocks
        whole = whole.with_focals(note.focal_scales)
    scene, split = part_of(whole, planned, options)
    if not split.trained:
        raise UserError(
            f"block {number} of {plan_path} has no photo to train on; set train_splat.blocks lower"
        )
    settings = settings_of_block(options, device.type, scene, split, planned)
    block = Block(split, planned.region, read_ply(coarse_path), sky)
    job = Job(scene, settings, split, options.checkpoint_every, "train_block", block)
    made_from = {"block": dataclasses.asdict(planned), "coarse": sha256(coarse_path)}
    return finish(job, scene_path, ply, metrics_path, checkpoints, device, made_from)


def block_of(plan: Blocks, number: int, path: Path) -> BlockPlan:
    """Block `number` of a plan. Raises UserError when it has none."""
    for block in plan.blocks:
        if block.number == number:
            return block
    raise UserError(f"{path} has no block {number}; run plan_blocks again")


def part_of(whole: Scene, planned: BlockPlan, options: TrainOptions) -> tuple[Scene, Split]:
    """The photos of a block as a scene, and which of them do what: the same as in the whole scene."""
    split = split_scene(whole, options.test_every, chosen_names(options.test_photos))
    names = set(planned.photos)
    rows = [row for row, name in enumerate(whole.names) if name in names]
    place = {row: at for at, row in enumerate(rows)}

    def own(of: list[int]) -> list[int]:
        return [place[row] for row in of if row in place]

    part = Split(own(split.trained), own(split.steering), own(split.judged), own(split.left_out))
    return whole.take(rows), part


def settings_of_block(
    options: TrainOptions, device: str, scene: Scene, split: Split, planned: BlockPlan
) -> Settings:
    """The settings of a block's training: those of a scene of its photos, but that it starts from a model.

    `max_gaussians` that the user gave are those of the whole scene: a block takes its share.
    """
    settings = resolve(options, device, Capture.of(scene.sizes[split.capture]))
    gaussians = settings.max_gaussians
    if options.max_gaussians != "auto":
        gaussians = max(1, round(planned.trained * options.max_gaussians))
    return dataclasses.replace(
        settings,
        max_gaussians=gaussians,
        lens_light=False,
        coarse=0.0,  # share of the steps at half resolution, which the coarse model has had
        refine_focal=False,
    )
