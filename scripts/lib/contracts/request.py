"""request.json: what a caller of the job API asked for, as it was checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from scripts.lib.contracts.record import HandedOn
from scripts.lib.core.json_type import Json


@dataclass(frozen=True)
class RequestedScene:
    """A scene of a run, from photos that its caller uploaded."""

    scene: str
    source: str  # s3://BUCKET/uploads/CALLER/TOKEN/NAME


@dataclass(frozen=True, kw_only=True)
class RunRequest(HandedOn):
    """A run to start: one or more scenes with the same options."""

    file: ClassVar = "request.json"
    stage: ClassVar = "the job API"
    format: ClassVar = 2  # 1 had one scene

    scenes: tuple[RequestedScene, ...]
    email: str = ""  # who is told of its end; empty: nobody but the stack's topic
    webhook: str = ""  # https://, which is told, too
    options: Mapping[str, Json] = field(default_factory=dict)  # sections of config.yaml
    asked: str = ""  # when, ISO 8601, UTC
    started: str = ""
    # when its coordinator was last started, or is about to be; empty: that failed
    page: str = ""  # random, in the names of published pages: the run's id is nobody's business
