"""The studio's worker: it starts the runs of the queue, in turn, and notices how they end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.record import write
from scripts.lib.contracts.stop import Stop
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.console import say
from scripts.lib.studio.lock import is_held, take
from scripts.lib.studio.studio import Studio

KEEPER = (sys.executable, "-m", "scripts.lib.studio.keeper")
LOOK_SECONDS = 0.5
MOST_STARTS = 5  # of one run that was killed each time: something on this machine does not bear it
GIVEN_UP = f"the run was killed {MOST_STARTS} times; look whether this machine has enough memory, then retry"
END_SECONDS = 40  # for interrupted runs to end


class Worker:
    """Runs `at_once` runs at a time, each by `program` with `cores` (a number, or `all`)."""

    def __init__(
        self,
        studio: Studio,
        at_once: int = 1,
        cores: str = "all",
        program: Sequence[str] = KEEPER,
    ) -> None:
        self.studio, self.at_once, self.cores, self.program = studio, at_once, cores, program
        self._ending = threading.Event()
        self._children: list[subprocess.Popen[bytes]] = []
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)

    def start(self) -> None:
        """Begin; runs that were left running by a studio before go on, or are started again."""
        self._thread.start()

    def stop(self) -> int:
        """End, and interrupt what runs: it goes on with the next start. How many runs that are."""
        self._ending.set()
        self.studio.wake.set()
        self._thread.join()
        active = [row.id for row in self.studio.store.in_state("active")]
        for job in active:
            _interrupt(self.studio.home.job(job))
        until = time.monotonic() + END_SECONDS
        while time.monotonic() < until and any(map(self._runs, active)):
            time.sleep(LOOK_SECONDS / 5)
            self._reap()
        self._look()
        return len(self.studio.store.in_state("active") + self.studio.store.in_state("queued"))

    def _work(self) -> None:
        while not self._ending.is_set():
            try:
                self._reap()
                self._look()
                self._start_next()
            except Exception as error:  # a full disk, say: it may pass, and the page must go on
                say(f"the queue could not be worked on: {error}")
            self.studio.wake.wait(LOOK_SECONDS)
            self.studio.wake.clear()

    def _runs(self, job: str) -> bool:
        return is_held(self.studio.home.job(job))

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]

    def _look(self) -> None:
        """Notice which runs have ended; those that ended without a word go back into the queue."""
        store = self.studio.store
        self.studio.home.must_be_there()
        for row in store.in_state("active"):
            folder = self.studio.home.job(row.id)
            if not folder.is_dir():
                store.remove_job(row.id)
            elif not is_held(folder):
                told = any((folder / kind.file).exists() for kind in (Outcome, Stop))
                if not told and row.starts >= MOST_STARTS:
                    write(folder / Outcome.file, Outcome(state="failed", cause=GIVEN_UP))
                    told = True
                store.set_state(row.id, "ended" if told else "queued", only_from="active")

    def _start_next(self) -> None:
        store = self.studio.store
        waiting = store.in_state("queued")
        if not waiting or len(store.in_state("active")) >= self.at_once:
            return
        row = waiting[0]
        folder = self.studio.home.job(row.id)
        lock = take(folder)
        if lock is None:
            return  # its programs of before are ending
        try:
            # Read again with the lock in hand: it may have been stopped or deleted meanwhile.
            if store.set_state(row.id, "active", only_from="queued"):
                self._children.append(self._spawn(folder, lock))
        finally:
            os.close(lock)

    def _spawn(self, folder: Path, lock: int) -> subprocess.Popen[bytes]:
        with (folder / "keeper.log").open("ab") as log:
            return subprocess.Popen(
                [*self.program, str(folder), self.cores, str(lock)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock],
            )


def _interrupt(folder: Path) -> None:
    """SIGTERM to the keeper of a run, if it lives: the lock says that its number is still its own."""
    if is_held(folder):
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((folder / "pid").read_text()), signal.SIGTERM)
