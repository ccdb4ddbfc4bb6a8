"""What became of a Batch job, read from its description: the next move, and words for a person."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from enum import Enum
from typing import Any

from .definition import OUT_OF_MEMORY, RECLAIMED

TERMINATED = "terminated by snakemake"
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
    if fnmatch.fnmatch(why, RECLAIMED) and on_spot:
        return Move.ON_DEMAND
    reason = job.get("container", {}).get("reason") or ""
    if may_grow and (reason.startswith(OUT_OF_MEMORY) or why.startswith(OUT_OF_MEMORY)):
        return Move.MORE_MEMORY
    return Move.FAIL


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
    lines = ([f"Cause: {causes[0]}"] if causes else []) + [head]
    stream = container.get("logStreamName")
    if stream:
        lines.append(f"Log stream: {stream}")
    if log:
        lines += ["Last lines of its log:", *(f"    {line}" for line in log)]
    return "\n".join(lines)
