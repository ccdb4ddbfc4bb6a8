"""Whether the template's roles may do what the programs ask of AWS: moto checks no rights, so this does.

Each call of boto3 is noted, named as IAM names it, and looked up in the role's statements.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import botocore.client
import pytest
import requests

from scripts.lib.cloud import runs
from scripts.lib.cloud.aws import Account
from scripts.lib.cloud.checks import all_findings
from scripts.lib.cloud.routes import ROUTES
from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.request import RequestedScene, RunRequest
from scripts.tools import coordinate
from tests.aws.cloud import ACCOUNT, BUCKET, REGION, STACK, Cloud
from tests.aws.gateway import ARN, KEY, MARK, SOURCE, call
from tests.aws.gateway import asked as body_of_job
from tests.aws.template import RESOURCES, listed, policy

OWN = f"arn:aws:batch:{REGION}:{ACCOUNT}"
VALUES = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
    "Bucket.Arn": f"arn:aws:s3:::{BUCKET}",
    "JobLogs.Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/splatmake/{STACK}/jobs:*",
    "Mail": f"arn:aws:sns:{REGION}:{ACCOUNT}:{STACK}-runs",
    "SenderEmail": "us@example.org",
    "Web": "E1",
}


def resolved(value: Any) -> str:
    """A resource of a statement as text; what is not known stays a name that nothing matches."""
    if isinstance(value, str):
        return value
    if "Fn::GetAtt" in value:
        return VALUES.get(".".join(value["Fn::GetAtt"]), f"unknown {value}")
    if "Fn::If" in value:  # with the stack's own registry
        return resolved(value["Fn::If"][1])
    if "Ref" in value:
        return VALUES.get(value["Ref"], f"unknown {value}")
    text = str(value["Fn::Sub"])
    for name, known in VALUES.items():
        text = text.replace("${" + name + "}", known)
    return text


def statements(role: str) -> list[dict[str, Any]]:
    """All statements of a role, those of the stack's managed policies too."""
    attached = RESOURCES[role]["Properties"].get("ManagedPolicyArns", [])
    return policy(role) + [s for one in attached if "Ref" in one for s in policy(one["Ref"])]


def allowed(role: list[dict[str, Any]], action: str, resource: str) -> bool:
    """IAM, "Policy evaluation logic": an Allow that matches, and no Deny; conditions are taken as met."""
    effects = {
        statement["Effect"]
        for statement in role
        if any(fnmatch.fnmatchcase(action, a) for a in listed(statement["Action"]))
        and any(fnmatch.fnmatchcase(resource, resolved(r)) for r in listed(statement["Resource"]))
    }
    return effects == {"Allow"}


@dataclass(frozen=True)
class Needed:
    """A right: an action of IAM, and what it is used on."""

    action: str
    resource: str


# S3, "Required permissions for Amazon S3 API operations": those whose right is called otherwise.
S3_ACTIONS = {
    "HeadObject": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "ListParts": "ListMultipartUploadParts",
}


