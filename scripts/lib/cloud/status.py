"""How far a run is, in words for its caller: from its own progress, what Batch says, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.progress import Progress
from scripts.lib.core.json_type import Json

WAITING = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING")


def run_state(batch: Mapping[str, Json], outcome: Outcome | None, stopped: bool) -> str:
    """queued, running, done, failed or stopped."""
    if outcome:
        return outcome.state
    if stopped:
        return "stopped"
    status = batch.get("status")
    if status in WAITING:
        return "queued"
    if status == "RUNNING":
        return "running"
    # The coordinator ended without a word: it was killed, or never started.
    return "failed"


def describe_run(
    job: str,
    scene: str,
    batch: Mapping[str, Json],
    progress: Progress | None,
    outcome: Outcome | None,
    stopped: bool,
) -> dict[str, Json]:
    """The answer to `GET /jobs/{id}`, without its links.

    Stage, percent and seconds left are those that the run itself computes; null before its first word.
    """
    state = run_state(batch, outcome, stopped)
    own = progress.scenes.get(scene) if progress else None
    running = [stage.rule for stage in (own.stages if own else ()) if stage.state == "running"]
    answer: dict[str, Json] = {
        "id": job,
        "scene": scene,
        "state": state,
        "stage": ", ".join(running) or None,
        "percent": progress.percent if progress else None,
        "eta_seconds": progress.eta_seconds if progress and state == "running" else None,
    }
    if progress and progress.waiting and state == "running":
        answer["waiting"] = dict(progress.waiting)
    if state == "failed":
        answer["cause"] = (outcome and outcome.cause) or batch.get("statusReason") or "unknown"
    if outcome and outcome.trouble:
        answer["trouble"] = list(outcome.trouble)
    if outcome and outcome.usd is not None:
        answer["usd"] = round(outcome.usd + (outcome.coordinator_usd or 0.0), 4)
    return answer
