"""walk.json: what the page needs to know of the walkable part, whose solid cells are in walk.zip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scripts.lib.contracts.georef import Three
from scripts.lib.contracts.record import Measured, optional


@dataclass(frozen=True)
class Octree:
    """The grid in the voxel format's own world, Y up: X east, Y up, Z south."""

    low: Three  # corner of the first cell
    high: Three
    cell: float  # side of a cell, world units
    depth: int  # levels from the root down to the leaves
    nodes: int  # words of the nodes; those of the leaves follow
    leaf_words: int


@dataclass(frozen=True)
class Walker:
    """Who walks, in world units."""

    unit: float  # world units that count as a metre
    eye: float  # above the floor
    step: float  # the highest step
    radius: float
    height: float  # from the floor to the top of the head


@dataclass(frozen=True, kw_only=True)
class Walk(Measured):
    """Where a visitor can walk; nothing here says where on Earth it is."""

    file: ClassVar = "walk.json"
    stage: ClassVar = "export_walk"

    walker: Walker
    area: float  # of the walkable floor, in square metres by `walker.unit`
    places: tuple[Three, ...] = ()  # on the floor, our frame, where a walk can begin; none: nowhere
    octree: Octree | None = optional()
    reason: str = ""  # why nobody can walk, where nobody can
