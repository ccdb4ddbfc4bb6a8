"""How fast training learns at which step."""

from __future__ import annotations

from dataclasses import dataclass

FINAL_RATE = 0.01  # of the means at the end, against the start
# With full rates to the end, the photos seen last decide too much: from one measurement to the next, and from
# seed to seed, photos not trained on differ by half a decibel.
COOLED = 0.1  # factor on the rates at the end


@dataclass(frozen=True)
class Schedule:
    """Learning rates over a run of `steps`: they stay, and fall to a tenth within the last share `cooling`.
    Only the means have a decay of their own, from the start."""

    steps: int
    cooling: float

    def rate(self, step: int) -> float:
        """Factor on the learning rates of a step, except that of the means."""
        if not self.cooling:
            return 1.0
        fallen = (step / self.steps - 1 + self.cooling) / self.cooling
        return float(COOLED ** max(fallen, 0.0))

    def means_decay(self, step: int) -> float:
        """Factor on the rate of the means; their noise has both factors."""
        return float(FINAL_RATE ** (step / self.steps))
