"""stop.json: a run of the job API is to end; its coordinator looks for this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scripts.lib.contracts.record import HandedOn


@dataclass(frozen=True, kw_only=True)
class Stop(HandedOn):
    """Why, in words."""

    file: ClassVar = "stop.json"
    stage: ClassVar = "the job API"

    reason: str
