"""What became of a Batch job, read from its description: the next move, and words for a person."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from enum import Enum
from typing import Any

from .definition import OUT_OF_MEMORY, RECLAIMED

TERMINATED = "terminated by snakemake"
# How Batch tells that it gave up waiting, by the queue's JobStateTimeLimitActions (AWS Batch, "Jobs stuck in
# RUNNABLE due to capacity"); and what this executor says when it has to do so itself.
GIVEN_UP = "Canceled by JobStateTimeLimit action*"
STUCK = "no machine took the job in time"
WAITED_FOR_NOTHING = {
    "JOB_RESOURCE_REQUIREMENT": "no machine of the queue is as large as the job asks; give the rule less"
    " memory or fewer threads, or the stack larger machines (CpuInstanceTypes, GpuInstanceTypes)",
    "COMPUTE_ENVIRONMENT_MAX_RESOURCE": "the queue may hold fewer vCPUs than the job asks; raise the"
    " stack's MaxGpuSpotVcpus and its like",
    "CAPACITY": "AWS has no free machine of these types; try again later, or give the stack more types or"
    " zones",
    STUCK: "the job waited in a queue where nothing runs; `python -m scripts.preflight` compares the quotas,"
    " and the console of AWS Batch tells of the compute environment",
}
TIMED_OUT = "Job attempt duration exceeded timeout"
STEP = re.compile(r"^\w+: (\d+)/(\d+) \(")  # how the programs of the workflow tell their progress
KILLED = re.compile(r"line \d+: +\d+ Killed\b")  # bash of a program that got SIGKILL
CAUSE = "Error: "  # how the scripts of the workflow begin their one sentence
MEMORY = f"{CAUSE}out of memory"  # and what they say when memory did not suffice


class Move(Enum):
    """What to do about a job."""

    WAIT = "wait"
    DONE = "done"
    ON_DEMAND = "again on a machine that stays"
    MORE_MEMORY = "again with more memory"
    AGAIN = "again"
    RESUME = "on from where its time ran out"
    FAIL = "fail"


def next_move(job: dict[str, Any], *, on_spot: bool, may_grow: bool, adopted: bool) -> Move:
    """What a job's description asks for.

    `on_spot`: there is another queue to try; `may_grow`: more memory has not been tried too often;
    `adopted`: the job was found running, so whoever started it may have stopped it since.
    """
    status = job.get("status")
    if status == "SUCCEEDED":
        return Move.DONE
    if status != "FAILED":
        return Move.WAIT
    why = job.get("statusReason") or ""
    if adopted and why == TERMINATED:
        return Move.AGAIN
    if on_spot and (fnmatch.fnmatch(why, RECLAIMED) or _other_queue_may_do(why)):
        return Move.ON_DEMAND
    reason = job.get("container", {}).get("reason") or ""
    if may_grow and (reason.startswith(OUT_OF_MEMORY) or why.startswith(OUT_OF_MEMORY)):
        return Move.MORE_MEMORY
    return Move.FAIL


def _other_queue_may_do(why: str) -> bool:
    """Whether a job that waited too long may start in a queue of the same machines on demand."""
    too_large = "JOB_RESOURCE_REQUIREMENT" in why
    return why.startswith(STUCK) or (fnmatch.fnmatch(why, GIVEN_UP) and not too_large)


def waiting_cause(why: str) -> str:
    """What a person does about a job that waited for nothing; empty where a job ended otherwise."""
    if not (why.startswith(STUCK) or fnmatch.fnmatch(why, GIVEN_UP)):
        return ""
    return next((said for word, said in WAITED_FOR_NOTHING.items() if word in why), why)


def furthest_step(log: Sequence[str]) -> tuple[int, int]:
    """How far a job was, and of how much, by `label: 1200/30000` in its last lines; (0, 1) without."""
    found = [STEP.search(line) for line in log]
    return max(((int(step[1]), int(step[2])) for step in found if step), default=(0, 1))


def ran_out_of_time(job: dict[str, Any]) -> bool:
    """Whether Batch ended a job because its attempt took longer than it may."""
    return bool(job.get("status") == "FAILED") and TIMED_OUT in str(job.get("statusReason") or "")


def ran_out_of_memory(log: Sequence[str]) -> bool:
    """Whether the shell of a rule tells that its program was killed.

    Out of memory the kernel kills the rule's program, not the container's first process, which is Snakemake:
    it ends with code 1 like after any failure, and Batch may give no reason. Programs that notice it
    themselves say so.
    """
    return any(KILLED.search(line) or MEMORY in line for line in log)


def failure_message(job: dict[str, Any], log: Sequence[str]) -> str:
    """What a person needs to know of a failed job: the cause first, then where and the last lines."""
    container = job.get("container", {})
    why = "; ".join(filter(None, [job.get("statusReason"), container.get("reason")]))
    causes = [line[line.index(CAUSE) + len(CAUSE) :] for line in log if CAUSE in line]
    code = container.get("exitCode")
    head = f"AWS Batch job {job.get('jobName')} ({job.get('jobId')}) failed"
    head += f" with exit code {code}" if code is not None else ""
    head += f": {why or 'Batch gives no reason'}."
    cause = causes[0] if causes else waiting_cause(job.get("statusReason") or "")
    lines = ([f"Cause: {cause}"] if cause else []) + [head]
    stream = container.get("logStreamName")
    if stream:
        lines.append(f"Log stream: {stream}")
    if log:
        lines += ["Last lines of its log:", *(f"    {line}" for line in log)]
    return "\n".join(lines)