def needs(service: str, operation: str, given: dict[str, Any]) -> list[Needed]:
    """The rights that a call needs (Service Authorization Reference)."""
    if service == "s3":
        bucket = f"arn:aws:s3:::{given['Bucket']}"
        if operation in ("ListObjectsV2", "HeadBucket"):
            return [Needed("s3:ListBucket", bucket)]
        if operation == "DeleteObjects":
            keys = [item["Key"] for item in given["Delete"]["Objects"]]
            return [Needed("s3:DeleteObject", f"{bucket}/{key}") for key in keys]
        action = S3_ACTIONS.get(operation, operation)
        # A missing object is a 403 to whoever may not list (S3, API_GetObject, "Permissions").
        looks = [Needed("s3:ListBucket", bucket)] if action == "GetObject" else []
        return [*looks, Needed(f"s3:{action}", f"{bucket}/{given['Key']}")]
    if service == "batch" and operation == "SubmitJob":
        on = [
            f"{OWN}:job-definition/{given['jobDefinition']}",
            f"{OWN}:job-queue/{given['jobQueue']}",
        ]
        tagged = [Needed("batch:TagResource", f"{OWN}:job/1")] if given.get("tags") else []
        return [*(Needed("batch:SubmitJob", resource) for resource in on), *tagged]
    if service == "batch" and operation == "TerminateJob":
        return [Needed("batch:TerminateJob", f"{OWN}:job/{given['jobId']}")]
    if service == "cloudfront":
        own = f"arn:aws:cloudfront::{ACCOUNT}:distribution/{given['DistributionId']}"
        return [Needed(f"cloudfront:{operation}", own)]
    if service == "sns":
        return [Needed("sns:Publish", given["TopicArn"])]
    if service == "ses":
        return [
            Needed("ses:SendEmail", f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{given['Source']}")
        ]
    if service == "ecr":
        name = given["repositoryName"]
        return [Needed(f"ecr:{operation}", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}")]
    action = {"service-quotas": "servicequotas"}.get(service, service)
    return [Needed(f"{action}:{operation}", "*")]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> Iterator[set[Needed]]:
    """Rights that what runs in a test needs; the account's environment around it."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SPLATMAKE_BUCKET", BUCKET)
    cloud.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=b"PK")
    found: set[Needed] = set()
    call = botocore.client.BaseClient._make_api_call

    def noted(client: Any, operation: str, given: dict[str, Any]) -> Any:
        found.update(needs(client.meta.service_model.service_name, operation, given))
        return call(client, operation, given)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", noted)
    yield found


def missing(role: str, found: set[Needed], free: tuple[str, ...] = ()) -> list[Needed]:
    """Rights that a role lacks; `free` are actions that everybody has."""
    own = statements(role)
    return sorted(
        (n for n in found if n.action not in free and not allowed(own, n.action, n.resource)),
        key=str,
    )


def test_the_api_may_do_what_its_routes_do(
    cloud: Cloud, asked: set[Needed], monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted: list[dict[str, Any]] = []

    def submit(account: Account, caller: str, job: str) -> str:
        """Ask for the right without starting anything."""
        given = {
            "jobQueue": f"{STACK}-coordinator",
            "jobDefinition": f"{STACK}-coordinator",
            "tags": {"a": "b"},
        }
        asked.update(needs("batch", "SubmitJob", given))
        submitted.append(given)
        return "x"

    monkeypatch.setattr(Account, "_submit_coordinator", submit)
    monkeypatch.setattr(Account, "jobs_of", lambda account, _: [])
    monkeypatch.setattr(runs, "UNLISTED", 0.0)
    tried: set[str] = set()

    def ask(route: str, *about: Any, **more: Any) -> dict[str, Any]:
        tried.add(route)
        code, answer = call(route, *about, **more)
        assert code in (200, 202), answer
        return answer

    upload = ask("POST /uploads", {"name": "yard.zip", "bytes": 5})
    ask("GET /uploads/{id}", job=upload["id"])
    put = requests.put(upload["parts"][0]["url"], data=b"12345", timeout=30)
    assert put.ok
    ask("POST /uploads/{id}/complete", job=upload["id"])
    key = {"idempotency-key": "rights"}
    job = ask("POST /jobs", body_of_job(source=upload["source"]), headers=key)["id"]
    account, folder = Account(STACK, BUCKET), f"runs/{MARK}/{job}"
    for name in (f"{folder}/results/yard/report.html", f"checkpoints/{folder}/yard/1.pt"):
        cloud.client("s3").put_object(Bucket=BUCKET, Key=name, Body=b"x")
    page = account.read(RunRequest, f"{folder}/{RunRequest.file}")
    web = f"web/yard-{page.page if page else ''}/index.html"
    cloud.client("s3").put_object(Bucket=BUCKET, Key=web, Body=b"x")
    asked.difference_update([n for n in asked if n.resource.endswith(("report.html", "1.pt", web))])
    ask("GET /jobs")
    ask("GET /jobs/{id}", job=job)
    ask("GET /jobs/{id}/files", job=job)
    ask("POST /jobs/{id}/retry", {}, job=job)
    monkeypatch.setenv("SPLATMAKE_DISTRIBUTION", "E1")  # which moto does not know
    assert call("DELETE /jobs/{id}", job=job, query={"data": "true"})[0] == 503
    monkeypatch.delenv("SPLATMAKE_DISTRIBUTION")
    ask("DELETE /jobs/{id}", job=job, query={"data": "true"})
    ask("DELETE /uploads/{id}", job=upload["id"])
    ask("GET /openapi.json")
    assert tried == {f"{route.method} {route.path}" for route in ROUTES}
    asked.update(needs("batch", "TerminateJob", {"jobId": "1"}))
    wanted = {"s3:ListBucket", "batch:ListJobs", "cloudfront:CreateInvalidation"}
    assert submitted and {n.action for n in asked} >= wanted
    assert Needed("s3:DeleteObject", f"arn:aws:s3:::{BUCKET}/{web}") in asked
    # What callers do with links is signed by the role: it needs the right too.
    asked.add(Needed("s3:PutObject", upload["source"].replace("s3://", "arn:aws:s3:::")))
    asked.add(Needed("s3:GetObject", f"arn:aws:s3:::{BUCKET}/{folder}/results/yard/report.html"))
    assert missing("ApiRole", asked) == []


def test_the_coordinator_may_do_what_it_does(
    asked: set[Needed], monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(STACK, BUCKET)
    scenes = (RequestedScene("yard", SOURCE),)
    request = RunRequest(scenes=scenes, email="me@example.org", page="p")
    monkeypatch.setattr(coordinate, "prepare", lambda *_: None)
    monkeypatch.setattr(coordinate, "run_snakemake", lambda *_: (1, ["Cause: no"]))
    topic = VALUES["Mail"]
    values = {"SPLATMAKE_JOB": "c/rights", "SPLATMAKE_STACK": STACK, "SPLATMAKE_BUCKET": BUCKET}
    values |= {
        "SPLATMAKE_TOPIC": topic,
        "SPLATMAKE_SENDER": "us@example.org",
        "AWS_BATCH_JOB_ID": "1",
    }
    account.write("runs/c/rights", request)
    asked.clear()
    assert coordinate.coordinate(values, []) == 1
    assert {n.action for n in asked} >= {
        "s3:PutObject",
        "sns:Publish",
        "ses:SendEmail",
        "batch:DescribeJobs",
    }
    assert missing("CoordinatorRole", asked) == []
    assert Outcome.file in json.dumps([n.resource for n in asked])


def test_a_submitter_may_look_before(asked: set[Needed]) -> None:
    registry = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{STACK}"
    all_findings(STACK, f"s3://{BUCKET}/runs/new", registry, {"sfm": "0123"}, {"g6.xlarge": 0.3})
    assert {n.action for n in asked} >= {"ecr:DescribeImages", "servicequotas:GetServiceQuota"}
    everybodys = ("sts:GetCallerIdentity",)  # IAM: "No permissions are required"
    own = policy("SubmitterPolicy")
    assert [
        n for n in asked if n.action not in everybodys and not allowed(own, n.action, n.resource)
    ] == []


def test_a_right_that_is_not_there_is_seen() -> None:
    own = statements("ApiRole")
    assert not allowed(own, "s3:PutObject", f"arn:aws:s3:::{BUCKET}/runs/1/outcome.json")
    assert not allowed(own, "s3:DeleteObject", f"arn:aws:s3:::{BUCKET}/releases/a")
    jobs = statements("ImportRole")
    assert allowed(jobs, "s3:PutObject", f"arn:aws:s3:::{BUCKET}/runs/1/results/yard/splat.ply")
    assert not allowed(jobs, "s3:PutObject", f"arn:aws:s3:::{BUCKET}/runs/1/records.zip")
    assert not allowed(statements("JobRole"), "s3:GetObject", f"arn:aws:s3:::{BUCKET}/uploads/a")
    assert ARN.startswith("arn:aws:iam")


# What the executor plugin asks for, in its own process on another machine.
BY_THE_EXECUTOR = [
    ("batch:RegisterJobDefinition", f"{OWN}:job-definition/train_splat-yard-1"),
    ("batch:DeregisterJobDefinition", f"{OWN}:job-definition/train_splat-yard-1:1"),
    ("batch:SubmitJob", f"{OWN}:job-definition/train_splat-yard-1:1"),
    ("batch:SubmitJob", f"{OWN}:job-queue/{STACK}-gpu-spot"),
    ("batch:TagResource", f"{OWN}:job-definition/train_splat-yard-1"),
    ("batch:TagResource", f"{OWN}:job/1"),
    ("batch:TerminateJob", f"{OWN}:job/1"),
    ("batch:ListJobs", "*"),
    ("batch:DescribeJobs", "*"),
    ("batch:DescribeJobQueues", "*"),
    (
        "logs:GetLogEvents",
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/splatmake/{STACK}/jobs:log-stream:a/b",
    ),
    ("ecs:DescribeContainerInstances", f"arn:aws:ecs:{REGION}:{ACCOUNT}:container-instance/c/1"),
]


@pytest.mark.parametrize(("action", "resource"), BY_THE_EXECUTOR)
def test_the_executor_may_do_what_it_does(action: str, resource: str) -> None:
    assert allowed(statements("CoordinatorRole"), action, resource)
