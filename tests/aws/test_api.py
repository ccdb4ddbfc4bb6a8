"""The job API against moto: its handlers as Lambda calls them, and runs by the real coordinator."""

from __future__ import annotations

import base64
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from scripts.lib.cloud import handlers
from scripts.lib.cloud.aws import Account, coordinator_name
from scripts.lib.cloud.caller import caller_of
from scripts.lib.cloud.request import MOST_UPLOAD_BYTES
from scripts.lib.cloud.status import describe_run
from scripts.lib.contracts.outcome import Outcome
from tests.aws.cloud import ACCOUNT, BUCKET, REGION, STACK, Cloud
from tests.aws.template import RESOURCES
from tests.conftest import ROOT

Call = Callable[..., tuple[int, dict[str, Any]]]
ARN = f"arn:aws:iam::{ACCOUNT}:user/ann"
SIGNED = {"authorizer": {"iam": {"userArn": ARN}}}
MARK = caller_of({"requestContext": SIGNED}).mark
KEY = f"uploads/{MARK}/0123456789abcdef/yard.zip"
SOURCE = f"s3://{BUCKET}/{KEY}"

# The project's own shared rules, with three short stages in place of the fifteen.
SNAKEFILE = """
configfile: "config/config.yaml"

include: "rules/common.smk"

rule all:
    default_target: True
    input:
        collect("<results>/{scene}/report.html", scene=SCENES),

rule train_splat:
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


@pytest.fixture
def call(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Call:
    """`call("POST /jobs", body, id)`: what the Lambda function answers, (status, body)."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SPLATMAKE_BUCKET", BUCKET)
    monkeypatch.setenv("SPLATMAKE_MOST_RUNS", "50")
    cloud.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=b"PK")

    def invoke(
        route: str,
        body: Any = None,
        job: str = "",
        headers: dict[str, str] | None = None,
        who: dict[str, Any] = SIGNED,
    ) -> tuple[int, dict[str, Any]]:
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        event = {"routeKey": route, "body": text, "pathParameters": {"id": job}}
        event |= {"requestContext": who}
        event |= {"headers": headers or {}}
        answer = handlers.handle(event)
        return answer["statusCode"], json.loads(answer["body"])

    return invoke


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


OWN = "must be one of your own uploads"


def test_a_run_from_request_to_mail(coordinator: Cloud, call: Call) -> None:
    """Its report fails and a mail is refused: the model is there, nothing is repeated, both are told."""
    request = {"source": SOURCE, "scene": "yard", "email": "me@example.org"}
    code, started = call("POST /jobs", request)
    assert code == 202
    job = started["id"]
    assert call("GET /jobs/{id}", job=job)[1]["state"] in ("queued", "running")
    training(coordinator)
    seen = coordinator.wait_for(
        lambda: (s := call("GET /jobs/{id}", job=job)[1])["stage"] and s, 60
    )
    assert seen["state"] == "running" and seen["stage"] == "train_splat"
    assert 0 <= seen["percent"] < 100
    done = coordinator.wait_for(
        lambda: (
            (s := call("GET /jobs/{id}", job=job)[1])["state"] not in ("queued", "running") and s
        ),
        240,
    )
    assert done["state"] == "done"
    assert any("the report has no ink" in trouble for trouble in done["trouble"])
    # The mails come after the outcome, so that a coordinator that is killed between sends none twice.
    coordinator.wait_for(
        lambda: any(
            "a mail could not be sent" in trouble
            for trouble in call("GET /jobs/{id}", job=job)[1]["trouble"]
        ),
        60,
    )
    ended = Account(STACK, BUCKET).read(Outcome, f"runs/{job}/outcome.json")
    assert ended and ended.coordinator_usd and 0 < ended.coordinator_usd < 0.05
    assert [e.rule for e in coordinator.executions].count("train_splat") == 1
    assert [e.rule for e in coordinator.executions].count("run") == 1
    (mail,) = [text for text in mails(coordinator) if f"Run {job}" in text]
    assert "scene yard: done" in mail and "the report has no ink; fill it up" in mail
    assert "last lines of the log" in mail


