"""cost.json: what a scene cost; and the notes on the cloud's jobs that it is worked out from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scripts.lib.contracts.record import Measured, optional


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """What one stage took; None where it is not known or not counted."""

    rule: str
    seconds: float
    machine: str | None = optional()  # of the cloud: instance types
    queue: str | None = optional()
    attempts: int | None = optional()  # interrupted ones too
    kwh: float | None = None
    usd: float | None


@dataclass(frozen=True)
class PriceList:
    """Which prices were taken."""

    date: str
    region: str


@dataclass(frozen=True, kw_only=True)
class Cost(Measured):
    """The sums over all stages; None unless every part is known."""

    file: ClassVar = "cost.json"
    stage: ClassVar = "cost_scene"

    scene: str
    currency: str = "USD"
    basis: str  # this machine, or jobs of AWS Batch
    seconds: float
    usd: float | None
    kwh: float | None
    stages: tuple[StageCost, ...]
    prices: PriceList | None = optional()


@dataclass(frozen=True)
class LedgerEntry:
    """What one job of AWS Batch used, as the executor plugin noted it."""

    run: str  # s3://BUCKET/PREFIX
    rule: str
    scene: str
    job: str | None  # Batch's id
    queue: str
    status: str | None
    instance_type: str | None  # empty or None: not known
    attempts: int
    seconds: float  # of all attempts
    vcpus: float
    memory_mib: float
    gpus: int
