"""What the executor remembers of a job at Batch between two looks at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from .definition import Request

LEAST_GAIN = 0.05  # of a training, in the time that one of its jobs has


@dataclass(frozen=True)
class Waiting:
    """Whether a job waits for a machine: since when (a monotonic clock), and why, as Batch says it."""

    since: float | None = None
    reason: str = ""

    def seen(self, job: Mapping[str, Any], now: float) -> Waiting:
        """The same after a look at the job's description."""
        if job.get("status") != "RUNNABLE":
            return Waiting()
        since = now if self.since is None else self.since
        return Waiting(since, str(job.get("statusReason") or ""))

    def seconds(self, now: float) -> float:
        """How long it has waited; 0 when it does not."""
        return 0.0 if self.since is None else now - self.since


@dataclass
class Submitted:
    """One job."""

    request: Request
    results: Sequence[str] = ()  # where they go, as s3://BUCKET/KEY
    adopted: bool = False
    begun: bool = False  # Batch has taken it once
    grown: int = 0
    definition: str | None = None
    read: tuple[str, str] = ("", "")  # how far its log was read: stream and token
    machine: str = ""  # the type of the one that it ran on last
    waiting: Waiting = field(default_factory=Waiting)
    due: bool = True  # to be submitted, for the first time or again
    refused: int = 0  # how often in a row Batch did not take it
    resumes: bool = False  # whether it may go on after its time ran out: it keeps checkpoints
    step: int = 0  # how far it was then

    def goes_on_from(self, step: int, of: int) -> bool:
        """Whether a job whose time ran out at `step` runs again: while that leads further each time, and by
        no less than LEAST_GAIN of the whole, so that there is an end to it.
        """
        further = self.resumes and step > self.step and step - self.step >= LEAST_GAIN * of
        if further:
            self.step = step
        return further


def server_ahead(answer: Mapping[str, Any], now: float) -> float:
    """Seconds by which AWS's clock is ahead of this machine's `now`; 0 when an answer has no date."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return parsedate_to_datetime(headers["date"]).timestamp() - now
    except (KeyError, TypeError, ValueError):
        return 0.0
