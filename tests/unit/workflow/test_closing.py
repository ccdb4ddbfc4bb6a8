"""The last lines: only files that are there, how to open them, and for a failure its sentence and log."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.workflow.closing import Closing, last_error
from scripts.lib.workflow.progress import Job
from tests.conftest import ROOT


def put(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("out dir")


def finish(results: Path, *scenes: str) -> None:
    for scene in scenes:
        put(*(results / scene / name for name in ("web/index.html", "splat.html", "report.html")))


def test_one_scene(results: Path, tmp_path: Path) -> None:
    finish(results, "yard")
    put(results / "index.html")
    lines = Closing(str(results), ["yard"], tmp_path).lines("done", [])
    assert lines == [
        "yard: page out dir/yard/splat.html, report out dir/yard/report.html",
        "All scenes: out dir/index.html",
        "These files open with a double click.",
        "To see the page as on a web server: python -m scripts.serve 'out dir/yard/web'",
    ]


def test_only_files_that_are_there(results: Path) -> None:
    put(results / "yard" / "report.html")
    lines = Closing(str(results), ["yard", "mill"], ROOT).lines("done", [])
    assert lines == [
        "yard: report out dir/yard/report.html",
        "These files open with a double click.",
    ]
    assert Closing(str(results), ["mill"], ROOT).lines("done", []) == []


def test_more_than_a_handful(results: Path) -> None:
    scenes = [f"scene{number}" for number in range(8)]
    finish(results, *scenes)
    lines = Closing(str(results), scenes, ROOT).lines("waiting", [])
    assert [line.partition(":")[0] for line in lines[:6]] == [*scenes[:5], "... and 3 more scenes"]


def test_scenes_that_were_worked_on_come_alone(results: Path) -> None:
    finish(results, "yard", "mill")
    jobs = [Job("report_scene", "mill", "done"), Job("summarise", "", "done")]
    text = "\n".join(Closing(str(results), ["yard", "mill"], ROOT).lines("done", jobs))
    assert "mill: page" in text and "yard" not in text


def test_the_server_is_found_from_another_folder(results: Path) -> None:
    finish(results, "yard")
    (line,) = [x for x in Closing(str(results), ["yard"], ROOT).lines("done", []) if "serve" in x]
    assert line.endswith(f"PYTHONPATH={ROOT} python -m scripts.serve 'out dir/yard/web'")


def test_a_failure(results: Path) -> None:
    """With its own sentence; a scene that failed has no page to open, even where an old one lies."""
    finish(results, "yard", "mill")
    log = results / "logs" / "yard" / "map_scene.log"
    put(log)
    log.write_text(
        "Matching 3/9\nError: old\nError: only 3 of 9 photos could be registered; walk on\nx\n"
    )
    jobs = [Job("map_scene", "yard", "failed"), Job("report_scene", "mill", "done")]
    jobs += [Job("train_splat", "yard"), Job("summarise", "")]
    lines = Closing(str(results), ["yard", "mill"], ROOT).lines("failed", jobs)
    assert lines[0].startswith("mill: page")
    assert lines[-3:] == [
        "yard: map_scene failed: only 3 of 9 photos could be registered; walk on",
        "  log: out dir/logs/yard/map_scene.log",
        "Fix this and run the same command again; finished results are kept.",
    ]
    assert not any(line.startswith("yard: page") for line in lines)


def test_a_failure_without_a_sentence_or_a_log(results: Path) -> None:
    lines = Closing(str(results), [], ROOT).lines("failed", [Job("summarise", "", "failed")])
    assert lines[0] == "summarise failed" and len(lines) == 2


def test_an_interrupted_run(results: Path) -> None:
    lines = Closing(str(results), ["yard"], ROOT).lines(
        "failed", [Job("train_splat", "yard", "running")]
    )
    assert lines == [
        "Stopped before the end. Run the same command again; finished results are kept."
    ]


def test_a_run_in_a_bucket_names_addresses(results: Path) -> None:
    """Of files that this run put there; nothing lies here to be opened."""
    jobs = [
        Job("bundle_web", "yard", "done"),
        Job("report_scene", "yard", "done"),
        Job("summarise", "", "failed"),
    ]
    lines = Closing("results", ["yard", "mill"], ROOT, "s3://bucket/run").lines("done", jobs)
    assert lines == [
        "yard: s3://bucket/run/results/yard/report.html",
        "yard: s3://bucket/run/results/yard/splat.html",
        "They open with a double click after downloading: aws s3 cp s3://bucket/run/results/FILE .",
    ]


def test_the_last_sentence_of_a_long_log(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(
        b"Error: early\n" + b"noise \xdf\n" * 20_000 + b"Error: late\n"
    )
    assert last_error(tmp_path / "x.log") == "late"
    assert last_error(tmp_path / "none.log") == ""
