"""Progress over all scenes: events in, percent and time left out, a file that is whole at any moment."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.lib.core.console import UserError
from scripts.lib.workflow.background import Background
from scripts.lib.workflow.progress import RunProgress, earlier_seconds, progress_file

JOBS = [
    (1, "train_splat", "yard"),
    (2, "bundle_web", "yard"),
    (3, "train_splat", "mill"),
    (0, "all", ""),
]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def event(kind: str, **fields: object) -> logging.LogRecord:
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, None, None, None)
    record.__dict__.update(event=kind, **fields)
    return record


@pytest.fixture
def run(tmp_path: Path) -> tuple[RunProgress, Clock]:
    clock = Clock()
    progress = RunProgress(
        tmp_path / "progress.json", tmp_path / "benchmarks", io.StringIO(), clock
    )
    progress.begin(JOBS)
    return progress, clock


def read(progress: RunProgress) -> dict:
    return json.loads(progress.path.read_text())


def test_a_run_from_start_to_end(run: tuple[RunProgress, Clock]) -> None:
    progress, clock = run
    first = read(progress)
    assert first["jobs"] == {"waiting": 3, "running": 0, "done": 0, "failed": 0}
    assert first["percent"] == 0 and first["eta_seconds"] is None
    progress.emit(event("job_info", jobid=1))
    clock.now += 60
    progress.emit(event("job_finished", job_id=1))
    half = read(progress)
    # The other training is expected to take as long; bundling as the mean of what is known.
    assert half["percent"] == pytest.approx(33.3, abs=0.1)
    assert half["eta_seconds"] == pytest.approx(120)
    assert half["scenes"]["yard"]["stages"][0] == {
        "rule": "train_splat",
        "state": "done",
        "seconds": 60.0,
        "expected": 60.0,
        "known": True,
        "elapsed": None,
    }
    bundle = half["scenes"]["yard"]["stages"][1]
    assert (bundle["expected"], bundle["known"]) == (60.0, False), "a guess, by the other rule"
    assert half["scenes"]["mill"]["percent"] == 0
    assert "2 min 00 s left" in progress.stream.getvalue()  # type: ignore[attr-defined]
    for number in (2, 3):
        progress.emit(event("job_info", jobid=number))
        clock.now += 10
        progress.emit(event("job_finished", job_id=number))
    progress.end("done")
    last = read(progress)
    assert last["state"] == "done" and last["percent"] == 100 and last["eta_seconds"] == 0


def test_a_failed_job_is_named(run: tuple[RunProgress, Clock]) -> None:
    progress, _ = run
    progress.emit(event("job_info", jobid=3))
    progress.emit(event("job_error", jobid=3))
    progress.end("failed")
    found = read(progress)
    assert found["state"] == "failed" and found["jobs"]["failed"] == 1
    assert found["scenes"]["mill"]["stages"][0]["state"] == "failed"


GROUP = [(1, "evaluate_splat", "yard"), (2, "clean_splat", "yard"), (3, "render_tour", "yard")]


def grouped(tmp_path: Path) -> tuple[RunProgress, Clock]:
    """A run of one job of the cloud, in which a machine runs three rules."""
    clock = Clock()
    progress = RunProgress(tmp_path / "p.json", tmp_path, io.StringIO(), clock)
    progress.begin(GROUP)
    jobs = [SimpleNamespace(jobid=number) for number in (3, 1, 2)]
    progress.emit(event("group_info", jobs=jobs))
    for number in (3, 1, 2):
        progress.emit(event("job_info", jobid=number))
    return progress, clock


def states(progress: RunProgress) -> list[str]:
    return [stage["state"] for stage in read(progress)["scenes"]["yard"]["stages"]]


def test_rules_of_one_job_run_one_after_another(tmp_path: Path) -> None:
    progress, clock = grouped(tmp_path)
    assert states(progress) == ["running", "waiting", "waiting"]
    clock.now += 40
    told = {"rule": "evaluate_splat", "scene": "yard", "event": "member_finished"}
    progress.emit(event("", member=told))
    assert states(progress) == ["done", "running", "waiting"]
    clock.now += 100
    for number in (1, 2, 3):
        progress.emit(event("job_finished", job_id=number))
    assert states(progress) == ["done"] * 3
    # Nobody said when the second ended, so neither it nor the third has a length.
    assert [job.seconds for job in progress.jobs.values()] == [40, None, None]
    assert progress.stream.getvalue().count("evaluate_splat done") == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("known", [True, False])
def test_of_a_job_that_failed_the_rule_is_named_that_did(tmp_path: Path, known: bool) -> None:
    progress, _ = grouped(tmp_path)
    if known:
        told = {"rule": "clean_splat", "scene": "yard", "event": "member_error"}
        progress.emit(event("", member=told))
    for number in (1, 2, 3):
        progress.emit(event("job_error", jobid=number))
    failed = ["waiting", "failed", "waiting"] if known else ["failed"] * 3
    assert states(progress) == failed


def test_other_events_change_nothing(run: tuple[RunProgress, Clock]) -> None:
    progress, _ = run
    before = progress.path.read_text()
    for record in (
        event("shellcmd"),
        event("job_info", jobid=99),
        event("progress", done=1, total=2),
    ):
        progress.emit(record)
    assert progress.path.read_text() == before


def test_earlier_runs_weigh_the_stages(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks" / "yard"
    folder.mkdir(parents=True)
    (folder / "train_splat.tsv").write_text("s\th:m:s\n90.0\t0:01:30\n")
    (folder / "bundle_web.tsv").write_text("s\th:m:s\n10.0\t0:00:10\n")
    (folder / "broken.tsv").write_text("nothing\n")
    assert earlier_seconds(tmp_path / "benchmarks") == {"train_splat": 90.0, "bundle_web": 10.0}
    progress = RunProgress(tmp_path / "p.json", tmp_path / "benchmarks", io.StringIO(), Clock())
    progress.begin(JOBS[:2])
    progress.emit(event("job_info", jobid=2))
    progress.emit(event("job_finished", job_id=2))
    assert read(progress)["percent"] < 5


class Closing:
    """Stands for the closing lines: what they were asked for."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def tell_last(self, state: str, jobs: object) -> None:
        self.states.append(state)


