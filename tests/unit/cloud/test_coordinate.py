"""The coordinator around Snakemake: what it writes and whom it tells, whatever happens to it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.cloud.aws import Account
from scripts.lib.contracts.outcome import Outcome, SceneOutcome
from scripts.lib.contracts.progress import Progress, SceneProgress, StageProgress
from scripts.lib.contracts.request import RequestedScene, RunRequest
from scripts.lib.contracts.stop import Stop
from scripts.tools import coordinate as program

RUN = "runs/c/abc"
ENVIRONMENT = {
    "SPLATMAKE_JOB": "c/abc",
    "SPLATMAKE_STACK": "splats",
    "SPLATMAKE_BUCKET": "bkt",
    "SPLATMAKE_TOPIC": "topic",
    "SPLATMAKE_SENDER": "us@example.org",
}


@pytest.fixture
def account(s3: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Account:
    """A bucket with a request in it, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    account = Account("splats", "bkt")
    scenes = tuple(
        RequestedScene(name, f"s3://bkt/uploads/c/0/{name}.zip") for name in ("yard", "hall")
    )
    account.write(RUN, RunRequest(scenes=scenes, email="ann@example.org", page="x7"))
    return account


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(to whom, text) of what was sent."""
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(
        Account, "announce", lambda _, to, subject, text: sent.append((to, subject + text))
    )
    monkeypatch.setattr(
        Account, "mail", lambda _, by, to, subject, text: sent.append((to, subject + text))
    )
    return sent


def outcome(account: Account) -> Outcome:
    found = account.read(Outcome, f"{RUN}/{Outcome.file}")
    assert found is not None
    return found


def fails(*_: object) -> Any:
    raise OSError(28, "No space left on device")


def test_a_failure_outside_snakemake_is_told(
    account: Account, mails: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "prepare", fails)
    assert program.coordinate(ENVIRONMENT, []) == 1
    ended = outcome(account)
    assert ended.state == "failed" and "No space left on device" in str(ended.cause)
    assert [to for to, _ in mails] == ["topic", "ann@example.org"]
    assert "No space left" in mails[0][1]


def test_a_coordinator_that_starts_again_after_the_end_does_nothing(
    account: Account, mails: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "prepare", fails)
    for state, code in (("done", 0), ("failed", 1)):
        account.write(RUN, Outcome(state=state))  # type: ignore[arg-type]
        assert program.coordinate(ENVIRONMENT, []) == code
    assert mails == []


def test_the_outcome_is_there_before_the_mails(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two it would send them again otherwise."""
    monkeypatch.setattr(program, "prepare", fails)
    seen: list[str] = []

    def announce(*_: object) -> None:
        seen.append(outcome(account).state)
        raise RuntimeError("SNS is away")

    monkeypatch.setattr(Account, "announce", announce)
    monkeypatch.setattr(Account, "mail", lambda *_: None)
    program.coordinate(ENVIRONMENT, [])
    assert seen == ["failed"]
    assert outcome(account).trouble == ("a mail could not be sent: SNS is away",)


def test_only_the_operator_gets_the_log(account: Account, mails: list[tuple[str, str]]) -> None:
    request = account.read(RunRequest, f"{RUN}/{RunRequest.file}")
    assert request is not None
    ended = Outcome(state="failed", cause="no photo", log=("Skipped grandma.jpg: too small",))
    program.tell(account, request, ended, ENVIRONMENT)
    said = dict(mails)
    assert "grandma.jpg" in said["topic"] and "grandma.jpg" not in said["ann@example.org"]
    assert "no photo" in said["ann@example.org"]


