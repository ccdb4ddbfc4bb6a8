"""The executor plugin's decisions, and a watch over the released one that it stands in for."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
import snakemake_executor_plugin_aws_batch as released
from botocore.exceptions import EndpointConnectionError
from snakemake_executor_plugin_splatmake_batch import POLLS_WITHOUT_ANSWER, Executor
from snakemake_executor_plugin_splatmake_batch.definition import (
    Request,
    check_size,
    image_name,
    job_definition,
    job_name,
    parse_tags,
    requirements,
)
from snakemake_executor_plugin_splatmake_batch.ledger import ledger_entry
from snakemake_executor_plugin_splatmake_batch.outcome import (
    Move,
    failure_message,
    next_move,
    ran_out_of_memory,
)
from snakemake_interface_common.exceptions import WorkflowError

from scripts.lib.cloud.aws import run_mark
from tests.conftest import ROOT

RECLAIM = "Host EC2 (instance i-0abc) terminated."
REQUEST = Request(
    name="train_splat-yard-0123",
    image="registry/train@sha256:00",
    command=("/bin/bash", "-c", "true"),
    environment={"B": "2", "A": "1"},
    role="arn:aws:iam::1:role/job",
    vcpus=4,
    memory=60000,
    gpus=1,
    shared_memory=2048,
    timeout=7200,
    queue="gpu-spot",
    log_group="/splatmake/jobs",
    tags={"rule": "train_splat"},
)


def test_upstream_still_lacks_what_this_plugin_brings() -> None:
    """When this fails, the fixes are released: try `executor: aws-batch` and delete envs/executor."""
    assert version("snakemake-executor-plugin-aws-batch") == "0.2.1"
    text = "".join(
        inspect.getsource(module)
        for module in (
            released,
            __import__(f"{released.__name__}.batch_job_builder", fromlist=["x"]),
        )
    )
    for name in (
        "aws_batch_container_image",
        "batch_queue",
        "shared_memory_size_mb",
        "retryStrategy",
    ):
        assert name not in text, f"the released executor knows {name} now"


def test_definition_asks_for_just_what_was_wanted() -> None:
    definition = job_definition(REQUEST)
    container = definition["containerProperties"]
    needs = {need["type"]: need["value"] for need in container["resourceRequirements"]}
    assert needs == {"VCPU": "4", "MEMORY": "60000", "GPU": "1"}
    assert container["privileged"] is False
    assert container["linuxParameters"] == {"sharedMemorySize": 2048}
    assert container["logConfiguration"]["options"]["awslogs-group"] == "/splatmake/jobs"
    assert definition["timeout"] == {"attemptDurationSeconds": 7200}
    assert definition["propagateTags"] and definition["tags"] == {"rule": "train_splat"}
    strategy = definition["retryStrategy"]
    # Batch takes at most five conditions, and the first that fits decides.
    assert strategy["attempts"] == 2 and len(strategy["evaluateOnExit"]) <= 5
    assert strategy["evaluateOnExit"][0] == {"onStatusReason": "Host EC2*", "action": "RETRY"}
    assert strategy["evaluateOnExit"][-1]["action"] == "EXIT"


def test_a_definition_that_batch_would_not_take_is_one_sentence() -> None:
    check_size(REQUEST)
    with pytest.raises(
        ValueError, match=r"takes 3\d{4} bytes to describe, and AWS Batch takes 24576"
    ):
        check_size(replace(REQUEST, command=("/bin/bash", "-c", "x" * 30_000)))


def test_a_cpu_job_has_no_gpu_and_no_shared_memory_of_its_own() -> None:
    changed = Request(**{**REQUEST.__dict__, "gpus": 0, "shared_memory": 0, "timeout": 5})
    container = job_definition(changed)["containerProperties"]
    assert "linuxParameters" not in container
    assert {need["type"] for need in container["resourceRequirements"]} == {"VCPU", "MEMORY"}
    assert job_definition(changed)["timeout"]["attemptDurationSeconds"] == 60  # Batch's least


@pytest.mark.parametrize(
    ("resources", "needs"),
    [
        ({"_cores": 4, "mem_mib": 57221, "mem_mb": 60000, "gpu": 1}, (4, 57221, 1)),
        ({"_cores": 2, "mem_mb": 3000, "_gpus": 2}, (2, 3000, 2)),
        ({}, (1, 2048, 0)),
    ],
)
def test_requirements(resources: dict[str, int], needs: tuple[int, int, int]) -> None:
    assert requirements(resources) == needs


def test_names_tell_jobs_apart_and_are_the_same_from_any_machine() -> None:
    run = "s3://b/run"
    name = job_name(["train_splat"], "yard", run, [run, ["a"]])
    assert name == job_name(["train_splat"], "yard", run, [run, ["a"]])
    assert name != job_name(["train_splat"], "yard", run, [run, ["b"]])
    # By this the API finds all jobs of a run.
    assert name.startswith(f"train_splat-yard-{run_mark(run)}-")
    assert len(job_name(["x" * 200], "ü y", run, [])) <= 128
    assert job_name(["a"], "ü y", run, []).isascii()


def test_images_are_dockers() -> None:
    assert image_name("docker://ghcr.io/a/b@sha256:1") == "ghcr.io/a/b@sha256:1"
    with pytest.raises(ValueError, match="not an image that AWS Batch can pull"):
        image_name("shub://a/b")


def test_tags() -> None:
    assert parse_tags("a=1, b=x=y") == {"a": "1", "b": "x=y"}
    assert parse_tags(None) == {}
    with pytest.raises(ValueError, match="'b' is not of the form KEY=VALUE"):
        parse_tags("a=1,b")


def failed(why: str = "", reason: str = "") -> dict[str, Any]:
    return {
        "status": "FAILED",
        "statusReason": why,
        "jobId": "17",
        "jobName": "train_splat-yard-0123",
        "container": {"reason": reason, "exitCode": 1, "logStreamName": "s/1"},
    }


@pytest.mark.parametrize(
    ("job", "options", "move"),
    [
        ({"status": "SUCCEEDED"}, {}, Move.DONE),
        ({"status": "RUNNABLE"}, {}, Move.WAIT),
        (failed(RECLAIM), {}, Move.ON_DEMAND),
        (failed(RECLAIM), {"on_spot": False}, Move.FAIL),
        (
            failed("", "OutOfMemoryError: Container killed due to memory usage"),
            {},
            Move.MORE_MEMORY,
        ),
        (failed("", "OutOfMemoryError: ..."), {"may_grow": False}, Move.FAIL),
        (failed("terminated by snakemake"), {"adopted": True}, Move.AGAIN),
        (failed("terminated by snakemake"), {}, Move.FAIL),
        (failed("Essential container in task exited"), {}, Move.FAIL),
        (failed("Job attempt duration exceeded timeout"), {}, Move.FAIL),
    ],
)
def test_next_move(job: dict[str, Any], options: dict[str, bool], move: Move) -> None:
    given = {"on_spot": True, "may_grow": True, "adopted": False} | options
    assert next_move(job, **given) is move


def test_a_failure_names_its_cause_first() -> None:
    log = ["Reading photos", "Error: a.jpg is no photo; take it out", "exit"]
    text = failure_message(failed("Essential container in task exited"), log)
    assert text.splitlines()[0] == "Cause: a.jpg is no photo; take it out"
    assert "train_splat-yard-0123 (17) failed with exit code 1" in text
    assert text.endswith("    exit")
    assert "Batch gives no reason" in failure_message(failed(), [])


def test_a_killed_program_is_told_from_a_failed_one() -> None:
    killed = (
        "/bin/bash: line 1:  4242 Killed                  python -m scripts.train_splat | tee x"
    )
    assert ran_out_of_memory(["steps", killed])
    assert ran_out_of_memory(
        ["steps", "Error: out of memory (Unable to allocate 9 GiB); give the job"]
    )
    assert not ran_out_of_memory(["Error: out of GPU memory; close what else uses the GPU"])
    assert not ran_out_of_memory(["Error: Killed Bill.jpg is no photo", "exit 1"])


def test_more_memory_is_half_as_much_again() -> None:
    assert REQUEST.with_more_memory().memory == 90000


def test_the_ledger_counts_attempts_that_were_lost() -> None:
    job = failed() | {
        "jobQueue": "arn:aws:batch:eu-west-1:1:job-queue/splats-gpu-spot",
        "attempts": [
            {"startedAt": 1000, "stoppedAt": 61_000},
            {"startedAt": 100_000, "stoppedAt": 130_500},
            {"stoppedAt": 5},
        ],
    }
    entry = ledger_entry(job, REQUEST, "s3://b/run", "train_splat", "yard", "g6.xlarge")
    assert entry["seconds"] == 90.5 and entry["attempts"] == 2
    assert entry["queue"] == "splats-gpu-spot" and entry["instance_type"] == "g6.xlarge"
    assert (entry["vcpus"], entry["gpus"]) == (4, 1)


def test_polling_ends_when_aws_stays_away() -> None:
    """The released plugin asks for ever."""

    class Silent:
        def describe_jobs(self, **_: Any) -> Any:
            raise EndpointConnectionError(endpoint_url="https://batch")

    executor = object.__new__(Executor)
    executor.batch_client = Silent()
    executor.logger = __import__("logging").getLogger("test")
    executor._unanswered, executor._live = 0, {}
    for _ in range(POLLS_WITHOUT_ANSWER - 1):
        assert executor._describe([SimpleNamespace(external_jobid="j")]) == {}
    with pytest.raises(WorkflowError, match="its jobs go on"):
        executor._describe([SimpleNamespace(external_jobid="j")])


@pytest.mark.parametrize("engine", ["batch", "kubernetes"])
def test_the_runners_image_has_every_module(engine: str) -> None:
    """They are named one by one there, so that a stray file changes no image."""
    recipe = (ROOT / "containers" / "runner" / "Dockerfile").read_text()
    package = ROOT / "envs" / "executor" / f"snakemake_executor_plugin_splatmake_{engine}"
    copied = set(re.findall(rf"{package.name}/(\w+\.py)", recipe))
    assert copied == {path.name for path in package.glob("*.py")}
