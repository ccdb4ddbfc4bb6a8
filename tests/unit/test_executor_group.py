"""Several rules as one job of AWS Batch: what it is called and asked for, and what is told of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_executor_plugin_splatmake_batch.account import Account
from snakemake_executor_plugin_splatmake_batch.members import (
    ended,
    identity,
    label,
    members,
    one_image,
    results,
    seconds_allowed,
    sharing,
)
from snakemake_interface_common.exceptions import WorkflowError

from scripts.lib.workflow.progress import RunProgress
from tests.unit.test_executor import REQUEST
from tests.unit.test_executor_watch import Watched

LOG = """\
localrule evaluate_splat:
[Fri Nov 27 11:18:31 2026]
Finished jobid: 3 (Rule: evaluate_splat)
Error in rule clean_splat, jobid: 1
Error in rule clean_splat:
""".splitlines()


def single(rule: str, scene: str = "yard", image: str = "docker://r/train", **given: Any) -> Any:
    """A job of a rule, as Snakemake has it."""
    storage = SimpleNamespace(query=f"s3://b/run/results/{scene}/{rule}.json")
    place = SimpleNamespace(storage_object=storage)
    values = {"rule": SimpleNamespace(name=rule), "wildcards_dict": {"scene": scene}}
    values |= {"params": "p", "output": [f"results/{scene}/{rule}.json"], "storage_output": [place]}
    values |= {"container_img_url": image, "group": f"finish_{scene}", "resources": {}} | given
    return SimpleNamespace(**values, is_group=lambda: False)


def group(*jobs: Any) -> Any:
    """A group of them, to be run in this order."""
    return SimpleNamespace(
        jobs=jobs,
        toposorted=[[job] for job in jobs],
        groupid="finish_yard",
        resources={},
        is_group=lambda: True,
    )


def test_a_group_is_the_same_however_much_of_it_is_done() -> None:
    """Its job goes on when its submitter dies, and the next submitter must find it."""
    rules = [single(rule) for rule in ("evaluate_splat", "clean_splat", "compress_splat")]
    known = [*rules, single("train_splat", group=None), single("clean_splat", "mill")]
    whole = identity(group(*rules), known)
    assert identity(group(rules[2]), known) == whole
    assert label(group(rules[2]), "yard") == ["finish"]
    assert label(rules[2], "yard") == ["compress_splat"]
    rules[0].params = "another option"
    assert identity(group(rules[2]), known) != whole
    assert identity(known[3], known) != identity(known[4], known)


def test_a_group_runs_in_the_one_image_of_its_rules() -> None:
    both = [single("evaluate_splat"), single("clean_splat")]
    assert members(group(*both)) == both and members(both[0]) == [both[0]]
    assert one_image(both) == "docker://r/train" and one_image([single("a", image="")]) is None
    with pytest.raises(ValueError, match="bundle_web, clean_splat are one group.* name 2 images"):
        one_image([both[1], single("bundle_web", image="docker://r/web")])


def test_a_group_has_the_time_of_its_rules_and_shares_its_cores() -> None:
    timed = single("a", resources={"aws_batch_task_timeout": 100})
    assert seconds_allowed([timed, timed, single("b")], otherwise=3600) == 3800
    command = "python -m snakemake --target-jobs a b --cores 'all' --attempt 1"
    assert sharing(command, 4) == "python -m snakemake --target-jobs a b --cores 4 --attempt 1"
    with pytest.raises(ValueError, match="in another way"):
        sharing("python -m snakemake --cores 3", 4)


def test_parts_of_a_group_that_would_be_one_job_are_refused() -> None:
    """Snakemake submits them one by one, and the second would be taken for the first."""
    executor = Watched()
    executor._request = lambda _: REQUEST
    with pytest.raises(WorkflowError, match="finish_yard falls into parts"):
        executor.run_job(group(single("evaluate_splat")))


class S3:
    """A bucket with three objects, and what was deleted of it."""

    keys = ("run/results/yard/a.json", "run/results/yard/ab.json", "run/results/yard/b.json")

    def __init__(self) -> None:
        self.deleted: list[str] = []

    def get_paginator(self, _: str) -> S3:
        return self

    def paginate(self, Bucket: str, Prefix: str) -> Iterable[dict[str, Any]]:
        return [{"Contents": [{"Key": key} for key in self.keys if key.startswith(Prefix)]}, {}]

    def delete_object(self, Bucket: str, Key: str) -> None:
        self.deleted.append(Key)


def test_what_an_earlier_run_left_goes_before_a_job_is_submitted() -> None:
    """A group goes on from what is there, so it must be its own; and nothing else may go."""
    account = object.__new__(Account)
    account.s3 = S3()
    places = results([single("a"), single("b"), single("c")])
    assert places[0] == "s3://b/run/results/yard/a.json"
    account.remove(places)
    assert sorted(account.s3.deleted) == ["run/results/yard/a.json", "run/results/yard/b.json"]


def test_a_job_is_not_submitted_as_long_as_old_results_stay() -> None:
    executor = Watched()
    submitted = executor.infos[0].aux["submitted"]
    submitted.begun, submitted.due, submitted.results = False, True, ["s3://b/k"]
    executor._running_jobs = lambda _: []
    executor._aws.remove = lambda _: (_ for _ in ()).throw(WorkflowError("S3 refuses"))
    executor.look()
    assert submitted.refused == 1 and len(executor.batch_client.jobs) == 1
    removed: list[Any] = []
    executor._aws.remove = removed.append
    executor.look()
    assert removed == [["s3://b/k"]] and len(executor.batch_client.jobs) == 2
    # Tried again it keeps what it has.
    executor.job().update(status="FAILED", statusReason="Host EC2 (instance i-0) terminated.")
    executor.look()
    assert len(executor.batch_client.jobs) == 3 and len(removed) == 1


def test_rules_of_a_group_are_told_of_as_they_end(caplog: pytest.LogCaptureFixture) -> None:
    assert ended(LOG) == [("evaluate_splat", "member_finished"), ("clean_splat", "member_error")]
    executor = Watched()
    executor.infos[0].job = group(single("evaluate_splat"), single("clean_splat"))
    asked: list[str | None] = []

    def get_log_events(nextToken: str | None = None, **_: Any) -> dict[str, Any]:
        asked.append(nextToken)
        lines = LOG[:3] if nextToken is None else LOG[3:]
        return {"events": [{"message": line} for line in lines], "nextForwardToken": "t"}

    async def finished(job: Any) -> None:
        recorded.append(job.rule.name)
        raise WorkflowError("S3 does not answer now")  # which ends nothing

    recorded: list[str] = []
    executor.workflow.persistence = SimpleNamespace(finished=finished)
    executor._aws.logs = SimpleNamespace(get_log_events=get_log_events)
    executor.job().update(status="RUNNING", container={"logStreamName": "s"})
    with caplog.at_level(logging.INFO):
        executor.look()
        executor.look()
    told = [record.member for record in caplog.records if hasattr(record, "member")]
    assert [(t["rule"], t["scene"], t["event"]) for t in told] == [
        ("evaluate_splat", "yard", "member_finished"),
        ("clean_splat", "yard", "member_error"),
    ]
    assert asked == [None, "t"] and recorded == ["evaluate_splat"]


def test_progress_takes_them_in(tmp_path: Any) -> None:
    """What the executor says is what progress.json listens for."""
    progress = RunProgress(tmp_path / "p.json", tmp_path)
    progress.begin([(1, "evaluate_splat", "yard"), (2, "clean_splat", "yard")])
    numbered = [SimpleNamespace(jobid=2), SimpleNamespace(jobid=1)]
    progress.emit(logging.makeLogRecord({"event": "group_info", "jobs": numbered}))
    for rule, event in ended(LOG):
        member = {"rule": rule, "scene": "yard", "event": event}
        progress.emit(logging.makeLogRecord({"member": member}))
    for number in (1, 2):
        progress.emit(logging.makeLogRecord({"event": "job_error", "jobid": number}))
    assert [job.state for job in progress.jobs.values()] == ["done", "failed"]
