"""Work that goes on beside the program, of which only the latest counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path


class Background:
    """Runs a function of files beside the program: not again before it has ended, the latest files only.

    Between two calls it rests, longer when they are slow, so that what is done after each job costs a
    small share of the time, however many jobs there are.
    """

    def __init__(self, work: Callable[..., None], rest: float = 5.0, share: float = 0.1) -> None:
        self._work, self._rest, self._share = work, rest, share
        self._files: tuple[Path, ...] | None = None
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    def __call__(self, *files: Path) -> None:
        """Let the function run soon with these files, at once when it is idle; returns at once."""
        with self._changed:
            self._files = files
            if self._thread is None:
                # A daemon: a bucket that no longer answers must not keep the program from ending.
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self, most: float = 120.0) -> bool:
        """Do what is still to do, and wait for it `most` seconds; whether it was done."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(most)
            if self._thread.is_alive():
                return False
        with self._changed:
            self._closing, self._thread = False, None
        return True

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._files is not None or self._closing)
                files, self._files = self._files, None
            if files is None:
                return
            began = time.monotonic()
            self._work(*files)
            rest = max(self._rest, (time.monotonic() - began) * (1 - self._share) / self._share)
            with self._changed:
                self._changed.wait_for(lambda: self._closing, timeout=rest)
