"""progress.json: how far a run is, for whoever polls it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from scripts.lib.contracts.record import HandedOn


@dataclass(frozen=True)
class StageProgress:
    """One job of a scene."""

    rule: str
    state: str  # waiting, running, done or failed
    seconds: float | None  # that it took
    # Seconds that it takes in all, by its own pace in this run or an earlier one (`known`), else a guess.
    expected: float | None = None
    known: bool = False
    elapsed: float | None = None  # seconds, of a running one


@dataclass(frozen=True)
class SceneProgress:
    """One scene, or all of them together."""

    percent: float
    stages: tuple[StageProgress, ...]


@dataclass(frozen=True, kw_only=True)
class Progress(HandedOn):
    """A run over all its scenes."""

    file: ClassVar = "progress.json"
    stage: ClassVar = "snakemake"

    state: str  # waiting, running, done or failed
    updated: str  # ISO 8601, UTC
    seconds: float  # since it began
    eta_seconds: float | None  # until its end
    percent: float
    jobs: Mapping[str, int]  # how many are in which state
    scenes: Mapping[str, SceneProgress]
    waiting: Mapping[str, str] = field(
        default_factory=dict
    )  # jobs of the cloud without a machine, and why
