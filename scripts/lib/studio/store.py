"""What the studio remembers in SQLite: uploads with the parts that have come, runs in their queue.

Every change is on the disk before it is answered, so that a crash or a power cut loses nothing.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scripts.lib.core.console import UserError

TABLES = """
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, bytes INTEGER NOT NULL, part_bytes INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL REFERENCES uploads(id) ON DELETE CASCADE, number INTEGER NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('queued', 'active', 'ended')),
    turn INTEGER NOT NULL, starts INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, job TEXT NOT NULL, digest TEXT NOT NULL) STRICT;
PRAGMA user_version = 1;
"""
VERSION = 1  # of these tables
Stand = Literal["queued", "active", "ended"]


@dataclass(frozen=True)
class UploadRow:
    """An upload: `name` and size of the file, and the size of every part but the last."""

    id: str
    name: str
    bytes: int
    part_bytes: int
    done: bool


@dataclass(frozen=True)
class JobRow:
    """A run: whether it waits, is at work or has ended; its turn; how often it was started in this turn."""

    id: str
    state: Stand
    turn: int
    starts: int


class Store:
    """The database at a path. Raises UserError when it is none of ours.

    Several threads may use it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise UserError(
                    f"{path} was written by a newer version; use that version, or another --home"
                )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.executescript(TABLES)
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"{path} cannot be used ({error}); move it away, or choose another folder with --home"
            ) from None

    def close(self) -> None:
        """End."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, question: str, *values: object) -> list[tuple[object, ...]]:
        with self._lock:
            return self._db.execute(question, values).fetchall()

    # uploads

    def add_upload(self, row: UploadRow) -> None:
        """Remember a new upload; one of that id stays as it is."""
        with self._change() as db:
            values = (row.id, row.name, row.bytes, row.part_bytes)
            db.execute(
                "INSERT OR IGNORE INTO uploads (id, name, bytes, part_bytes) VALUES (?, ?, ?, ?)",
                values,
            )

    def upload(self, token: str) -> UploadRow | None:
        """An upload by its id."""
        found = self._rows(
            "SELECT id, name, bytes, part_bytes, done FROM uploads WHERE id = ?", token
        )
        return next((_upload(row) for row in found), None)

    def parts(self, token: str) -> set[int]:
        """The numbers of the parts that have come."""
        found = self._rows("SELECT number FROM parts WHERE upload = ?", token)
        return {int(str(number)) for (number,) in found}

    def add_part(self, token: str, number: int) -> bool:
        """A part lies on the disk; False when its upload was deleted meanwhile."""
        with self._change() as db:
            if not db.execute("SELECT 1 FROM uploads WHERE id = ?", (token,)).fetchone():
                return False
            db.execute("INSERT OR IGNORE INTO parts VALUES (?, ?)", (token, number))
            return True

    def finish_upload(self, token: str) -> None:
        """All parts are there."""
        with self._change() as db:
            db.execute("UPDATE uploads SET done = 1 WHERE id = ?", (token,))
            db.execute("DELETE FROM parts WHERE upload = ?", (token,))

    def remove_upload(self, token: str) -> None:
        """Forget an upload."""
        with self._change() as db:
            db.execute("DELETE FROM uploads WHERE id = ?", (token,))

    def upload_ids(self) -> list[str]:
        """Every upload."""
        return [str(token) for (token,) in self._rows("SELECT id FROM uploads")]

    # runs

    def enqueue(self, job: str, most: int) -> bool:
        """Put a run, new or ended, at the end of the queue; False when `most` have not ended yet."""
        with self._change() as db:
            (open_runs,) = db.execute("SELECT count(*) FROM jobs WHERE state != 'ended'").fetchone()
            if open_runs >= most:
                return False
            db.execute(
                "INSERT INTO jobs VALUES (?, 'queued', (SELECT coalesce(max(turn), 0) + 1 FROM jobs), 0)"
                " ON CONFLICT (id) DO UPDATE SET state = excluded.state, turn = excluded.turn, starts = 0",
                (job,),
            )
            return True

    def job(self, job: str) -> JobRow | None:
        """A run by its id."""
        return next(iter(self._jobs("WHERE id = ?", job)), None)

    def jobs(self, after: str, most: int) -> list[JobRow]:
        """Runs behind the id `after`, by id: the newest first."""
        return self._jobs("WHERE id > ? ORDER BY id LIMIT ?", after, most)

    def in_state(self, state: Stand) -> list[JobRow]:
        """Runs in a state, by their turn."""
        return self._jobs("WHERE state = ? ORDER BY turn", state)

    def set_state(self, job: str, state: Stand, only_from: Stand) -> bool:
        """Change a run's state; False when it is not in `only_from` (any more)."""
        started = ", starts = starts + 1" if state == "active" else ""
        with self._change() as db:
            done = db.execute(
                f"UPDATE jobs SET state = ?{started} WHERE id = ? AND state = ?",
                (state, job, only_from),
            )
            return done.rowcount == 1

    def remove_job(self, job: str) -> None:
        """Forget a run, and the keys that stand for it."""
        with self._change() as db:
            db.execute("DELETE FROM jobs WHERE id = ?", (job,))
            db.execute("DELETE FROM claims WHERE job = ?", (job,))

    def claim(self, key: str, job: str, digest: str) -> tuple[str, str]:
        """(run, digest) that a key stands for: these, if it is new."""
        with self._change() as db:
            db.execute("INSERT OR IGNORE INTO claims VALUES (?, ?, ?)", (key, job, digest))
            found = db.execute("SELECT job, digest FROM claims WHERE key = ?", (key,)).fetchone()
            return str(found[0]), str(found[1])

    def _jobs(self, where: str, *values: object) -> list[JobRow]:
        found = self._rows(f"SELECT id, state, turn, starts FROM jobs {where}", *values)
        return [_job(row) for row in found]


def _upload(row: tuple[object, ...]) -> UploadRow:
    token, name, size, part, done = row
    return UploadRow(str(token), str(name), int(str(size)), int(str(part)), bool(done))


def _job(row: tuple[object, ...]) -> JobRow:
    job, state, turn, starts = row
    stands: dict[str, Stand] = {"queued": "queued", "active": "active", "ended": "ended"}
    return JobRow(str(job), stands[str(state)], int(str(turn)), int(str(starts)))
