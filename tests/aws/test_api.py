"""Runs of the job API against moto: its handlers as Lambda calls them, and the real coordinator."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.lib.cloud.aws import Account
from scripts.lib.contracts.outcome import Outcome
from tests.aws.cloud import ACCOUNT, BUCKET, REGION, STACK, Cloud
from tests.aws.gateway import KEY, MARK, asked
from tests.aws.template import RESOURCES
from tests.conftest import ROOT

Call = Callable[..., tuple[int, dict[str, Any]]]
# The project's own shared rules, with four short stages in place of the fifteen.
SNAKEFILE = """
configfile: "config/config.yaml"

include: "rules/common.smk"

rule all:
    default_target: True
    input:
        collect("<results>/{scene}/report.html", scene=SCENES),

rule map_scene:
    output:
        "<results>/{scene}/sfm.json",
    container:
        IMAGES["sfm"]
    params:
        options=options("map_scene"),
    shell:
        "echo {params.options:q} > {output:q}"

rule train_splat:
    input:
        "<results>/{scene}/sfm.json",
    output:
        "<results>/{scene}/splat.ply",
    log:
        "<logs>/{scene}/train_splat.log",
    container:
        IMAGES["train"]
    params:
        options=options("train_splat"),
    resources:
        gpu=1,
    shell:
        "(sleep 2; test $(echo {params.options:q} | grep -c '77') = 0 || sleep 100; echo splat) > {output:q}"

rule bundle_web:
    input:
        "<results>/{scene}/splat.ply",
    output:
        "<results>/{scene}/web/manifest.json",
    container:
        IMAGES["web"]
    shell:
        "echo '{{}}' > {output:q}"

rule report_scene:
    input:
        "<results>/{scene}/web/manifest.json",
    output:
        "<results>/{scene}/report.html",
    container:
        IMAGES["web"]
    shell:
        "echo 'Error: the report has no ink; fill it up'; exit 1"
"""


@pytest.fixture(scope="module")
def coordinator(account: Cloud) -> Cloud:
    """The template's job definition of the coordinator, and the small workflow as its sources."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as sources:
        for folder in ("scripts", "config", "rules", "containers"):
            for path in (ROOT / folder).rglob("*"):
                if path.is_file() and "__pycache__" not in path.parts:
                    sources.write(path, path.relative_to(ROOT).as_posix())
        sources.writestr("Snakefile", SNAKEFILE)
        sources.writestr(".gitignore", ".snakemake/\n__pycache__/\n")
    account.client("s3").put_object(
        Bucket=BUCKET, Key="releases/workflow.zip", Body=archive.getvalue()
    )
    account.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=b"PK")
    topic = account.client("sns").create_topic(Name=f"{STACK}-runs")["TopicArn"]
    template = RESOURCES["Coordinator"]["Properties"]
    command = [
        part
        if isinstance(part, str)
        else part["Fn::Sub"]
        .replace("${Bucket}", BUCKET)
        .replace("${WorkflowCode}", "releases/workflow.zip")
        + " --splatmake-batch-poll-seconds 1"
        for part in template["ContainerProperties"]["Command"]
    ]
    values = {
        "AWS_REGION": REGION,
        "SPLATMAKE_STACK": STACK,
        "SPLATMAKE_BUCKET": BUCKET,
        "SPLATMAKE_TOPIC": topic,
        "SPLATMAKE_SENDER": "nobody@example.org",  # not verified at SES, so that this mail is refused
        "SPLATMAKE_WEB": "",  # the small workflow publishes nothing
    }
    account.client("batch").register_job_definition(
        jobDefinitionName=f"{STACK}-coordinator",
        type="container",
        retryStrategy={
            "attempts": template["RetryStrategy"]["Attempts"],
            "evaluateOnExit": [
                {key[0].lower() + key[1:]: value for key, value in rule.items()}
                for rule in template["RetryStrategy"]["EvaluateOnExit"]
            ],
        },
        containerProperties={
            "image": "runner",
            "command": command,
            "resourceRequirements": [
                {"type": "VCPU", "value": "1"},
                {"type": "MEMORY", "value": "2048"},
            ],
            "environment": [
                {"name": item["Name"], "value": values[item["Name"]]}
                for item in template["ContainerProperties"]["Environment"]
            ],
        },
    )
    return account


def mails(cloud: Cloud) -> list[str]:
    """Texts that went to the stack's topic."""
    from moto.sns.models import sns_backends

    topics = sns_backends[ACCOUNT][REGION].topics
    topic = next(topic for arn, topic in topics.items() if arn.endswith(f":{STACK}-runs"))
    return [message[1] for message in topic.sent_notifications]


