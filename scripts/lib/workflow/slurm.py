"""Slurm before a run's first job: which of its programs will tell that a job has ended.

The executor asks `sacct` wherever that is installed. On a cluster without accounting that fails, and with
accounting it says `CANCELLED by 1000` of a cancelled job, which the executor does not understand: both times
it waits for ever. `squeue` says `CANCELLED`, but knows ended jobs only for a while (slurm.conf, MinJobAge).
"""

from __future__ import annotations

import re
import subprocess
from typing import Protocol

from scripts.lib.core.console import UserError

ANSWER_SECONDS = 60  # in which Slurm's programs answer, or never
# The executor does not trust squeue below three times the pause before its first look.
PAUSES = 3
FIRST_PAUSE = 40  # seconds, where the profile does not say
# Seconds for which squeue must know ended jobs: the longest pause between two looks, 180, and an answer.
LEAST = 180 + ANSWER_SECONDS


class _SilentError(Exception):
    """A program of Slurm's does not tell what it was asked; why, in its own words."""


class Settings(Protocol):
    """What the executor was told, as far as it matters here."""

    status_command: str | None
    init_seconds_before_status_checks: int | None


def choose_status_command(settings: Settings) -> str | None:
    """Let the executor ask `squeue`, or `sacct` where squeue forgets too soon; then a sentence about it.

    Raises UserError where neither program would tell that a job has ended.
    """
    needed = max(PAUSES * (settings.init_seconds_before_status_checks or FIRST_PAUSE), LEAST)
    known = _remembered()
    if known >= needed:
        settings.status_command = "squeue"
        return None
    why = f"squeue forgets a job {known} s after its end (MinJobAge in slurm.conf)"
    try:
        _ask("sacct", "-X", "--noheader", "--starttime", "now")
    except _SilentError as fault:
        raise UserError(
            f"{why} and this Slurm has no accounting (sacct: {fault}), so a run might wait for ever: ask for"
            f" MinJobAge={needed} or more, or for slurmdbd; or start the run inside one job, with --cores all"
            " instead of the profile"
        ) from None
    settings.status_command = "sacct"
    return (
        f"{why[0].upper()}{why[1:]}, so sacct is asked instead; should somebody cancel a job, stop the run"
        " with Ctrl-C: it would wait for that job for ever."
    )


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
