"""`python -m scripts.jobs` against the API and moto: from uploads, interrupted and resumed, to results."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import jobs
from scripts.lib.cloud.caller import caller_of
from scripts.lib.cloud.client import api, commands, transfer
from scripts.lib.contracts.outcome import SceneOutcome
from scripts.lib.core.console import UserError
from tests.aws import coordinator
from tests.aws.cloud import BUCKET, Cloud
from tests.aws.gateway import caller, serving

MB = float(os.environ.get("SPLATMAKE_UPLOAD_MB", "20"))  # of the file; parts have 8 MiB
MARK = caller_of({"requestContext": caller("Bearer ann")}).mark
Run = Callable[..., list[str]]


@pytest.fixture
def run(
    call: Any,
    started: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[Run]:
    """`run("list")`: the lines that a command prints; nobody waits for anything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setenv("SPLATMAKE_TOKEN", "ann")

    def command(*words: object) -> list[str]:
        capsys.readouterr()
        jobs.main([str(word) for word in words])
        return capsys.readouterr().out.splitlines()

    with serving() as address:
        monkeypatch.setenv("SPLATMAKE_API", address)
        yield command


@pytest.fixture
def yard(tmp_path: Path) -> Path:
    """An archive that nobody opens."""
    path = tmp_path / "the yard.zip"
    with path.open("wb") as file:
        for number in range(int(MB)):
            file.write(number.to_bytes(4, "big") * 250_000)
    return path


def job_of(lines: list[str]) -> str:
    (job,) = [found[1] for line in lines if (found := re.search(r"Run (\w{16}) was started", line))]
    return job


def finish(started: dict[str, Any], cloud: Cloud, state: Any = "done", **more: Any) -> str:
    """End the one run that goes on, as its coordinator would; its id."""
    results = {"the_yard/report.html": b"<p>", "logs/the_yard/map_scene.log": b"x"}
    return coordinator.finish(cloud, started, MARK, results, state, **more)