def test_the_page_is_not_named_after_the_run(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sees the page could guess half of the run's id otherwise."""
    request = account.read(RunRequest, f"{RUN}/{RunRequest.file}")
    assert request is not None
    program.prepare(request, ENVIRONMENT | {"SPLATMAKE_WEB": "https://pages.example.org"})
    rows = [line.split("\t") for line in program.SHEET.read_text().splitlines()]
    assert rows == [
        ["scene", "source", "publish_web.name"],
        ["yard", "s3://bkt/uploads/c/0/yard.zip", "yard-x7"],
        ["hall", "s3://bkt/uploads/c/0/hall.zip", "hall-x7"],
    ]
    assert '"https://pages.example.org"' in program.CONFIG.read_text()


def test_the_webhook_is_told_what_a_mail_tells(
    account: Account, mails: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = account.read(RunRequest, f"{RUN}/{RunRequest.file}")
    assert request is not None
    request = replace(request, webhook="https://example.org/x?token=1")
    told: list[tuple[str, Any]] = []
    monkeypatch.setattr(program, "post", lambda url, notice: told.append((url, notice)))
    scenes = {"yard": SceneOutcome(state="done", url="https://x/yard", usd=0.2)}
    ended = Outcome(state="failed", cause="dark", scenes=scenes, log=("Skipped grandma.jpg",))
    assert program.tell(account, request, ended, ENVIRONMENT) == []
    page = {"state": "done", "page": "https://x/yard"}
    notice = {"id": "abc", "state": "failed", "cause": "dark", "scenes": {"yard": page}, "usd": 0.2}
    assert told == [("https://example.org/x?token=1", notice)]
    # Whatever happens there, the mails are sent.
    monkeypatch.setattr(program, "post", fails)
    (sentence,) = program.tell(account, request, ended, ENVIRONMENT)
    assert sentence.startswith("the webhook was not told") and len(mails) == 4


def test_a_page_of_a_run_before_is_none_of_this_one(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that goes on with other options has the old pages until it has made the new ones."""
    for name in ("yard", "hall"):
        key = f"{RUN}/results/{name}/web/manifest.json"
        account.client("s3").put_object(Bucket="bkt", Key=key, Body=b"{}")
    stages = {
        "yard": (
            StageProgress("train_splat", "failed", 9.0),
            StageProgress("bundle_web", "waiting", None),
        ),
        "hall": (
            StageProgress("bundle_web", "done", 3.0),
            StageProgress("report_scene", "failed", 1.0),
        ),
    }
    account.write(
        RUN,
        Progress(
            state="failed",
            updated="",
            seconds=1.0,
            eta_seconds=None,
            percent=50.0,
            jobs={},
            scenes={name: SceneProgress(50.0, own) for name, own in stages.items()},
        ),
    )
    monkeypatch.setattr(program, "prepare", lambda *_: None)
    monkeypatch.setattr(program, "run_snakemake", lambda *_: (1, ["Cause: dark"]))
    monkeypatch.setattr(program, "tell", lambda *_: [])
    assert program.coordinate(ENVIRONMENT, []) == 1
    ended = outcome(account)
    assert ended.state == "failed"
    assert {name: scene.state for name, scene in ended.scenes.items()} == {
        "yard": "failed",
        "hall": "done",
    }


SLEEPER = "import time; time.sleep(60)"


@pytest.fixture
def sleeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of Snakemake a program that sleeps until it is interrupted."""
    popen = program.subprocess.Popen

    def start(_: list[str], **options: Any) -> Any:
        return popen([sys.executable, "-c", SLEEPER], **options)

    monkeypatch.setattr(program.subprocess, "Popen", start)


@pytest.mark.usefixtures("sleeper")
def test_a_stop_is_seen_while_the_run_goes_on(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DELETE that came before the job was known terminates nothing, and leaves this file."""
    monkeypatch.setattr(program, "STOP_SECONDS", 0.05)
    answers = iter([False, False])

    def stopped() -> bool:
        if next(answers, True):
            account.write(RUN, Stop(reason="x"))
            return True
        raise RuntimeError("S3 is away")  # which is no reason to stop looking

    code, _ = program.run_snakemake([], {}, stopped)
    assert code != 0  # interrupted, and not asleep to its end
    assert account.read(Stop, f"{RUN}/{Stop.file}") is not None
