"""A splat put together from the coarse model and the blocks of a large scene, and its train.json.

Each Gaussian is owned by the block in whose cell its centre lies; what lies outside all cells, such as the
sky and the far hills, is the coarse model's. Needs no torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scripts.lib.contracts.blocks import Blocks
from scripts.lib.contracts.record import read, write
from scripts.lib.contracts.train import BlockTrained, CurvePoint, Train
from scripts.lib.core.console import UserError
from scripts.lib.scene.blocks import within
from scripts.lib.splat.joining import Part, join_plys
from scripts.lib.train.note import read_note

Float = npt.NDArray[np.float64]
COARSE = 0  # the coarse model's number among the blocks


def merge(
    plan_path: Path,
    coarse: tuple[Path, Path],
    blocks: Sequence[tuple[Path, Path]],
    ply: Path,
    metrics_path: Path,
) -> Train:
    """Write the splat of a scene and its train.json from the files (PLY, JSON) of the coarse model and of
    each block, in the plan's order. Raises UserError where one is missing, damaged, or of another plan.
    """
    plan = read(Blocks, plan_path)
    if len(blocks) != len(plan.blocks):
        raise UserError(
            f"{plan_path} has {len(plan.blocks)} blocks, but {len(blocks)} were trained;"
            " run plan_blocks again"
        )
    parts = [Part(coarse[0], lambda means: ~within(means, plan.bounds))]
    parts += [
        Part(path, partial(within, area=block.cell))
        for (path, _), block in zip(blocks, plan.blocks, strict=True)
    ]
    whole, one = read_note(coarse[0]), read_note(blocks[0][0])
    if whole is None or one is None:
        raise UserError(f"{coarse[0]} was not trained here; run train_coarse again")
    # Resolution as of the blocks; all else, such as the sky and which photos did what, as of the whole.
    note = dataclasses.replace(whole, resolution=one.resolution)
    kept = join_plys(ply, parts, (note.comment(),))
    metrics = merged(
        read(Train, coarse[1]), [read(Train, path) for _, path in blocks], kept, note.resolution
    )
    write(metrics_path, metrics)
    return metrics


def merged(
    coarse: Train, blocks: Sequence[Train], kept: Sequence[int], resolution: int | None
) -> Train:
    """The train.json of a scene: steps and seconds of all its trainings together, the most memory that one
    needed. `kept`: Gaussians of the splat that come from each, the coarse model first."""
    every = [coarse, *blocks]
    told = tuple(
        BlockTrained(
            number=number,
            trained_on=part.trained_on,
            steps=part.steps,
            seconds=part.seconds,
            gaussians=part.gaussians,
            kept=count,
            peak_memory_mb=part.peak_memory_mb,
            device=part.device,
            resumed_from=part.resumed_from,
        )
        for number, (part, count) in enumerate(zip(every, kept, strict=True))
    )
    one = blocks[0]
    return dataclasses.replace(
        coarse,
        options=one.options,
        machine=one.machine,
        device=one.device,
        backend=one.backend,
        steps=sum(part.steps for part in every),
        planned_steps=_sum([part.planned_steps for part in every]),
        photos_at_once=min(part.photos_at_once for part in every),
        adapted=tuple(dict.fromkeys(sentence for part in every for sentence in part.adapted)),
        seconds=round(sum(part.seconds for part in every), 2),
        gaussians=sum(kept),
        peak_memory_mb=max(part.peak_memory_mb for part in every),
        resumed_from=max((p.resumed_from for p in every if p.resumed_from), default=None),
        curve=_curve(coarse, blocks),
        resolution=resolution,
        blocks=told,
    )


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _curve(coarse: Train, blocks: Sequence[Train]) -> tuple[CurvePoint, ...]:
    """The coarse model's curve, then the blocks' mean, as if they were trained side by side.

    A block is measured on the validation photos that see it, and counts by their number.
    """
    measured = [block for block in blocks if block.curve]
    points = list(coarse.curve)
    weights = [block.split_counts.steering if block.split_counts else 1 for block in measured]
    begun, spent = coarse.steps, coarse.seconds
    for some in zip(*(block.curve for block in measured), strict=False):
        points.append(
            CurvePoint(
                begun + sum(point.step for point in some),
                round(spent + sum(point.seconds for point in some), 2),
                float(np.average([point.psnr for point in some], weights=weights)),
            )
        )
    return tuple(points)
