"""request.json: what a caller of the job API asked for, as it was checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from scripts.lib.contracts.record import HandedOn
from scripts.lib.core.json_type import Json


@dataclass(frozen=True, kw_only=True)
class RunRequest(HandedOn):
    """A run to start: one scene, from photos that its caller uploaded."""

    file: ClassVar = "request.json"
    stage: ClassVar = "the job API"

    source: str  # s3://BUCKET/uploads/CALLER/TOKEN/NAME
    scene: str
    email: str = ""  # who is told of its end; empty: nobody but the stack's topic
    options: Mapping[str, Json] = field(default_factory=dict)  # sections of config.yaml
    caller: str = ""  # a hash of whoever asked: nobody else sees or stops the run
    page: str = ""  # random, in the name of the published page: the run's id is nobody's business
