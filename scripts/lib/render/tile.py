"""A part of a map that is drawn at once. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tile:
    """`east` and `north` of the upper left corner and `step`, the side of a pixel, in map units; pixels."""

    east: float
    north: float
    step: float
    width: int
    height: int
