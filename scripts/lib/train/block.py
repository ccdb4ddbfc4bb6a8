"""One block of a large scene in training: what it starts from, what stands around it, and where it may grow.

The coarse model of the whole scene is cut in two. Its Gaussians in the block's region are what the block
starts from; all others that its photos show are frozen, and stand in for the rest of the scene.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from scripts.lib.contracts.blocks import Rectangle
from scripts.lib.scene.blocks import within
from scripts.lib.scene.scene import Scene
from scripts.lib.scene.sky import SkyView
from scripts.lib.scene.split import Split
from scripts.lib.splat.gaussians import SH_COEFFICIENTS, Gaussians
from scripts.lib.train import thinning
from scripts.lib.train.frozen import Frozen
from scripts.lib.train.initialise import START_SHARE, Frame, initial_tensors
from scripts.lib.train.options import Settings
from scripts.lib.train.parameters import NAMES
from scripts.lib.train.sky import HALF_WAY, Clearing
from scripts.lib.train.views import Stack


@dataclass(frozen=True)
class Sky:
    """Where the coarse model has the sky: beyond `begins` from `centre` (3,), all in world units."""

    centre: tuple[float, ...]
    begins: float


@dataclass(frozen=True)
class Block:
    """What a training is given that makes a block: which of its scene's photos do what; the region in which
    Gaussians are trained; the coarse model of everything, in world units; and its sky, if it has one."""

    split: Split
    region: Rectangle
    coarse: Gaussians
    sky: Sky | None


class Region:
    """A rectangle of the ground, without bounds in height, in training's frame."""

    def __init__(self, area: Rectangle, frame: Frame, device: torch.device) -> None:
        ends = np.array([[area.west, area.south], [area.east, area.north]])
        low, high = (ends - frame.centre[:2]) / frame.radius
        self.low = torch.tensor(low, dtype=torch.float32, device=device)
        self.high = torch.tensor(high, dtype=torch.float32, device=device)

    def contains(self, means: Tensor) -> Tensor:
        """Which Gaussians (N,) have their means (N, 3) within."""
        places = means[:, :2]
        found: Tensor = ((places >= self.low) & (places < self.high)).all(dim=1)
        return found


def raw_in_frame(
    gaussians: Gaussians, frame: Frame, sh_degree: int, device: torch.device
) -> dict[str, Tensor]:
    """Gaussians in world units as raw parameters in `frame`, with the bands of `sh_degree`."""
    bands = SH_COEFFICIENTS[sh_degree]
    sh = np.zeros((len(gaussians), 1 + bands, 3), np.float32)
    kept = min(bands, gaussians.shN.shape[1])
    sh[:, 0], sh[:, 1 : 1 + kept] = gaussians.sh0, gaussians.shN[:, :kept]
    values = {
        "means": frame.points(gaussians.means.astype(np.float64)),
        "quats": gaussians.quats,
        "scales": gaussians.scales - math.log(frame.radius),
        "opacities": gaussians.opacities,
        "sh": sh,
    }
    return {name: torch.tensor(values[name], dtype=torch.float32, device=device) for name in NAMES}


def cut(
    block: Block, frame: Frame, sh_degree: int, device: torch.device
) -> tuple[dict[str, Tensor], Frozen]:
    """The coarse model in `frame`: what lies in the block's region as raw parameters, and all the rest."""
    raw = raw_in_frame(block.coarse, frame, sh_degree, device)
    inside = Region(block.region, frame, device).contains(raw["means"])
    rest = Frozen.of({name: values[~inside] for name, values in raw.items()})
    return {name: values[inside] for name, values in raw.items()}, rest


def start_of_block(
    inside: dict[str, Tensor],
    scene: Scene,
    frame: Frame,
    block: Block,
    max_gaussians: int,
    settings: Settings,
) -> dict[str, Tensor]:
    """The raw parameters that a block begins with: the coarse model's `inside`, the most opaque if they are
    too many, and Gaussians at the region's points up to a share of `max_gaussians`."""
    device = inside["means"].device
    if len(inside["means"]) > max_gaussians:
        order = torch.argsort(inside["opacities"], descending=True, stable=True)
        rows = order[:max_gaussians].sort().values
        inside = {name: values[rows] for name, values in inside.items()}
    free = round(START_SHARE * max_gaussians) - len(inside["means"])
    points = within(scene.points, block.region)
    if free <= 0 or not points.any():
        return inside
    own = replace(scene, points=scene.points[points], colours=scene.colours[points])
    more = initial_tensors(
        own,
        frame,
        max_gaussians=free,
        sh_degree=settings.sh_degree,
        seed=settings.seed,
        device=device,
    )
    kept = Region(block.region, frame, device).contains(more["means"])
    return {name: torch.cat([inside[name], more[name][kept]]) for name in NAMES}


def seen_of(
    inside: dict[str, Tensor], rest: Frozen, views: Iterable[Stack], antialiased: bool
) -> Frozen:
    """Those of the `rest` of the coarse model that the block's photos show; of the others none is drawn."""
    if not len(rest):
        return rest
    weights = thinning.contributions(rest.raw(), views, antialiased, Frozen.of(inside))
    return rest.take(weights > 0)


def clearing_of(
    block: Block, views: Sequence[SkyView], frame: Frame, device: torch.device
) -> Clearing | None:
    """What finds Gaussians before the coarse model's sky, by the `views` of the block that show it."""
    if not views or not block.sky:
        return None
    centre = frame.points(np.array([block.sky.centre]))[0]
    away = block.sky.begins / HALF_WAY / frame.radius
    return Clearing(views, frame, away, device, centre)
