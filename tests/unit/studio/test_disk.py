"""A disk that is gone or full: nothing is forgotten, and callers are told."""

from __future__ import annotations

import sqlite3

import pytest

from scripts.lib.studio import runs
from scripts.lib.studio.worker import Worker
from tests.unit.studio.conftest import Served


def test_a_disk_that_is_gone_is_told_and_forgets_no_run(served: Served) -> None:
    job = served.submitted()
    served.studio.store.set_state(job, "active", only_from="queued")
    jobs = served.studio.home.path / "jobs"
    away = jobs.rename(jobs.with_name("pulled out"))
    for path in ("/jobs", f"/jobs/{job}", f"/jobs/{job}/files"):
        code, told = served.call("GET", path)
        assert code == 507 and "is gone; connect its disk again" in told["error"], path
    with pytest.raises(OSError, match="is gone"):
        Worker(served.studio)._look()
    away.rename(jobs)
    assert served.call("GET", f"/jobs/{job}")[1]["id"] == job
    assert served.call("GET", "/jobs")[1]["jobs"][0]["id"] == job


def test_a_full_disk_is_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    job = served.submitted()
    served.call("DELETE", f"/jobs/{job}")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs, "write", full)
    code, told = served.call("POST", f"/jobs/{job}/retry", {})
    assert code == 507 and "(No space left on device)" in told["error"]


def test_a_database_that_cannot_be_written_is_told(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(served.studio.store, "add_upload", full)
    code, told = served.call("POST", "/uploads", {"name": "a.zip", "bytes": 5})
    assert code == 507 and "database or disk is full" in told["error"]
