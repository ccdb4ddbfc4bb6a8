"""outcome.json: how a run of the job API ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from scripts.lib.contracts.record import HandedOn


@dataclass(frozen=True, kw_only=True)
class Outcome(HandedOn):
    """The end of a run, whatever it was."""

    file: ClassVar = "outcome.json"
    stage: ClassVar = "the run's coordinator"

    state: Literal["done", "failed", "stopped"]
    cause: str | None = None  # of a failure
    url: str | None = None  # of the published page
    usd: float | None = None  # of the scene's jobs, as in cost.json
    coordinator_usd: float | None = None  # of the job that ran Snakemake
    trouble: tuple[str, ...] = ()  # failures that left the model alone
    log: tuple[str, ...] = ()  # last lines
