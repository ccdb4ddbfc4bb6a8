"""Runs in their queue: started in turn, stopped, retried, deleted; and what a crash leaves goes on."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.studio import worker as work_room
from scripts.lib.studio.lock import is_held
from scripts.lib.studio.worker import Worker
from tests.unit.studio.conftest import SECONDS, Served

Work = Callable[..., Worker]


def wish(title: str) -> dict[str, Any]:
    return {"options": {"bundle_web": {"title": title}}}


def counted(served: Served, job: str, least: int = 1) -> Path:
    """counted.txt of a run, once it has `least` lines."""
    path = served.studio.home.job(job) / "counted.txt"
    end = time.monotonic() + SECONDS
    while not path.exists() or len(path.read_text()) < least:
        assert time.monotonic() < end
        time.sleep(0.02)
    return path


def test_a_run_to_its_end(served: Served, work: Work) -> None:
    work(served.studio)
    job = served.submitted(**wish("count"))
    told = served.until(job, "running", "done")
    assert told["title"] == "count" and told["eta_seconds"] in (None, 5.0)
    told = served.until(job, "done")
    page = told["scenes"][0]["page"]
    assert page == f"{served.url}/scenes/{job}/yard/web/"
    assert b"The yard" in served.call("GET", page)[1]
    assert [s["name"] for s in told["scenes"][0]["stages"]] == ["map_scene", "train_splat"]
    files = served.call("GET", f"/jobs/{job}/files")[1]["files"]
    assert [file["name"] for file in files] == ["progress.json", "yard/report.html"]
    assert b"Report" in served.call("GET", files[1]["url"])[1]
    summary = served.call("GET", "/jobs")[1]["jobs"][0]
    assert (summary["state"], summary["title"]) == ("done", "count")


def test_events_tell_the_same(served: Served, work: Work) -> None:
    work(served.studio)
    job = served.submitted(**wish("count"))
    with urllib.request.urlopen(f"{served.url}/jobs/{job}/events", timeout=SECONDS) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        text = stream.read().decode()
    assert '"state": "running"' in text and '"state": "done"' in text
    assert text.rstrip().endswith("event: end\ndata: {}")
    assert served.call("GET", f"/jobs/{'0' * 16}/events")[0] == 404


def test_events_end_with_the_studio(served: Served) -> None:
    job = served.submitted(**wish("count"))
    with urllib.request.urlopen(f"{served.url}/jobs/{job}/events", timeout=SECONDS) as stream:
        while b"queued" not in stream.readline():
            pass
        served.studio.ending.set()
        assert b"event" not in stream.read(), "the page shall ask again"


def test_the_queue_is_told_and_kept(served: Served, work: Work) -> None:
    first, second, third = (served.submitted(**wish("count")) for _ in range(3))
    status = served.call("GET", f"/jobs/{third}")[1]
    assert status["waiting"] == {"queue": "2 other runs are before it"}
    assert served.call("DELETE", f"/jobs/{second}")[1]["state"] == "stopped"
    assert served.call("GET", f"/jobs/{second}")[1]["state"] == "stopped"
    work(served.studio)
    served.until(third, "running", "done")
    assert served.call("GET", f"/jobs/{first}")[1]["state"] == "done"
    assert not (served.studio.home.job(second) / "counted.txt").exists()


def test_a_failure_says_why_and_retry_goes_on(served: Served, work: Work) -> None:
    work(served.studio)
    job = served.submitted(**wish("fail"))
    told = served.until(job, "failed")
    assert told["cause"] == "too few photos fit together; photograph with more overlap"
    code, _ = served.call("POST", f"/jobs/{job}/retry", wish("count"))
    assert code == 202
    assert served.call("POST", f"/jobs/{job}/retry", {})[0] == 409
    assert "cause" not in served.until(job, "done")


def test_stop_and_delete(served: Served, work: Work) -> None:
    work(served.studio)
    job = served.submitted(**wish("count"))
    counted(served, job, 3)
    assert served.call("DELETE", f"/jobs/{job}")[1]["state"] == "stopped"
    end = time.monotonic() + SECONDS
    while served.call("DELETE", f"/jobs/{job}?data=true")[1].get("state") == "stopping":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not served.studio.home.job(job).exists()
    assert served.call("GET", f"/jobs/{job}")[0] == 404
    assert served.call("GET", "/jobs")[1]["jobs"] == []


def test_a_run_outlives_the_studio_and_is_found_again(served: Served, work: Work) -> None:
    """As after SIGKILL: the first worker is forgotten without a word, the second finds the run at work."""
    worker = work(served.studio)
    job = served.submitted(**wish("count"))
    counted(served, job)
    worker._ending.set()
    worker._thread.join()
    assert is_held(served.studio.home.job(job))
    again = work(served.studio)
    served.until(job, "done")
    row = served.studio.store.job(job)
    assert row is not None and row.starts == 1 and not again._children


def test_after_a_power_cut_the_run_goes_on_where_it_was(served: Served, work: Work) -> None:
    worker = work(served.studio)
    job = served.submitted(**wish("count"))
    path = counted(served, job, 3)
    worker._ending.set()
    worker._thread.join()
    keeper = int((path.parent / "pid").read_text())
    children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    for process in (keeper, *map(int, children)):
        os.kill(process, signal.SIGKILL)
    reached = len(path.read_text())
    assert 3 <= reached < 20
    work(served.studio)
    served.until(job, "done")
    row = served.studio.store.job(job)
    assert len(path.read_text()) == 20 and row is not None and row.starts == 2


def test_a_clean_stop_interrupts_and_keeps_the_turn(served: Served, work: Work) -> None:
    worker = work(served.studio)
    job = served.submitted(**wish("count"))
    path = counted(served, job, 2)
    later = served.submitted(**wish("count"))
    assert worker.stop() == 2
    assert not is_held(path.parent)
    assert [row.id for row in served.studio.store.in_state("queued")] == [job, later]
    assert served.call("GET", f"/jobs/{job}")[1]["state"] == "queued"


def test_what_dies_each_time_is_given_up(
    served: Served, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_room, "MOST_STARTS", 2)
    work(served.studio)
    job = served.submitted(**wish("die"))
    assert "killed" in served.until(job, "failed")["cause"]
    assert (served.studio.home.job(job) / "died.txt").read_text() == "xx"


def test_the_same_key_is_the_same_run(served: Served) -> None:
    body = {"scenes": [{"scene": "yard", "source": served.uploaded()}]}
    first = served.call("POST", "/jobs", body, {"Idempotency-Key": "a"})[1]["id"]
    assert served.call("POST", "/jobs", body, {"Idempotency-Key": "a"})[1]["id"] == first
    other = {"scenes": [{"scene": "mill", "source": served.uploaded()}]}
    assert served.call("POST", "/jobs", other, {"Idempotency-Key": "a"})[0] == 422


def test_only_uploads_of_the_studio_are_sources(served: Served) -> None:
    for source in ("s3://elsewhere/uploads/x.zip", "s3://this-machine/uploads/../../etc/passwd"):
        body = {"scenes": [{"scene": "yard", "source": source}]}
        assert served.call("POST", "/jobs", body)[0] == 403


def test_lists_go_on_page_by_page(served: Served) -> None:
    jobs = {served.submitted(**wish("count")) for _ in range(3)}
    first = served.call("GET", "/jobs?limit=2")[1]
    second = served.call("GET", f"/jobs?limit=2&after={first['next']}")[1]
    assert {j["id"] for j in first["jobs"] + second["jobs"]} == jobs and second["next"] is None
    assert served.call("GET", "/jobs?state=done")[1] == {"jobs": [], "next": None}


@pytest.mark.parametrize(
    "path", ["../../../studio.db", "%2e%2e/%2e%2e/studio.db", "..%2f..%2fstudio.db", "link.txt"]
)
def test_results_cannot_lead_elsewhere(served: Served, path: str) -> None:
    job = served.submitted()
    results = served.studio.home.results(job)
    results.mkdir()
    (results / "link.txt").symlink_to(served.studio.home.database)
    (results / "good.txt").write_text("good")
    assert served.call("GET", f"/files/{job}/good.txt") == (200, b"good")
    assert served.call("GET", f"/files/{job}/{path}")[0] in (403, 404)
    assert served.call("GET", f"/scenes/{job}/%2e%2e/web/{path}")[0] in (403, 404)
