"""How far a run is, in words for its caller: from its own progress, what Batch says, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WAITING = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING")


def run_state(batch: Mapping[str, Any], outcome: Mapping[str, Any] | None, stopped: bool) -> str:
    """queued, running, done, failed or stopped."""
    if outcome:
        return str(outcome["state"])
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
    batch: Mapping[str, Any],
    progress: Mapping[str, Any] | None,
    outcome: Mapping[str, Any] | None,
    stopped: bool,
) -> dict[str, Any]:
    """The answer to `GET /jobs/{id}`, without its links.

    Stage, percent and seconds left are those that the run itself computes; null before its first word.
    """
    state = run_state(batch, outcome, stopped)
    stages = ((progress or {}).get("scenes", {}).get(scene, {}) or {}).get("stages", [])
    running = [stage["rule"] for stage in stages if stage["state"] == "running"]
    answer: dict[str, Any] = {
        "id": job,
        "scene": scene,
        "state": state,
        "stage": ", ".join(running) or None,
        "percent": (progress or {}).get("percent"),
        "eta_seconds": (progress or {}).get("eta_seconds") if state == "running" else None,
    }
    if state == "failed":
        answer["cause"] = (outcome or {}).get("cause") or batch.get("statusReason") or "unknown"
    if outcome and outcome.get("trouble"):
        answer["trouble"] = outcome["trouble"]
    return answer
