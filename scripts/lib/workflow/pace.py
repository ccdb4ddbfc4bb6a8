"""How far a run is at a moment: progress.json is written when a job begins or ends, and some take hours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from scripts.lib.contracts.live import Live
from scripts.lib.contracts.progress import Progress, SceneProgress, StageProgress

MOST = 0.95  # of a running job's expected time counts as done, as in `progress`
STALE_SECONDS = 60.0  # a training that was killed leaves its numbers behind


def moment(text: str) -> float | None:
    """Seconds since 1970 of ISO 8601; None when it is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def at_moment(progress: Progress, live: Mapping[str, Live], now: float) -> Progress:
    """`progress` as it stands at `now` (seconds since 1970): what runs has gone on since it was written.

    live: by scene, what its training says of itself, which knows its pace from its own steps.
    """
    written = moment(progress.updated)
    if progress.state != "running" or written is None:
        return progress
    since = max(0.0, now - written)
    scenes = {
        name: _scene(scene, _fresh(live.get(name), written), since, now)
        for name, scene in progress.scenes.items()
    }
    share = _share(stage for scene in scenes.values() for stage in scene.stages)
    done = any(stage.state == "done" for scene in scenes.values() for stage in scene.stages)
    if share is None:
        return progress
    seconds = progress.seconds + since
    left = seconds * (1 - share) / share if done and share > 0 else None
    return replace(
        progress,
        scenes=scenes,
        percent=round(100 * share, 1),
        seconds=round(seconds, 1),
        eta_seconds=None if left is None else float(round(left)),
    )


def seconds_left(stage: StageProgress) -> float | None:
    """Until the end of a stage that runs or waits, where its own pace is known."""
    if not stage.known or stage.expected is None or stage.state not in ("running", "waiting"):
        return None
    left = stage.expected - (stage.elapsed or 0.0)
    # One that takes longer than before: nothing can be said.
    return left if left > 0 else None


def _fresh(live: Live | None, written: float) -> Live | None:
    at = moment(live.updated) if live else None
    return live if at is not None and at >= written - STALE_SECONDS else None


def _scene(scene: SceneProgress, live: Live | None, since: float, now: float) -> SceneProgress:
    stages = tuple(_stage(stage, live, since, now) for stage in scene.stages)
    share = _share(stages)
    return SceneProgress(scene.percent if share is None else round(100 * share, 1), stages)


def _stage(stage: StageProgress, live: Live | None, since: float, now: float) -> StageProgress:
    if stage.state != "running" or stage.elapsed is None:
        return stage
    stage = replace(stage, elapsed=round(stage.elapsed + since, 1))
    if live is None or stage.rule != live.stage or live.eta_seconds is None:
        return stage
    said = moment(live.updated)
    left = max(0.0, live.eta_seconds - (now - said if said else 0.0))
    return replace(stage, expected=round((stage.elapsed or 0.0) + left, 1), known=True)


def _share(stages: Iterable[StageProgress]) -> float | None:
    """Of the work that is done, 0 to 1; None where an older file does not tell the times."""
    total = done = 0.0
    for stage in stages:
        if stage.expected is None:
            return None
        total += stage.expected
        if stage.state == "done":
            done += stage.expected
        elif stage.state == "running":
            done += min(MOST * stage.expected, stage.elapsed or 0.0)
    return done / total if total else None
