"""What is told before the first job of scenes that are divided: how many parts and blocks, and how long."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.lib.workflow.blocks import EACH, Division
from scripts.lib.workflow.cost import GPU_MACHINE, Prices, stage_seconds


def sentences(found: Mapping[str, Division], prices: Prices) -> list[str]:
    """For each scene in several parts or blocks, how many, and how long training will take."""
    machine = prices.machines[GPU_MACHINE]
    lines = []
    for scene, division in found.items():
        known = f" of {division.photos} photos" if division.photos else ""
        if division.parts > 1:
            lines.append(f"scene {scene!r}{known}: features and matches in {division.parts} parts")
        if division.blocks < 2:
            continue
        line = f"scene {scene!r}{known}: a coarse model, then {division.blocks} blocks"
        if division.photos:
            coarse = stage_seconds(prices, "train_coarse", division.photos, machine) / 60
            each = stage_seconds(prices, EACH, division.photos, machine) / division.blocks / 60
            line += (
                f"; predicted {coarse:.0f} min and {each:.0f} min for each block on {machine.gpu} GPUs,"
                f" {coarse + division.blocks * each:.0f} min on one"
            )
        lines.append(line)
    return lines