def training(cloud: Cloud) -> None:
    """Wait until the run trains; at once an error when its coordinator has ended before."""
    found = cloud.wait_for(
        lambda: (
            cloud.running("train_splat")
            or next((e for e in cloud.executions if e.rule == "run" and e.ended), None)
        ),
        240,
    )
    log = next((cloud.folder / "logs").glob("run-*.log"), None)
    assert found.rule == "train_splat", log and log.read_text()


def ended(cloud: Cloud, call: Call, job: str) -> dict[str, Any]:
    """What is said of a run once it is no longer queued or running."""
    found: dict[str, Any] = cloud.wait_for(
        lambda: (
            (s := call("GET /jobs/{id}", job=job)[1])["state"] not in ("queued", "running") and s
        ),
        240,
    )
    return found


def test_a_run_is_stopped_goes_on_and_is_told_of(coordinator: Cloud, call: Call) -> None:
    """Its report fails and a mail is refused: the model is there, nothing is repeated, both are told."""
    slow = {"train_splat": {"steps": 77}}  # which this workflow takes a hundred seconds for
    code, started = call("POST /jobs", asked(email="me@example.org", options=slow))
    assert code == 202
    job = started["id"]
    assert call("GET /jobs/{id}", job=job)[1]["state"] in ("queued", "running")
    training(coordinator)
    seen = coordinator.wait_for(
        lambda: (
            (s := call("GET /jobs/{id}", job=job)[1])["scenes"][0]["stage"] == "train_splat" and s
        ),
        60,
    )
    assert seen["state"] == "running"
    assert 0 <= seen["percent"] < 100
    assert call("POST /jobs/{id}/retry", {}, job=job)[0] == 409  # it has not ended
    code, answer = call("DELETE /jobs/{id}", job=job)
    assert code == 200 and answer["state"] == "stopped"
    coordinator.wait_for(lambda: not coordinator.active_jobs(), 60)
    assert call("GET /jobs/{id}", job=job)[1]["state"] == "stopped"
    assert all(e.ended for e in coordinator.executions)

    code, answer = call(
        "POST /jobs/{id}/retry", {"options": {"train_splat": {"steps": 500}}}, job=job
    )
    assert code == 202 and answer["id"] == job
    assert call("GET /jobs/{id}", job=job)[1]["state"] in ("queued", "running")
    done = ended(coordinator, call, job)
    assert (done["state"], done["scenes"][0]["state"]) == ("done", "done")
    assert any("the report has no ink" in trouble for trouble in done["trouble"])
    # The mails come after the outcome, so that a coordinator that is killed between sends none twice.
    coordinator.wait_for(
        lambda: any(
            "a mail could not be sent" in trouble
            for trouble in call("GET /jobs/{id}", job=job)[1]["trouble"]
        ),
        60,
    )
    told = Account(STACK, BUCKET).read(Outcome, f"runs/{MARK}/{job}/outcome.json")
    assert told and told.coordinator_usd and 0 < told.coordinator_usd < 0.05
    # The poses were not paid twice.
    rules = [e.rule for e in coordinator.executions]
    assert (rules.count("poses"), rules.count("train_splat"), rules.count("run")) == (1, 2, 2)
    mail = [text for text in mails(coordinator) if f"Run {job}" in text][-1]
    assert "scene yard: done" in mail and "the report has no ink; fill it up" in mail
    assert "last lines of the log" in mail
    names = {file["name"] for file in call("GET /jobs/{id}/files", job=job)[1]["files"]}
    assert {"yard/splat.ply", "yard/sfm.json", "logs/yard/train_splat.log"} <= names


def test_a_run_whose_start_nobody_heard_of_is_found_by_its_name(
    coordinator: Cloud, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function may end, or AWS's answer be lost, right after Batch took the job."""
    submit = Account._submit_coordinator

    def unheard(account: Account, caller: str, job: str) -> str:
        submit(account, caller, job)
        said = {"Error": {"Code": "TooManyRequestsException", "Message": "Too Many Requests"}}
        raise ClientError(said, "SubmitJob")  # type: ignore[arg-type]

    monkeypatch.setattr(Account, "_submit_coordinator", unheard)
    options = {"train_splat": {"steps": 77}}
    request = asked(options=options)
    assert call("POST /jobs", request)[0] == 503
    job = call("GET /jobs")[1]["jobs"][0]["id"]
    assert call("GET /jobs/{id}", job=job)[1]["state"] in ("queued", "running")
    assert call("DELETE /jobs/{id}", job=job)[0] == 200
    coordinator.wait_for(lambda: not coordinator.active_jobs(), 60)
    assert call("GET /jobs/{id}", job=job)[1]["state"] == "stopped"