def test_stopping_stops_everything(coordinator: Cloud, call: Call) -> None:
    options = {"train_splat": {"steps": 77}}  # which this workflow takes a hundred seconds for
    request = {"source": SOURCE, "scene": "yard", "options": options}
    job = call("POST /jobs", request)[1]["id"]
    training(coordinator)
    code, answer = call("DELETE /jobs/{id}", job=job)
    assert code == 202 and answer["state"] == "stopped"
    coordinator.wait_for(lambda: not coordinator.active_jobs(), 60)
    assert call("GET /jobs/{id}", job=job)[1]["state"] == "stopped"
    assert all(e.ended for e in coordinator.executions)


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        ("{", 400, "the body is not JSON"),
        ([], 400, "must be a JSON object"),
        ({"scene": "yard"}, 400, "'source' is missing"),
        ({"source": SOURCE, "scene": "../yard"}, 400, "letters, digits, - and _"),
        ({"source": SOURCE, "scene": "yard", "sceen": "x"}, 400, "did you mean 'scene'?"),
        ({"source": SOURCE, "scene": "yard", "email": "me"}, 400, "who is told"),
        (
            {"source": SOURCE, "scene": "yard", "options": {"preset": "best"}},
            400,
            "'preset' is 'best'; allowed: draft, standard, high",
        ),
        (
            {"source": SOURCE, "scene": "yard", "options": {"results": "/etc"}},
            400,
            "'results' is set by the service",
        ),
        ({"source": "s3://other/uploads/a.zip", "scene": "yard"}, 403, OWN),
        ({"source": f"s3://{BUCKET}/runs/a.zip", "scene": "yard"}, 403, OWN),
        ({"source": f"s3://{BUCKET}/uploads/../runs/a", "scene": "yard"}, 403, OWN),
        # A prefix would be copied whole: everybody's uploads.
        ({"source": f"s3://{BUCKET}/uploads/", "scene": "yard"}, 403, OWN),
        ({"source": f"s3://{BUCKET}/uploads/./", "scene": "yard"}, 403, OWN),
        ({"source": f"s3://{BUCKET}/uploads/{MARK}/", "scene": "yard"}, 403, OWN),
        ({"source": SOURCE.removesuffix("yard.zip"), "scene": "yard"}, 403, OWN),
        ({"source": SOURCE.replace(MARK, "0" * 16), "scene": "yard"}, 403, OWN),
        ({"source": SOURCE.replace(".zip", ".exe"), "scene": "yard"}, 403, OWN),
        ({"source": SOURCE.replace("yard", "garden"), "scene": "yard"}, 400, "not been uploaded"),
        ({"source": SOURCE, "scene": "yard", "options": {"a": "x" * 70_000}}, 413, "larger than"),
        ({"source": SOURCE, "scene": "yard\n"}, 400, "cannot be printed"),
    ],
)
def test_bad_requests_are_refused(call: Call, body: Any, code: int, sentence: str) -> None:
    got, answer = call("POST /jobs", body)
    assert got == code and sentence in answer["error"]


def test_nothing_is_started_for_a_refused_request(cloud: Cloud, call: Call) -> None:
    before = cloud.keys("runs/")
    call("POST /jobs", {"source": "s3://other/uploads/a.zip", "scene": "yard"})
    assert cloud.keys("runs/") == before and cloud.active_jobs() == []


def refused(*_: object, **__: object) -> Any:
    """As boto3 tells that AWS does not take a job now."""
    raise ClientError(
        {"Error": {"Code": "TooManyRequestsException", "Message": "Too Many Requests"}}, "SubmitJob"
    )


def only_job(cloud: Cloud, before: list[str]) -> str:
    """The id of the one run whose request was kept since."""
    (key,) = (k for k in set(cloud.keys("runs/")) - set(before) if k.endswith("request.json"))
    return key.split("/")[1]


