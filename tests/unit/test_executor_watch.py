"""The executor over several looks at its jobs: refusals, waits without end, and a stop at any moment."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake_executor_plugin_splatmake_batch import TIMES_REFUSED, Executor
from snakemake_executor_plugin_splatmake_batch.account import Account
from snakemake_executor_plugin_splatmake_batch.definition import (
    job_name,
    parse_tags,
    tag_value,
)
from snakemake_executor_plugin_splatmake_batch.outcome import (
    STUCK,
    Move,
    furthest_step,
    next_move,
    waiting_cause,
)
from snakemake_executor_plugin_splatmake_batch.watch import Submitted, Waiting, server_ahead
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from tests.unit.test_executor import REQUEST, failed


class Batch:
    """An AWS Batch that refuses what it is told to, and remembers what was asked."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.refusals = 0
        self.terminated: list[tuple[str, str]] = []
        self.running = 0

    def submit_job(self, jobName: str, jobQueue: str, **_: Any) -> dict[str, str]:
        if self.refusals:
            self.refusals -= 1
            raise ClientError({"Error": {"Code": "TooManyRequestsException"}}, "SubmitJob")
        number = f"j{len(self.jobs)}"
        self.jobs[number] = {"jobId": number, "status": "RUNNABLE", "jobName": jobName}
        self.jobs[number]["jobQueue"] = jobQueue
        return {"jobId": number}

    def register_job_definition(self, **_: Any) -> dict[str, str]:
        return {"jobDefinitionArn": "arn"}

    def deregister_job_definition(self, **_: Any) -> None:
        pass

    def describe_jobs(self, jobs: list[str]) -> dict[str, Any]:
        return {"jobs": [self.jobs[number] for number in jobs]}

    def list_jobs(self, **_: Any) -> dict[str, Any]:
        return {"jobSummaryList": [{}] * self.running}

    def terminate_job(self, jobId: str, reason: str) -> None:
        self.terminated.append((jobId, reason))
        self.jobs[jobId] |= {"status": "FAILED", "statusReason": reason}


class Single(int):
    """A job that is none of several rules, by its number."""

    def is_group(self) -> bool:
        return False


class Watched(Executor):
    """The executor without Snakemake around it."""

    def __init__(self, jobs: int = 1) -> None:  # not the base's: it starts a thread
        self.batch_client = Batch()
        self._aws = object.__new__(Account)
        self._aws.batch = self.batch_client
        self._aws.ecs = None
        self.logger = logging.getLogger("test executor")
        self.settings = SimpleNamespace(
            job_queue="cpu-spot",
            on_demand_queue="cpu-on-demand",
            gpu_queue="gpu-spot",
            gpu_on_demand_queue="gpu-on-demand",
            waiting_seconds=100,
            log_group="g",
        )
        self.status_rate_limiter = asyncio.Lock()
        self._unanswered, self._live, self._ended = 0, {}, False
        self._settling = threading.Lock()
        self.workflow = SimpleNamespace(
            storage_settings=SimpleNamespace(default_storage_prefix="s3://b/run")
        )
        self.done: list[str] = []
        self.failed: list[str] = []
        self.infos = [self._new(number) for number in range(jobs)]

    def _new(self, number: int) -> SubmittedJobInfo:
        submitted = Submitted(REQUEST, begun=True)
        info = SubmittedJobInfo(job=Single(number), external_jobid="", aux={"submitted": submitted})
        self._live[id(info)] = info
        assert self._again(info)
        return info

    def _bill(self, info: SubmittedJobInfo, job: dict[str, Any]) -> None:
        pass

    def report_job_success(self, job_info: SubmittedJobInfo) -> None:
        self.done.append(job_info.job)

    def report_job_error(self, job_info: SubmittedJobInfo, msg: str = "", **_: Any) -> None:
        self.failed.append(msg)

    def look(self) -> None:
        """One look of the watcher at all jobs."""

        async def once() -> list[SubmittedJobInfo]:
            return [info async for info in self.check_active_jobs(self.infos)]

        # In a thread of its own: where a browser was driven before, this one has a loop that runs.
        with ThreadPoolExecutor(1) as pool:
            self.infos = pool.submit(asyncio.run, once()).result()

    def job(self, number: int = 0) -> dict[str, Any]:
        return self.batch_client.jobs[self.infos[number].external_jobid]


def test_one_refused_resubmission_is_asked_again_and_harms_no_other_job() -> None:
    executor = Watched(3)
    reclaimed = {"status": "FAILED", "statusReason": "Host EC2 (instance i-0) terminated."}
    executor.job(1).update(reclaimed)
    executor.batch_client.refusals = 3
    for _ in range(3):
        executor.look()
        assert len(executor.infos) == 3 and not executor.failed
    executor.look()
    assert executor.job(1)["jobQueue"] == "gpu-on-demand"
    executor.job(0)["status"] = executor.job(1)["status"] = executor.job(2)["status"] = "SUCCEEDED"
    executor.look()
    assert executor.done == [0, 1, 2] and not executor.infos


