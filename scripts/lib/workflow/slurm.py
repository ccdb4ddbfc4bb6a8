"""Slurm before a run's first job: which of its programs will tell that a job has ended.

The executor asks `sacct` wherever that is installed. On a cluster without accounting that fails, and the
executor waits for ever. `squeue` knows ended jobs too, but only for a while (slurm.conf, "MinJobAge").
"""

from __future__ import annotations

import re
import subprocess
from typing import Protocol

from scripts.lib.core.console import UserError

ANSWER_SECONDS = 60  # in which Slurm's programs answer, or never
LONGEST_PAUSE = 180  # seconds between two looks of the executor, at most
# The executor does not trust squeue below three times the pause before its first look.
PAUSES = 3
FIRST_PAUSE = 40  # seconds, where the profile does not say


class _SilentError(Exception):
    """A program of Slurm's does not tell what it was asked; why, in its own words."""


class Settings(Protocol):
    """What the executor was told, as far as it matters here."""

    status_command: str | None
    init_seconds_before_status_checks: int | None


def choose_status_command(settings: Settings) -> str | None:
    """Let the executor ask `squeue` where there is no accounting; then a sentence about it, else None.

    Raises UserError where neither program would tell that a job has ended.
    """
    try:
        _ask("sacct", "-X", "--noheader", "--starttime", "now")
        return None
    except _SilentError as fault:
        why = f"this Slurm has no accounting (sacct: {fault})"
    first = settings.init_seconds_before_status_checks or FIRST_PAUSE
    needed = max(PAUSES * first, LONGEST_PAUSE)
    known = _remembered()
    if known < needed:
        raise UserError(
            f"{why}, and squeue forgets a job {known} s after its end, so a run might wait for ever: ask for"
            f" MinJobAge={needed} or more in slurm.conf, or for slurmdbd; or start the run inside one job,"
            " with --cores all instead of the profile"
        )
    settings.status_command = "squeue"
    return f"{why[0].upper()}{why[1:]}; squeue will tell when jobs have ended."


def _remembered() -> int:
    """Seconds for which squeue knows a job after its end. Raises UserError where Slurm does not say."""
    try:
        told = _ask("scontrol", "show", "config")
    except _SilentError as fault:
        raise UserError(
            f"Slurm does not answer (scontrol: {fault}); start the run where `sinfo` shows the cluster"
        ) from None
    found = re.search(r"(?m)^MinJobAge\s*=\s*(\d+)", told)
    if found is None:
        raise UserError(
            "scontrol show config tells no MinJobAge, so nobody knows how long squeue remembers"
        )
    return int(found[1])


def _ask(*command: str) -> str:
    """What a program of Slurm's says. Raises _SilentError."""
    try:
        told = subprocess.run(
            command, text=True, errors="replace", capture_output=True, timeout=ANSWER_SECONDS
        )
    except FileNotFoundError:
        raise _SilentError("not installed") from None
    except subprocess.TimeoutExpired:
        raise _SilentError(f"no answer within {ANSWER_SECONDS} s") from None
    if told.returncode:
        lines = told.stderr.strip().splitlines() or [f"exit code {told.returncode}"]
        raise _SilentError(lines[-1].removeprefix(f"{command[0]}: "))
    return told.stdout
