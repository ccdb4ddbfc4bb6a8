"""The coordinator around Snakemake: what it writes and whom it tells, whatever happens to it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.cloud.aws import Account
from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.request import RunRequest
from scripts.lib.contracts.stop import Stop
from scripts.tools import coordinate as program

RUN = "runs/abc"
ENVIRONMENT = {
    "SPLATMAKE_JOB": "abc",
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
    source = "s3://bkt/uploads/c/0/yard.zip"
    account.write(
        RUN,
        RunRequest(source=source, scene="yard", email="ann@example.org", caller="c", page="x7"),
    )
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
    text = program.CONFIG.read_text()
    assert '"yard-x7"' in text and "abc" not in text


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
