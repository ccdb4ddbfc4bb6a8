"""What each job used, kept in .snakemake/ledger, one file a job: costs are counted from these."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from .definition import Request

LEDGER = Path(".snakemake/ledger")
GROUPED = "+"  # between the rules of a job that is a group of them


def ledger_entry(
    job: Mapping[str, Any], request: Request, run: str, rule: str, scene: str, instance_type: str
) -> dict[str, Any]:
    """What one Batch job used, for the bill: every attempt counts, also those that were taken away."""
    attempts = job.get("attempts") or [job]
    seconds = [
        max(0.0, (attempt["stoppedAt"] - attempt["startedAt"]) / 1000)
        for attempt in attempts
        if attempt.get("startedAt") and attempt.get("stoppedAt")
    ]
    return {
        "run": run,
        "rule": rule,
        "scene": scene,
        "job": job.get("jobId"),
        "queue": str(job.get("jobQueue", "")).rpartition("/")[2],
        "status": job.get("status"),
        "instance_type": instance_type,
        "attempts": len(seconds),
        "seconds": round(sum(seconds), 1),
        "vcpus": request.vcpus,
        "memory_mib": request.memory,
        "gpus": request.gpus,
    }


def keep(job: str, entry: Mapping[str, Any]) -> None:
    """Write the entry of the job with the id `job`. Raises OSError where the disk refuses."""
    LEDGER.mkdir(parents=True, exist_ok=True)
    path = LEDGER / f"{job}.json"
    temporary = path.with_suffix(f".{os.getpid()}.part")
    with temporary.open("w", encoding="utf-8") as handle:
        json.dump(entry, handle)
        handle.flush()
        os.fsync(handle.fileno())  # before the name, so that no power failure leaves it empty
    temporary.replace(path)


def instance_type(ecs: Any, job: Mapping[str, Any]) -> str:
    """The kind of machine that a job ran on, asked of the client `ecs`; empty when ECS has forgotten it."""
    arn = job.get("container", {}).get("containerInstanceArn") or ""
    if not arn.startswith("arn:") or arn.count("/") < 2:
        return ""
    try:
        (machine,) = ecs.describe_container_instances(
            cluster=arn.split("/")[1], containerInstances=[arn]
        )["containerInstances"]
    except (BotoCoreError, ClientError, ValueError):
        return ""
    values = {item["name"]: item.get("value", "") for item in machine["attributes"]}
    return str(values.get("ecs.instance-type", ""))
