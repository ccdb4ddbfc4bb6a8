"""How long jobs in the cloud may take: a few times what is predicted, which only one that hangs exceeds."""

from __future__ import annotations

from scripts.lib.workflow.cost import CPU_MACHINE, Prices, stage_seconds

TIMES = 4  # what is predicted
LEAST_SECONDS = 1800
MOST_PHOTOS = 2000  # assumed of an archive or a video, whose photos nobody has counted
# How much more training is than `standard`: visits and size (PRESETS in scripts/lib/train/options.py).
PRESETS = {"draft": 1.0, "standard": 1.0, "high": 3.0}


def seconds_allowed(prices: Prices, rule: str, photos: int, preset: str, parts: int = 1) -> int:
    """Seconds that a rule may take for a scene of `photos` photos (0: unknown), on the slowest GPU.

    Of a rule that does its work in several jobs, `parts`, each may take its part.

    A training is resumed when its time is up, as long as it gets further.
    """
    if rule not in prices.stages:
        return LEAST_SECONDS
    slowest = max(prices.machines.values(), key=lambda machine: machine.slower)
    machine = (
        slowest if "gpu_seconds_fixed" in prices.stages[rule] else prices.machines[CPU_MACHINE]
    )
    seconds = stage_seconds(prices, rule, (photos or MOST_PHOTOS) / parts, machine)
    return LEAST_SECONDS + round(TIMES * seconds * PRESETS[preset])
