"""How far a run is, in words for its caller: from its own progress, what Batch says, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.lib.cloud.messages import JobStatus, SceneStatus, Stage, State
from scripts.lib.contracts.live import Live
from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.progress import Progress, StageProgress
from scripts.lib.contracts.request import RequestedScene, RunRequest
from scripts.lib.core.json_type import Json
from scripts.lib.workflow.pace import at_moment, seconds_left

WAITING = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING")


def run_state(
    batch: Mapping[str, Json], outcome: Outcome | None, stopped: bool, fresh: bool
) -> State:
    """queued, running, done, failed or stopped; `fresh`: Batch may not list its coordinator yet."""
    if outcome:
        return outcome.state
    if stopped:
        return "stopped"
    status = batch.get("status")
    if status in WAITING:
        return "queued"
    if status == "RUNNING":
        return "running"
    if fresh:
        return "queued"
    # The coordinator ended without a word: it was killed, or never started.
    return "failed"


def describe_run(
    job: str,
    request: RunRequest,
    batch: Mapping[str, Json],
    progress: Progress | None,
    outcome: Outcome | None,
    stopped: bool,
    fresh: bool = False,
    now: float | None = None,
    live: Mapping[str, Live] | None = None,
) -> JobStatus:
    """The answer to `GET /jobs/{id}`.

    Stage, percent and seconds left are those that the run itself computes; null before its first word. They
    are told as they are by `now` (seconds since 1970), with what the trainings that go on say of themselves.
    """
    state = run_state(batch, outcome, stopped, fresh)
    if progress and state == "running" and now is not None:
        progress = at_moment(progress, live or {}, now)
    running = progress if state == "running" else None
    cause = (outcome and outcome.cause) or batch.get("statusReason") or "unknown"
    return JobStatus(
        id=job,
        state=state,
        asked=request.asked,
        scenes=tuple(_scene(s, state, progress, outcome) for s in request.scenes),
        percent=progress.percent if progress else None,
        eta_seconds=running.eta_seconds if running else None,
        title=title_of(request),
        options=request.options,
        waiting=dict(running.waiting) if running and running.waiting else None,
        cause=str(cause) if state == "failed" else None,
        trouble=outcome.trouble if outcome and outcome.trouble else None,
        usd=round(outcome.usd, 4) if outcome and outcome.usd is not None else None,
    )


def _scene(
    requested: RequestedScene, run: State, progress: Progress | None, outcome: Outcome | None
) -> SceneStatus:
    scene = requested.scene
    own = progress.scenes.get(scene) if progress else None
    ended = outcome.scenes.get(scene) if outcome else None
    running = [stage.rule for stage in (own.stages if own else ()) if stage.state == "running"]
    # A run that was stopped says so of each scene that has no page.
    state: State = ended.state if ended and (ended.state == "done" or run != "stopped") else run
    return SceneStatus(
        scene=scene,
        state=state,
        stage=", ".join(running) or None if run == "running" else None,
        percent=own.percent if own else None,
        page=ended.url if ended else None,
        source=requested.source,
        stages=tuple(_stage(stage) for stage in own.stages) if own else None,
    )


def _stage(stage: StageProgress) -> Stage:
    state: Any = stage.state
    seconds = None if stage.seconds is None else round(stage.seconds, 1)
    left = seconds_left(stage)
    return Stage(
        name=stage.rule,
        state=state,
        seconds=seconds,
        eta_seconds=None if left is None else float(round(left)),
    )


def title_of(request: RunRequest) -> str | None:
    """The title that a run's options give its pages; None where they give none."""
    web = request.options.get("bundle_web")
    title = web.get("title") if isinstance(web, Mapping) else None
    return title if isinstance(title, str) and title else None
