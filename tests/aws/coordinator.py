"""What a run's coordinator leaves in the bucket, where none really runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.lib.cloud.aws import Account
from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.progress import Progress, SceneProgress, StageProgress
from tests.aws.cloud import BUCKET, STACK, Cloud


def goes_on(mark: str, job: str, scene: str = "the_yard") -> None:
    """Let a run of a caller say how far it is."""
    stages = (StageProgress("train_splat", "running", None),)
    far = Progress(
        state="running",
        updated="",
        seconds=1.0,
        eta_seconds=90.0,
        percent=40.0,
        jobs={},
        scenes={scene: SceneProgress(40.0, stages)},
    )
    Account(STACK, BUCKET).write(f"runs/{mark}/{job}", far)


def finish(
    cloud: Cloud,
    started: dict[str, Any],
    mark: str,
    results: Mapping[str, bytes],
    state: Any = "done",
    **more: Any,
) -> str:
    """End the one run that goes on, with these results; its id."""
    (name,) = [name for name, entry in started.items() if entry["status"] == "RUNNING"]
    job = name.rpartition("-")[2]
    for result, data in results.items():
        key = f"runs/{mark}/{job}/results/{result}"
        cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=data)
    Account(STACK, BUCKET).write(f"runs/{mark}/{job}", Outcome(state=state, **more))
    started[name]["status"] = "SUCCEEDED"
    return job