def test_a_job_that_batch_never_takes_again_fails_alone() -> None:
    executor = Watched(2)
    executor.job(0).update(status="FAILED", statusReason="Host EC2 (instance i-0) terminated.")
    executor.batch_client.refusals = TIMES_REFUSED
    for _ in range(TIMES_REFUSED):
        executor.look()
    assert len(executor.failed) == 1 and "did not take the job" in executor.failed[0]
    assert [info.job for info in executor.infos] == [1]


def test_a_stop_in_the_middle_of_a_look_ends_all_jobs() -> None:
    """The base class has no active jobs at that moment, and hands over an empty list."""
    executor = Watched(3)
    executor.job(2)["status"] = "SUCCEEDED"
    executor.look()
    executor.cancel_jobs([])
    assert [number for number, _ in executor.batch_client.terminated] == ["j0", "j1"]
    # The look that was going on starts nothing more.
    executor.job(0).update(status="FAILED", statusReason="Host EC2 (instance i-0) terminated.")
    executor.look()
    assert len(executor.batch_client.jobs) == 3


def test_what_a_job_waits_for_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    executor = Watched()
    why = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfill the capacity"
    executor.job()["statusReason"] = why
    for _ in range(3):
        executor.look()
    executor.job()["status"] = "STARTING"
    executor.look()
    told = [record.waits for record in caplog.records if hasattr(record, "waits")]
    assert told == [{"job": REQUEST.name, "reason": why}, {"job": REQUEST.name, "reason": ""}]


