"""claim.json: which run an idempotency key of a caller of the job API stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scripts.lib.contracts.record import HandedOn


@dataclass(frozen=True, kw_only=True)
class Claim(HandedOn):
    """Written once, before the run; whoever posts the same again finds it."""

    file: ClassVar = "claim.json"
    stage: ClassVar = "the job API"

    job: str
    digest: str  # SHA-256 of what was asked