def test_the_end_is_told_once(tmp_path: Path) -> None:
    closing = Closing()
    progress = RunProgress(
        tmp_path / "p.json", tmp_path, io.StringIO(), Clock(), closing=closing  # type: ignore[arg-type]
    )  # fmt: skip
    progress.emit(
        logging.makeLogRecord({"msg": "Nothing to be done (all requested files are there)."})
    )
    assert closing.states == ["waiting"]
    progress.begin(JOBS)
    progress.emit(logging.makeLogRecord({"msg": "Nothing to be done"}))
    progress.end("failed")
    progress.end("done")
    assert closing.states == ["waiting", "failed"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    progress = RunProgress(tmp_path / "file" / "progress.json", tmp_path)
    with pytest.raises(UserError, match="file cannot be written .* --config results=FOLDER"):
        progress.begin(JOBS)


def test_runs_in_a_bucket_do_not_share_their_progress() -> None:
    assert progress_file("out", "") == Path("out", "progress.json")
    one, two = (progress_file("out", f"s3://bucket/{name}") for name in ("one", "two"))
    assert one != two and one.name == two.name == "progress.json"
    assert one.parts[0] == ".snakemake"


def test_the_last_records_are_waited_for(tmp_path: Path) -> None:
    """And closing to be missing when the bucket does not take them in time."""
    kept: list[Path] = []
    stream = io.StringIO()
    progress = RunProgress(
        tmp_path / "p.json", tmp_path, stream, Clock(), Background(lambda *paths: kept.extend(paths))
    )  # fmt: skip
    progress.begin(JOBS)
    progress.end("done")
    assert kept[-1] == progress.path and stream.getvalue() == ""

    slow = Background(kept.append)
    slow.close = lambda most=0.0: False  # type: ignore[method-assign]
    progress = RunProgress(tmp_path / "p.json", tmp_path, stream, Clock(), slow)
    progress.begin(JOBS)
    progress.end("failed")
    assert "the last records of the run were not saved" in stream.getvalue()


def test_what_jobs_of_the_cloud_wait_for_is_told(tmp_path: Path) -> None:
    progress = RunProgress(tmp_path / "progress.json", tmp_path, io.StringIO())
    progress.begin([(1, "train_splat", "yard")])
    for reason in ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", ""):
        heard = logging.makeLogRecord({"waits": {"job": "train_splat-yard-1", "reason": reason}})
        progress.emit(heard)
        assert read(progress)["waiting"] == ({"train_splat-yard-1": reason} if reason else {})
