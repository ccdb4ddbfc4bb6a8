"""What is told before the first job of scenes that are trained in blocks: how many, and how long."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.lib.workflow.blocks import EACH, Division
from scripts.lib.workflow.cost import GPU_MACHINE, Prices, stage_seconds


def sentences(found: Mapping[str, Division], prices: Prices) -> list[str]:
    """For each scene in several blocks, what is trained and how long that will take; for before the run."""
    machine = prices.machines[GPU_MACHINE]
    lines = []
    for scene, division in found.items():
        if division.blocks < 2:
            continue
        known = f" of {division.photos} photos" if division.photos else ""
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
