"""Which of Slurm's programs tells that a job has ended; tests/engines has the real ones."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.workflow.slurm import choose_status_command

DISABLED = "echo Slurm accounting storage is disabled >&2; exit 1"  # as Slurm 22.05 says it
CONFIG = "echo 'MessageTimeout          = 10 sec'; echo 'MinJobAge               = {} sec'"


@dataclass
class Told:
    """What the executor keeps of its command line."""

    status_command: str | None = "sacct"
    init_seconds_before_status_checks: int | None = 20


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stand-ins before all others; Slurm's own programs are not found."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/nowhere")
    return tmp_path


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("sacct", ["exit 0", DISABLED, ""])
def test_squeue_is_asked_where_it_remembers(programs: Path, sacct: str) -> None:
    """With accounting too: of a cancelled job sacct says what the executor does not understand."""
    if sacct:
        program(programs, "sacct", sacct)
    program(programs, "scontrol", CONFIG.format(300))
    told = Told()
    assert choose_status_command(told) is None and told.status_command == "squeue"


def test_sacct_is_asked_where_squeue_forgets(programs: Path) -> None:
    program(programs, "sacct", "exit 0")
    program(programs, "scontrol", CONFIG.format(60))
    told = Told("squeue")
    said = choose_status_command(told) or ""
    assert told.status_command == "sacct"
    assert said.startswith(
        "Squeue forgets a job 60 s after its end (MinJobAge in slurm.conf), so sacct"
    )


@pytest.mark.parametrize(
    ("first", "age", "needed"), [(20, 239, 240), (20, 0, 240), (100, 299, 300)]
)
def test_a_cluster_that_tells_of_no_end_is_refused(
    programs: Path, first: int, age: int, needed: int
) -> None:
    program(programs, "scontrol", CONFIG.format(age))
    told = Told("squeue", first)
    for sacct in ("not installed", "Slurm accounting storage is disabled"):
        match = rf"forgets a job {age} s .*\(sacct: {sacct}\).*MinJobAge={needed} or more"
        with pytest.raises(UserError, match=match):
            choose_status_command(told)
        program(programs, "sacct", DISABLED)
    program(programs, "scontrol", CONFIG.format(needed))
    assert choose_status_command(told) is None and told.status_command == "squeue"


def test_a_controller_that_does_not_answer_is_told(programs: Path) -> None:
    program(programs, "scontrol", "echo 'scontrol: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(UserError, match="scontrol: Unable to contact slurm controller"):
        choose_status_command(Told())
