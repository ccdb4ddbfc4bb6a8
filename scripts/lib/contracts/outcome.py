"""outcome.json: how a run of the job API ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from scripts.lib.contracts.record import HandedOn


@dataclass(frozen=True, kw_only=True)
class SceneOutcome:
    """What became of a scene: done when its page is there."""

    state: Literal["done", "failed"]
    url: str | None = None  # of the published page
    usd: float | None = None  # of its jobs, as in cost.json


@dataclass(frozen=True, kw_only=True)
class Outcome(HandedOn):
    """The end of a run, whatever it was."""

    file: ClassVar = "outcome.json"
    stage: ClassVar = "the run's coordinator"
    format: ClassVar = 2  # 1 had one scene

    state: Literal["done", "failed", "stopped"]
    cause: str | None = None  # of a failure
    scenes: Mapping[str, SceneOutcome] = field(default_factory=dict)
    coordinator_usd: float | None = None  # of the job that ran Snakemake
    trouble: tuple[str, ...] = ()  # failures that left the models alone
    log: tuple[str, ...] = ()  # last lines

    @property
    def usd(self) -> float | None:
        """The sum over all scenes and the coordinator; None where no scene's cost is known."""
        known = [scene.usd for scene in self.scenes.values() if scene.usd is not None]
        return sum(known) + (self.coordinator_usd or 0.0) if known else None