def test_a_run_that_was_not_started_does_not_wait_for_ever(
    cloud: Cloud, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cloud.keys("runs/")
    monkeypatch.setattr(Account, "_submit_coordinator", refused)
    code, answer = call("POST /jobs", {"source": SOURCE, "scene": "yard"})
    assert code == 503
    assert "was not started" in answer["error"] and "post it again" in answer["error"]
    _, told = call("GET /jobs/{id}", job=only_job(cloud, before))
    assert told["state"] == "failed"
    assert told["cause"] == "the run was never started; post it again"


def test_a_run_whose_start_nobody_heard_of_is_found_by_its_name(
    coordinator: Cloud, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function may end, or AWS's answer be lost, right after Batch took the job."""
    before = coordinator.keys("runs/")
    submit = Account._submit_coordinator

    def unheard(account: Account, job: str, caller: str) -> str:
        submit(account, job, caller)
        return str(refused())

    monkeypatch.setattr(Account, "_submit_coordinator", unheard)
    options = {"train_splat": {"steps": 77}}
    asked = {"source": SOURCE, "scene": "yard", "options": options}
    assert call("POST /jobs", asked)[0] == 503
    job = only_job(coordinator, before)
    assert call("GET /jobs/{id}", job=job)[1]["state"] in ("queued", "running")
    assert call("DELETE /jobs/{id}", job=job)[0] == 202
    coordinator.wait_for(lambda: not coordinator.active_jobs(), 60)
    assert call("GET /jobs/{id}", job=job)[1]["state"] == "stopped"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """{name at Batch: id} of the coordinators that were started, none of which really runs."""
    found: dict[str, str] = {}

    def submit(_: Account, job: str, caller: str) -> str:
        name = coordinator_name(job, caller)
        assert name not in found
        return found.setdefault(name, f"batch-{job}")

    def listed(_: Account, wanted: str) -> list[dict[str, Any]]:
        begins = wanted.endswith("*")
        return [
            {"jobId": number, "createdAt": 1, "status": "RUNNING"}
            for name, number in found.items()
            if name == wanted or (begins and name.startswith(wanted[:-1]))
        ]

    monkeypatch.setattr(Account, "_submit_coordinator", submit)
    monkeypatch.setattr(Account, "_coordinators", listed)
    monkeypatch.setattr(Account, "describe", lambda *_: {"status": "RUNNING"})
    return found


def test_a_request_with_a_key_is_one_run_however_often_it_is_posted(
    call: Call, started: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    request, key = {"source": SOURCE, "scene": "yard"}, {"idempotency-key": "order-1"}
    first = call("POST /jobs", request, headers=key)
    assert first[0] == 202 and call("POST /jobs", request, headers=key) == first
    assert call("POST /jobs", {**request, "scene": "hall"}, headers=key)[1] != first[1]
    assert call("POST /jobs", request)[1] != first[1]
    assert len(started) == 3
    assert call("POST /jobs", request, headers={"idempotency-key": "a\nb"})[0] == 400
    # One that could not be started is tried again under its own id.
    key = {"idempotency-key": "order-2"}
    with monkeypatch.context() as patch:
        patch.setattr(Account, "_submit_coordinator", refused)
        assert call("POST /jobs", request, headers=key)[0] == 503
    assert call("POST /jobs", request, headers=key)[0] == 202 and len(started) == 4


OTHERS = [
    {"authorizer": {"iam": {"userArn": f"arn:aws:iam::{ACCOUNT}:user/bob"}}},
    {"authorizer": {"jwt": {"claims": {"iss": "https://pool", "sub": ARN}}}},
]


@pytest.mark.parametrize("other", OTHERS)
def test_callers_do_not_see_each_other(
    cloud: Cloud, call: Call, started: dict[str, str], other: dict[str, Any]
) -> None:
    """Whatever is tried with another's run or upload is as if it were not there."""
    job = call("POST /jobs", {"source": SOURCE, "scene": "yard"})[1]["id"]
    assert call("GET /jobs/{id}", job=job)[1]["state"] == "running"
    for verb in ("GET", "DELETE"):
        code, answer = call(f"{verb} /jobs/{{id}}", job=job, who=other)
        assert (code, answer) == (404, {"error": f"there is no job {job!r}"})
    assert f"runs/{job}/stop.json" not in cloud.keys(f"runs/{job}/")
    code, answer = call("POST /jobs", {"source": SOURCE, "scene": "yard"}, who=other)
    assert code == 403 and OWN in answer["error"]
    mine = call("POST /uploads", {"name": "yard.zip", "bytes": 9})[1]["source"]
    theirs = call("POST /uploads", {"name": "yard.zip", "bytes": 9}, who=other)[1]["source"]
    assert mine.split("/")[4] == MARK != theirs.split("/")[4]
    # The same key of theirs is another run.
    key, own = {"idempotency-key": "one"}, theirs.removeprefix(f"s3://{BUCKET}/")
    cloud.client("s3").put_object(Bucket=BUCKET, Key=own, Body=b"PK")
    first = call("POST /jobs", {"source": SOURCE, "scene": "yard"}, headers=key)
    second = call("POST /jobs", {"source": theirs, "scene": "yard"}, headers=key, who=other)
    assert (first[0], second[0]) == (202, 202) and first[1]["id"] != second[1]["id"]


def test_each_caller_has_so_many_runs_at_once(
    call: Call, started: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLATMAKE_MOST_RUNS", "2")
    request = {"source": SOURCE, "scene": "yard"}
    assert [call("POST /jobs", request)[0] for _ in range(3)] == [202, 202, 429]
    started.popitem()
    assert call("POST /jobs", request)[0] == 202


@pytest.mark.parametrize("who", [{}, {"authorizer": {}}, {"authorizer": {"jwt": {"claims": {}}}}])
def test_nobody_is_nobody(call: Call, who: dict[str, Any]) -> None:
    for route in ("POST /uploads", "POST /jobs", "GET /jobs/{id}", "DELETE /jobs/{id}"):
        assert call(route, {}, job="0" * 12, who=who)[0] == 401


def test_mail_goes_to_the_address_of_the_token(
    cloud: Cloud, call: Call, started: dict[str, str]
) -> None:
    """Whoever has a token could have the operator's sender write to anybody."""
    claims = {"sub": "1", "email": "ann@example.org", "email_verified": "true"}
    who = {"authorizer": {"jwt": {"claims": claims}}}
    source = call("POST /uploads", {"name": "yard.zip", "bytes": 9}, who=who)[1]["source"]
    key = source.removeprefix(f"s3://{BUCKET}/")
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"PK")
    request = {"source": source, "scene": "yard"}
    for email, code in (("ann@example.org", 202), ("you@example.com", 403)):
        assert call("POST /jobs", {**request, "email": email}, who=who)[0] == code
    claims["email_verified"] = "false"
    assert call("POST /jobs", {**request, "email": "ann@example.org"}, who=who)[0] == 403


def test_a_body_that_comes_in_base64(cloud: Cloud, call: Call, started: dict[str, str]) -> None:
    """As HTTP APIs hand over what no header calls JSON."""
    body = json.dumps({"name": "yard.zip", "bytes": 1}).encode()
    event = {"routeKey": "POST /uploads", "requestContext": SIGNED, "isBase64Encoded": True}
    assert handlers.handle(event | {"body": base64.b64encode(body).decode()})["statusCode"] == 200
    for broken in ("%%%", base64.b64encode(b"\xff\xfe").decode(), None):
        assert handlers.handle(event | {"body": broken})["statusCode"] == 400


def test_a_finished_run_offers_its_files_as_what_they_are(
    cloud: Cloud, call: Call, started: dict[str, str]
) -> None:
    """Snakemake's plugin stores them as octet-stream, which a browser saves instead of showing."""
    job = call("POST /jobs", {"source": SOURCE, "scene": "yard"})[1]["id"]
    account = Account(STACK, BUCKET)
    account.write(f"runs/{job}", Outcome(state="done", usd=0.4, coordinator_usd=0.05))
    for name in ("report.html", "splat.sog", "tour.mp4", "secret.db"):
        key = f"runs/{job}/results/yard/{name}"
        cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"x")
    answer = call("GET /jobs/{id}", job=job)[1]
    assert answer["usd"] == pytest.approx(0.45)
    assert set(answer["links"]) == {"report.html", "splat.sog", "tour.mp4"}
    got = requests.get(answer["links"]["report.html"], timeout=30)
    assert got.headers["Content-Type"].startswith("text/html")


def test_unknown_jobs_and_routes(call: Call) -> None:
    assert call("GET /jobs/{id}", job="0" * 12)[0] == 404
    assert call("DELETE /jobs/{id}", job="../../x")[0] == 404
    assert call("PUT /jobs")[0] == 404


def test_an_upload_is_for_one_file_of_that_size(cloud: Cloud, call: Call) -> None:
    code, form = call("POST /uploads", {"name": "yard.zip", "bytes": 10})
    assert code == 200 and form["source"].startswith(f"s3://{BUCKET}/uploads/")
    answer = requests.post(
        form["url"], data=form["fields"], files={"file": b"0123456789"}, timeout=30
    )
    assert answer.status_code in (200, 204)
    key = form["source"].removeprefix(f"s3://{BUCKET}/")
    assert cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"0123456789"
    # moto does not look at the policy; S3 does.
    policy = json.loads(base64.b64decode(form["fields"]["policy"]))
    assert ["content-length-range", 1, 10] in policy["conditions"] and {"key": key} in policy[
        "conditions"
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "../yard.zip", "bytes": 1}, 400),
        ({"name": "yard.exe", "bytes": 1}, 400),
        ({"name": "yard.zip"}, 400),
        ({"name": "yard.zip", "bytes": True}, 400),
        ({"name": "yard.zip", "bytes": MOST_UPLOAD_BYTES + 1}, 413),
    ],
)
def test_bad_uploads_are_refused(call: Call, body: Any, code: int) -> None:
    assert call("POST /uploads", body)[0] == code


def test_a_coordinator_that_vanished_is_a_failure() -> None:
    batch = {"status": "FAILED", "statusReason": "Task failed to start"}
    answer = describe_run("1", "yard", batch, None, None, False)
    assert answer["state"] == "failed" and answer["cause"] == "Task failed to start"
    assert answer["percent"] is None and answer["eta_seconds"] is None


def test_the_functions_zip_holds_what_it_imports(tmp_path: Path) -> None:
    """Of this project only these files are on Lambda; its packages: tests/stages/tools/test_deploy.py."""
    import subprocess
    import sys

    from scripts.tools.deploy_aws import api_files

    for path in api_files():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target)
    code = "from scripts.lib.cloud.handlers import handle; print(handle({'routeKey': 'x'}))"
    environment = {"SPLATMAKE_STACK": "s", "SPLATMAKE_BUCKET": "b", "PATH": "/usr/bin"}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert "'statusCode': 404" in result.stdout, result.stderr
