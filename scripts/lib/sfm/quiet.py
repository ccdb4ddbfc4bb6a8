"""COLMAP kept quiet, with our own progress line while it works."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pycolmap

from scripts.lib.core.console import Progress, duration, say

# Below that, COLMAP prints several lines per photo, and an error when one of the retries finds
# nothing; what matters of it is in our own reports.
pycolmap.logging.minloglevel = int(pycolmap.logging.FATAL)
pycolmap.logging.alsologtostderr = False


@contextmanager
def watching(label: str, total: int, count: Callable[[], int | None]) -> Iterator[None]:
    """Print progress from another thread while one long COLMAP call runs in the block.

    `count()` tells how many of `total` are done; None means that it cannot tell just now.
    """
    progress = Progress(label, total)
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(1.0):
            done = count()
            if done is not None and done < total:
                progress.update(done)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    progress.update(total)


@contextmanager
def heartbeat(label: str, note: Callable[[], str], every: float = 5.0) -> Iterator[None]:
    """Say every few seconds that a call without a known number of steps is alive."""
    stop = threading.Event()

    def beat() -> None:
        passed = 0.0
        while not stop.wait(every):
            passed += every
            say(f"{label}: {duration(passed)}{note()}")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
