"""What AWS Batch is asked for: from a job's resources to a job definition, plain values both."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

# What Batch itself tries again, on the same queue: the machine was taken away, or never got the job going.
RECLAIMED = "Host EC2*"
START_FAILURES = (
    "CannotPullContainerError*",
    "DockerTimeoutError*",
    "ResourceInitializationError*",
)
OUT_OF_MEMORY = "OutOfMemoryError"
MOST_BYTES = 24 * 1024  # AWS Batch, "Service quotas": the size of a job definition
SPOT_TRIES = 2  # interruptions before a job goes to a machine that stays
MEMORY_GROWTH = 1.5
# Amazon ECS, "Tag restrictions" (Batch puts a job's tags on its task): letters, numbers, spaces, and
TAG_SIGNS = "_.:/=+-@"
LONGEST_KEY, LONGEST_VALUE, MOST_TAGS = 128, 256, 50
OWN_TAGS = ("rule", "scene")  # which every job gets


@dataclass(frozen=True)
class Request:
    """One job as Batch sees it. Memory in MiB, time in seconds."""

    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    role: str
    vcpus: int
    memory: int
    gpus: int
    shared_memory: int
    timeout: int
    queue: str
    log_group: str
    tags: Mapping[str, str]

    def with_more_memory(self) -> Request:
        """The same job with half as much memory again."""
        return replace(self, memory=int(self.memory * MEMORY_GROWTH))


def image_name(container: str) -> str:
    """A name as Batch takes it, from a rule's `container:`. Raises ValueError when it is no docker image."""
    if "://" in container and not container.startswith("docker://"):
        raise ValueError(f"{container} is not an image that AWS Batch can pull; use docker://...")
    return container.removeprefix("docker://")


def job_name(rules: Iterable[str], scene: str, run: str, identity: Any) -> str:
    """A name that a second submitter would give the same job, and no other: Batch allows 128 characters.

    Before the job's own digest stands that of the run's prefix, by which all jobs of a run are found.
    """
    mark = hashlib.sha256(run.encode()).hexdigest()[:8]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()
    words = "-".join(part for part in [*rules, scene] if part)
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", words)[:90].lstrip(
        "-_"
    )  # Batch wants a letter or digit first
    return f"{plain or 'job'}-{mark}-{digest[:16]}"


def requirements(resources: Mapping[str, Any]) -> tuple[int, int, int]:
    """(vCPUs, MiB of memory, GPUs) of a job's resources; `gpu` or the upstream `_gpus` asks for GPUs."""
    gpus = max(int(resources.get("gpu", 0) or 0), int(resources.get("_gpus", 0) or 0))
    memory = resources.get("mem_mib") or resources.get("mem_mb") or 2048
    return max(1, int(resources.get("_cores", 1))), max(4, int(memory)), gpus


def check_size(request: Request) -> None:
    """Raises ValueError when a job's definition is larger than AWS Batch takes."""
    size = len(json.dumps(job_definition(request)).encode())
    if size > MOST_BYTES:
        raise ValueError(
            f"the job {request.name} takes {size} bytes to describe, and AWS Batch takes {MOST_BYTES}; give"
            " its options in a file (--configfile) that git knows, instead of on the command line"
        )


def job_definition(request: Request) -> dict[str, Any]:
    """Arguments of `register_job_definition`. Unprivileged, memory as asked, retried only when reclaimed."""
    needs = [("VCPU", request.vcpus), ("MEMORY", request.memory)]
    needs += [("GPU", request.gpus)] if request.gpus else []
    container: dict[str, Any] = {
        "image": request.image,
        "command": list(request.command),
        "environment": [{"name": k, "value": v} for k, v in sorted(request.environment.items())],
        "jobRoleArn": request.role,
        "privileged": False,
        "resourceRequirements": [{"type": kind, "value": str(value)} for kind, value in needs],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {"awslogs-group": request.log_group},
        },
    }
    if request.shared_memory:
        container["linuxParameters"] = {"sharedMemorySize": request.shared_memory}
    retried = [{"onStatusReason": RECLAIMED, "action": "RETRY"}]
    retried += [{"onReason": reason, "action": "RETRY"} for reason in START_FAILURES]
    return {
        "jobDefinitionName": request.name,
        "type": "container",
        "containerProperties": container,
        # Batch refuses less than a minute.
        "timeout": {"attemptDurationSeconds": max(60, request.timeout)},
        "retryStrategy": {
            "attempts": SPOT_TRIES,
            "evaluateOnExit": [*retried, {"onReason": "*", "action": "EXIT"}],
        },
        "platformCapabilities": ["EC2"],
        "propagateTags": True,
        "tags": dict(request.tags),
    }


def _taggable(sign: str) -> bool:
    return sign in TAG_SIGNS or unicodedata.category(sign)[0] in "LNZ"


def tag_value(words: Iterable[str]) -> str:
    """Words as one tag's value: AWS knows no commas there, and 256 characters."""
    return "".join(s if _taggable(s) else "_" for s in "+".join(words))[:LONGEST_VALUE]


def parse_tags(text: str | None) -> dict[str, str]:
    """`project=splats,team=maps` as a dict. Raises ValueError on anything else, and on what AWS refuses."""
    pairs = [part.strip() for part in (text or "").split(",") if part.strip()]
    tags = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"the tag {pair!r} is not of the form KEY=VALUE")
        key, value = key.strip(), value.strip()
        fits = len(key) <= LONGEST_KEY and len(value) <= LONGEST_VALUE
        if not fits or not all(map(_taggable, key + value)) or key.lower().startswith("aws:"):
            raise ValueError(
                f"the tag {pair!r} is none that AWS takes: letters, digits, spaces and . : / = + - @ _, at"
                " most 128 in the key, which must not begin with aws:, and 256 in the value"
            )
        tags[key] = value
    if len(tags) > MOST_TAGS - len(OWN_TAGS):
        raise ValueError(f"{len(tags)} tags are more than the {MOST_TAGS - len(OWN_TAGS)} possible")
    return tags