@pytest.mark.parametrize("moves", [False, True])
def test_a_wait_that_leads_to_nothing_ends_on_demand(
    moves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("snakemake_executor_plugin_splatmake_batch.time.monotonic", lambda: now[0])
    executor = Watched()
    executor.batch_client.running = int(moves)  # in a queue that moves its turn comes
    executor.look()
    now[0] = 101.0
    executor.look()
    executor.look()
    assert executor.job()["jobQueue"] == ("gpu-spot" if moves else "gpu-on-demand")
    if not moves:  # there its time begins anew, and then it is over
        executor.look()
        assert len(executor.batch_client.terminated) == 1
        now[0] = 210.0
        executor.look()
        executor.look()
        assert "Cause: the job waited in a queue where nothing runs" in executor.failed[0]


def test_a_training_whose_time_ran_out_goes_on_while_it_gets_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As often as it takes; but not by so little that there would be no end to it."""
    executor = Watched()
    executor.infos[0].aux["submitted"].resumes = True
    steps = iter([*range(1500, 15_000, 1500), 14_000])
    monkeypatch.setattr(
        Account, "last_lines", lambda *_: [f"train_splat: {next(steps)}/30000 (4 %), 3 h left"]
    )
    for _ in range(9):
        executor.job().update(status="FAILED", statusReason="Job attempt duration exceeded timeout")
        executor.look()
        assert executor.job()["status"] == "RUNNABLE" and not executor.failed
    executor.job().update(status="FAILED", statusReason="Job attempt duration exceeded timeout")
    executor.look()
    assert "exceeded timeout" in executor.failed[0] and len(executor.batch_client.jobs) == 10


def test_a_machine_that_ecs_has_forgotten_is_still_billed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was taken away has left ECS by the time that its job is booked."""
    monkeypatch.chdir(tmp_path)
    known = ["g6.xlarge"]
    monkeypatch.setattr(
        "snakemake_executor_plugin_splatmake_batch.instance_type", lambda *_: "".join(known)
    )
    executor = Watched()
    executor.job()["status"] = "RUNNING"
    executor.look()
    known.clear()
    single = SimpleNamespace(
        rule=SimpleNamespace(name="train_splat"), wildcards=SimpleNamespace(scene="yard")
    )
    single.is_group = lambda: False
    executor.infos[0].job = single
    Executor._bill(executor, executor.infos[0], executor.job())
    (entry,) = tmp_path.glob(".snakemake/ledger/*.json")
    booked = json.loads(entry.read_text())
    assert (booked["instance_type"], booked["rule"]) == ("g6.xlarge", "train_splat")


def test_a_job_that_keeps_no_checkpoints_has_its_time_once(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = Watched()
    monkeypatch.setattr(Account, "last_lines", lambda *_: ["extract_features: 5/9 (55 %)"])
    executor.job().update(status="FAILED", statusReason="Job attempt duration exceeded timeout")
    executor.look()
    assert len(executor.failed) == 1 and not executor.infos


def test_how_far_a_log_is_said() -> None:
    import io

    from scripts.lib.core.console import Progress

    stream = io.StringIO()
    Progress("train_splat", 30_000, every=0.0, stream=stream).update(1234, "24.1 dB")
    assert furthest_step([*stream.getvalue().splitlines(), "saved 99/100"]) == (1234, 30_000)
    assert furthest_step([]) == (0, 1)


GIVEN_UP = (
    "Canceled by JobStateTimeLimit action due to reason: "  # AWS Batch, "Jobs stuck in RUNNABLE"
)


@pytest.mark.parametrize(
    ("reason", "move", "cause"),
    [
        ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", Move.ON_DEMAND, "no free machine"),
        ("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE", Move.ON_DEMAND, "MaxGpuSpotVcpus"),
        ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", Move.FAIL, "as large as the job asks"),
    ],
)
def test_what_batch_gave_up_goes_on_demand_or_says_why(reason: str, move: Move, cause: str) -> None:
    job = failed(GIVEN_UP + reason)
    given_flags = {"may_grow": True, "adopted": False}
    assert next_move(job, on_spot=True, **given_flags) is move
    assert next_move(job, on_spot=False, **given_flags) is Move.FAIL
    assert cause in waiting_cause(GIVEN_UP + reason)
    assert waiting_cause(f"{STUCK}: 9 s in q").startswith("the job waited")
    assert waiting_cause("Essential container in task exited") == ""


def test_waiting_is_counted_from_when_it_was_first_seen() -> None:
    waiting = Waiting().seen({"status": "RUNNABLE", "statusReason": "x"}, 5.0)
    waiting = waiting.seen({"status": "RUNNABLE"}, 7.0)
    assert waiting.seconds(9.0) == 4.0 and waiting.reason == ""
    assert waiting.seen({"status": "RUNNING"}, 9.0).seconds(99.0) == 0.0


def test_a_wrong_clock_here_takes_over_no_job_that_ended_before_the_run() -> None:
    date = {"ResponseMetadata": {"HTTPHeaders": {"date": "Thu, 01 Jan 1970 00:20:00 GMT"}}}
    assert server_ahead(date, 600.0) == 600.0  # this machine is ten minutes behind
    assert server_ahead({}, 600.0) == 0.0

    class Pages:
        def get_paginator(self, _: str) -> Any:
            job = {"jobId": "old", "status": "SUCCEEDED", "stoppedAt": 900_000, "createdAt": 1}
            page = {"jobSummaryList": [job], **date}
            return SimpleNamespace(paginate=lambda **_: [page])

    account = object.__new__(Account)
    account.batch = Pages()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", lambda: 600.0)
        assert account.jobs_named("n", ["q"], began=600.0) == []


# -- strings ------------------------------------------------------------------------------------------------

UNTIMED = settings(deadline=None)
WORDS = st.lists(st.text(max_size=80), min_size=1, max_size=12)


@UNTIMED
@given(WORDS)
def test_any_words_make_a_tag_that_aws_takes(words: list[str]) -> None:
    """Amazon ECS, "Tag restrictions": `^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$`, at most 256."""
    import unicodedata

    value = tag_value(words)
    assert len(value) <= 256
    assert all(s in "_.:/=+-@" or unicodedata.category(s)[0] in "LZN" for s in value)


def test_a_group_of_rules_is_one_tag() -> None:
    assert tag_value(["first", "last", "middle"]) == "first+last+middle"


@UNTIMED
@given(WORDS, st.text(max_size=99))
def test_any_words_make_a_job_name_that_batch_takes(rules: list[str], scene: str) -> None:
    """AWS Batch, SubmitJob jobName: begins with a letter or digit; letters, digits, - and _; at most 128."""
    name = job_name(rules, scene, "s3://b/run", [scene])
    assert 1 <= len(name) <= 128 and name[0].isalnum()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@UNTIMED
@given(st.text(max_size=300))
def test_tags_are_taken_or_refused_in_one_sentence(text: str) -> None:
    try:
        tags = parse_tags(text)
    except ValueError as error:
        assert "\n" not in str(error)
        return
    assert len(tags) <= 48
    for key, value in tags.items():
        assert tag_value([key]) == key and tag_value([value]) == value
        assert 1 <= len(key) <= 128 and not key.lower().startswith("aws:")


@pytest.mark.parametrize("text", ["team=a|b", "aws:x=1", "k" * 129 + "=1", "k=" + "v" * 257])
def test_tags_that_aws_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="none that AWS takes"):
        parse_tags(text)
    assert Counter(parse_tags("a=1,b=2")) == Counter({"a": "1", "b": "2"})
