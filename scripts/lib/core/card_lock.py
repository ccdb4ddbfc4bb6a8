"""One job at a time on a GPU: a lock file for each card, which the system releases when the process ends.

Two jobs on one card would each plan with the memory that is free at their start, and both run out of it.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from scripts.lib.core.console import say

# One folder for all users of a machine, whatever TMPDIR says; containers of Apptainer share it too.
FOLDER = Path("/tmp")
PAUSE = 1.0  # seconds between two looks at cards that are in use
_held: dict[str, int] = {}  # how often this process has claimed each card


@contextmanager
def claimed(
    cards: Sequence[str],
    folder: Path | None = None,
    pause: Callable[[], None] = lambda: time.sleep(PAUSE),
    *,
    quiet: bool = False,
) -> Iterator[int]:
    """Wait until one of `cards` (names) is free, and keep it until the block ends; yields its place.

    Waiting is told in one line, unless `quiet`. A card that this process holds already is used once more.
    Where no lock file can be made, the card is used without.
    """
    names = [re.sub(r"[^A-Za-z0-9-]", "_", card) for card in cards]
    for name in names:
        if name in _held:
            _held[name] += 1
            try:
                yield names.index(name)
            finally:
                _held[name] -= 1
            return
    told = False
    while (found := _first_free(names, folder or FOLDER)) is None:
        if not told and not quiet:
            say("Waiting for the GPU: another job of splatmake is using it")
        told = True
        pause()
    name, handle = found
    _held[name] = 1
    try:
        yield names.index(name)
    finally:
        del _held[name]
        if handle is not None:
            os.close(handle)


@contextmanager
def claimed_if_free(cards: Sequence[str], folder: Path | None = None) -> Iterator[int | None]:
    """Like `claimed`, but without waiting: None where all cards are in use."""

    def give_up() -> None:
        raise BlockingIOError

    with ExitStack() as stack:
        number: int | None = None
        with suppress(BlockingIOError):
            number = stack.enter_context(claimed(cards, folder, give_up, quiet=True))
        yield number


def _first_free(names: Sequence[str], folder: Path) -> tuple[str, int | None] | None:
    """A card and the handle that holds its lock (None: there can be no lock); None when all are in use."""
    for name in names:
        try:
            handle = _opened(folder / f"splatmake-gpu-{name}.lock")
        except OSError:  # nothing can be written there
            return name, None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
        except OSError:  # a file system without locks
            os.close(handle)
            return name, None
        else:
            return name, handle
    return None


def _opened(path: Path) -> int:
    """Open the lock file, made if need be, so that every user of the machine can lock it.

    Read only and without O_CREAT where it exists: Linux refuses both for another user's file in /tmp.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            pass
        try:
            handle = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:  # made by another job just now
            continue
        os.fchmod(handle, 0o644)  # whatever the umask
        return handle