def test_from_a_file_to_results(
    run: Run,
    yard: Path,
    cloud: Cloud,
    started: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    send, sent = transfer.send, []
    total = -(-yard.stat().st_size // (8 * 2**20))

    def breaks(url: str, data: bytes, headers: dict[str, str]) -> None:
        if len(sent) >= total // 2:
            raise api.UnreachableError("the upload stopped (x); run the same command again")
        sent.append(url)
        send(url, data, headers)

    monkeypatch.setattr(transfer, "AT_ONCE", 1)
    with monkeypatch.context() as patch:
        patch.setattr(transfer, "send", breaks)
        with pytest.raises(UserError, match="run the same command again"):
            run("submit", yard)
    assert len(sent) == total // 2 and not started
    monkeypatch.setattr(transfer, "send", lambda *all: sent.append(all[0]) or send(*all))
    pauses = iter(
        [
            lambda: coordinator.goes_on(MARK, next(iter(started)).rpartition("-")[2]),
            lambda: finish(
                started,
                cloud,
                scenes={"the_yard": SceneOutcome(state="done", url="https://x/yard", usd=0.5)},
            ),
        ]
    )
    monkeypatch.setattr(commands, "pause", lambda _: next(pauses)())
    options = '{"preset": "draft"}'
    lines = run("submit", yard, "--options", options, "--wait")
    job = job_of(lines)
    assert len(sent) == total  # nothing twice
    assert f"Run {job}: running, 40 %, the_yard: train_splat, 1 min 30 s left" in lines
    assert lines[-3:] == [f"Run {job}: done", "  the_yard: https://x/yard", "  It cost $0.50"]
    (key,) = (k for k in cloud.keys(f"uploads/{MARK}") if k.endswith("/the_yard.zip"))
    body = cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"]
    with yard.open("rb") as file:
        while block := file.read(2**20):
            assert body.read(len(block)) == block
    assert body.read() == b""

    assert run("download", job) == [str(Path("results") / "the_yard" / "report.html")]
    assert run("download", job, "--all") == [
        "results/logs/the_yard/map_scene.log",
        "results/the_yard/report.html is there",
    ]
    assert (tmp_path / "results" / "the_yard" / "report.html").read_bytes() == b"<p>"
    # What was uploaded is not sent again, and another run may take it.
    again = job_of(run("submit", yard))
    assert len(sent) == total and again != job
    assert [line.split()[0] for line in run("list")] == sorted([again, job])
    assert run("list", "--state", "failed") == []
    assert run("delete", f"s3://{BUCKET}/{key}")[0].endswith("is deleted")
    assert not cloud.keys(f"uploads/{MARK}")


def test_a_failed_run_is_told_and_goes_on(
    run: Run,
    yard: Path,
    cloud: Cloud,
    started: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    yard.write_bytes(b"PK")
    monkeypatch.setattr(
        commands, "pause", lambda _: finish(started, cloud, "failed", cause="too dark")
    )
    with pytest.raises(UserError, match=r"run \w+ is failed; .* retry \w+` lets it go on"):
        run("submit", yard, "--scene", "hall", "--wait")
    job = next(iter(started)).rpartition("-")[2]
    assert run("status", job) == [f"Run {job}: failed", "  Cause: too dark"]
    assert run("retry", job, "--options", '{"preset": "high"}') == [f"Run {job} goes on"]
    with pytest.raises(UserError, match="has not ended"):
        run("retry", job)
    monkeypatch.setattr(commands, "pause", lambda _: None)
    assert run("delete", job, "--data") == [f"Run {job}: stopping", f"Run {job}: deleted"]
    for words in (("status", job), ("download", job), ("delete", job)):
        with pytest.raises(UserError, match=f"there is no job '{job}'"):
            run(*words)


def test_what_the_api_refuses_is_one_sentence(run: Run, yard: Path, tmp_path: Path) -> None:
    yard.write_bytes(b"PK")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty.zip").touch()
    for words, sentence in (
        (("submit", tmp_path), "is a folder; put its photos into a .zip"),
        (("submit", "nothing.zip"), "does not exist"),
        (("submit", "notes.txt"), "neither a .zip of photos nor a video"),
        (("submit", "empty.zip"), "is empty"),
        (("submit", yard, yard), "two scenes would have the same name"),
        (("submit", yard, "--scene", "a", "--scene", "b"), "1 files and 2 names"),
        (("submit", yard, "--options", "{"), "--options is not JSON"),
        (("submit", yard, "--options", '{"presett": 1}'), "did you mean 'preset'?"),
        (("submit", yard, "--email", "you@example.org"), "must be the address in your token"),
        (("status", "x"), "there is no job or upload 'x'"),
        (("list", "--state", "x"), "'state' is 'x'; allowed: queued"),
    ):
        with pytest.raises(UserError) as told:
            run(*words)
        assert sentence in str(told.value) and "\n" not in str(told.value)


def test_a_file_that_changes_meanwhile_is_not_taken(
    run: Run, yard: Path, started: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.write_bytes(b"PK")
    send = transfer.send

    def changing(url: str, data: bytes, headers: dict[str, str]) -> None:
        send(url, data, headers)
        yard.write_bytes(b"KP")
        os.utime(yard, ns=(1, 1))

    monkeypatch.setattr(transfer, "send", changing)
    with pytest.raises(UserError, match="was changed while it was uploaded"):
        run("submit", yard)
    assert not started


def test_links_that_expired_are_asked_for_again(
    run: Run, yard: Path, started: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow line needs more than an hour for a hundred parts."""
    send, calls = transfer.send, []

    def expiring(url: str, data: bytes, headers: dict[str, str]) -> None:
        calls.append(url)
        if len(calls) == 2:
            raise api.ExpiredError("403")
        send(url, data, headers)

    monkeypatch.setattr(transfer, "AT_ONCE", 1)
    monkeypatch.setattr(transfer, "send", expiring)
    job_of(run("submit", yard))
    # Refused for ever, it ends.
    monkeypatch.setattr(transfer, "send", lambda *_: (_ for _ in ()).throw(api.ExpiredError("403")))
    os.utime(yard, ns=(5, 5))
    with pytest.raises(UserError, match="was not taken"):
        run("submit", yard)
