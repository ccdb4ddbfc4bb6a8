"""plan.json, in the scene's folder `blocks`: how a large scene is divided for training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scripts.lib.contracts.record import Measured


@dataclass(frozen=True)
class Rectangle:
    """A part of the ground plane in world units, without bounds in height.

    Its western and southern sides belong to it, the others do not.
    """

    west: float  # smallest x
    south: float  # smallest y
    east: float  # largest x
    north: float  # largest y


@dataclass(frozen=True)
class BlockPlan:
    """One block."""

    number: int  # from 1
    cell: Rectangle  # whose Gaussians the block contributes to the splat
    region: (
        Rectangle  # the cell and a margin: where the block's training changes and adds Gaussians
    )
    photos: tuple[str, ...]  # that see enough of the region, test and validation photos included
    work: float  # share of the whole scene's sightings that lie in the cell
    trained: float  # of those that lie in the region


@dataclass(frozen=True, kw_only=True)
class Blocks(Measured):
    """The blocks of a scene. Their cells do not overlap and together make `bounds`."""

    file: ClassVar = "plan.json"
    stage: ClassVar = "plan_blocks"

    bounds: Rectangle  # beyond it, the splat is that of the coarse model
    blocks: tuple[BlockPlan, ...]
    seen_by: str  # tracks: of the points that structure from motion matched; frusta: where there are none
    photos: int  # of the scene
