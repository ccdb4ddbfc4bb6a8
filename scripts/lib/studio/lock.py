"""The lock of a run's folder: whoever holds it runs the job, or did so until it was killed.

The studio takes it and hands it to the program that it starts, and that hands it on to Snakemake. So it is
held as long as one of them lives, and a studio that starts anew finds out which runs go on without it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

NAME = "lock"


def take(folder: Path) -> int | None:
    """The lock of a run's folder as a file descriptor, to be closed by the caller; None when it is held."""
    handle = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def is_held(folder: Path) -> bool:
    """Whether somebody runs the job of this folder."""
    if not (folder / NAME).exists():
        return False
    handle = take(folder)
    if handle is not None:
        os.close(handle)
    return handle is None
