"""What tells of trouble, what ends by itself, and how pages are served, as config/aws/stack.yaml has it.

Each check names the page of AWS's documentation that it comes from.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from moto.events.models import EventPattern

from scripts.lib.cloud.webhook import PORT
from tests.aws.evaluate import Evaluated, evaluated
from tests.aws.template import PARAMETERS, RESOURCES, WHOLE, of_type
from tests.conftest import ROOT

WITH_API = {"ApiCode": "releases/api.zip", "WorkflowCode": "releases/workflow.zip"}


def stack(**given: str) -> Evaluated:
    """The stack under parameters."""
    return evaluated(WHOLE, **given)


# -- what is told -----------------------------------------------------------------------------------------

# AWS Batch, "Job state change events" and "Job queue blocked events"; Amazon ECR, "Amazon ECR events and
# EventBridge": their examples, cut to what is used; queues are ARNs, which `Ref` of a queue gives.
FAILED = {
    "source": "aws.batch",
    "detail-type": "Batch Job State Change",
    "detail": {
        "jobName": "run-1",
        "jobQueue": "CoordinatorQueue",
        "status": "FAILED",
        "statusReason": "Essential container in task exited",
    },
}
WAITS = {
    "source": "aws.batch",
    "detail-type": "Batch Job Queue Blocked",
    "detail": {
        "jobName": "train_splat",
        "jobQueue": "GpuOnDemandQueue",
        "status": "RUNNABLE",
        "statusReason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    },
}
SCANNED = {
    "source": "aws.ecr",
    "detail-type": "ECR Image Scan",
    "detail": {
        "scan-status": "COMPLETE",
        "repository-name": "splats/train",
        "finding-severity-counts": {"CRITICAL": 10, "MEDIUM": 9},
        "image-digest": "sha256:0",
        "image-tags": ["0123456789abcdef"],
    },
}


def told(rule: str, event: dict[str, Any], **detail: object) -> bool:
    """Whether a rule of the stack matches an event with other details."""
    pattern = stack().resources[rule]["Properties"]["EventPattern"]
    return bool(
        EventPattern.load(json.dumps(pattern)).matches_event(
            event | {"detail": event["detail"] | detail}
        )
    )


def test_a_coordinator_that_failed_is_told_of() -> None:
    assert told("CoordinatorFailed", FAILED)
    assert not told("CoordinatorFailed", FAILED, status="SUCCEEDED")
    # Other jobs' failures are their coordinator's or their submitter's to tell.
    assert not told("CoordinatorFailed", FAILED, jobQueue="GpuSpotQueue")


def test_a_job_that_no_machine_takes_is_told_of() -> None:
    """What waits on spot goes on demand after twenty minutes; from there it goes nowhere."""
    last = {"CoordinatorQueue", "CpuOnDemandQueue", "GpuOnDemandQueue"}
    for queue in of_type("Batch::JobQueue"):
        assert told("JobsWait", WAITS, jobQueue=queue) == (queue in last), queue
    assert not told("JobsWait", FAILED)


def test_a_weak_image_is_told_of() -> None:
    """`finding-severity-counts` has a severity only where there is a finding of it."""
    assert told("WeakImage", SCANNED)
    assert not told("WeakImage", SCANNED, **{"finding-severity-counts": {"HIGH": 3}})
    assert not told("WeakImage", SCANNED, **{"repository-name": "others/train"})
    assert "WeakImage" not in stack(RegistryPrefix="ghcr.io/splatmake").resources


def at(event: dict[str, Any], path: str) -> Any:
    """What a path of an input transformer finds."""
    found: Any = event
    for part in re.findall(r"[^.\[\]]+", path.removeprefix("$.")):
        found = found[int(part)] if part.isdigit() else found[part]
    return found


def test_mails_are_filled_from_what_events_hold() -> None:
    """EventBridge, "Input transformation": $.a.b paths, and a template that is JSON once it is filled.

    Texts and numbers fill a text; a list would bring quotation marks of its own.
    """
    samples = {"CoordinatorFailed": FAILED, "JobsWait": WAITS, "WeakImage": SCANNED}
    assert set(samples) == set(of_type("Events::Rule"))
    for name, rule in of_type("Events::Rule").items():
        (target,) = rule["Targets"]
        transformer = target["InputTransformer"]
        paths = transformer["InputPathsMap"]
        assert all(isinstance(at(samples[name], path), str | int) for path in paths.values())
        text = json.loads(transformer["InputTemplate"])
        assert set(re.findall(r"<([a-z]+)>", text)) == set(paths), name


def test_rules_and_alarms_may_write_to_the_topic() -> None:
    """EventBridge, "Amazon SNS permissions": "You can't use Condition blocks in Amazon SNS topic policies".

    SNS, "Example cases for access control": alarms bring their ARN. EventBridge, "Using resource-based
    policies": no role in a target that has such a policy.
    """
    made = stack(**WITH_API)
    said = made.resources["MailPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    services = {statement["Principal"]["Service"]: statement for statement in said}
    assert "Condition" not in services["events.amazonaws.com"]
    for rule in of_type("Events::Rule").values():
        assert all("RoleArn" not in target for target in rule["Targets"])
    # CloudWatch names an alarm without a name after its stack.
    (pattern,) = services["cloudwatch.amazonaws.com"]["Condition"]["ArnLike"].values()
    assert pattern.endswith(":alarm:splats-*")
    for alarm in of_type("CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == [{"Ref": "Mail"}] and "AlarmName" not in alarm
        # Without requests there is no data, and nothing wrong.
        assert alarm["TreatMissingData"] == "notBreaching"
    assert "ApiErrors" not in stack().resources and "ApiErrors" in made.resources


def test_the_budget_is_this_stacks_own() -> None:
    """Budgets, API_Budget CostFilters: `user:KEY$VALUE`; the tag is on all that is billed by it."""
    made = stack(Studio="true", **WITH_API).resources
    budget = made["Budget"]["Properties"]["Budget"]
    assert budget["CostFilters"] == {"TagKeyValue": ["user:stack$splats"]}
    kinds = ("S3::Bucket", "ECR::Repository", "CloudFront::Distribution")
    for name in itertools.chain.from_iterable(map(of_type, kinds)):
        tags = {tag["Key"]: tag["Value"] for tag in made[name]["Properties"]["Tags"]}
        assert tags == {"project": "splatmake", "stack": "splats"}, name
    for name, environment in of_type("Batch::ComputeEnvironment").items():
        if environment["ComputeResources"]["Type"] != "FARGATE":  # whose jobs bring their tags
            tags = made[name]["Properties"]["ComputeResources"]["Tags"]
            assert tags == {"project": "splatmake", "stack": "splats"}
    (disks,) = made["Machine"]["Properties"]["LaunchTemplateData"]["TagSpecifications"]
    assert {"Key": "stack", "Value": "splats"} in disks["Tags"]


# -- the dashboard ----------------------------------------------------------------------------------------

# EventBridge, "Monitoring Amazon EventBridge"; CloudFront, "View metrics" (in us-east-1 alone); S3, "Metrics
# and dimensions"; API Gateway, "Working with metrics for HTTP APIs"; Lambda, "Types of metrics for Lambda".
METRICS = {
    ("AWS/Events", "Invocations"): ("RuleName",),
    ("AWS/CloudFront", "Requests"): ("DistributionId", "Region"),
    ("AWS/CloudFront", "BytesDownloaded"): ("DistributionId", "Region"),
    ("AWS/S3", "BucketSizeBytes"): ("BucketName", "StorageType"),
    ("AWS/ApiGateway", "Count"): ("ApiId",),
    ("AWS/ApiGateway", "4xx"): ("ApiId",),
    ("AWS/ApiGateway", "5xx"): ("ApiId",),
    ("AWS/ApiGateway", "Latency"): ("ApiId",),
    ("AWS/Lambda", "Errors"): ("FunctionName",),
    ("AWS/Lambda", "Throttles"): ("FunctionName",),
}
IDENTIFIERS = {"RuleName", "DistributionId", "BucketName", "ApiId", "FunctionName"}


def widgets(**given: str) -> list[dict[str, Any]]:
    """Widgets of the dashboard under parameters."""
    body = stack(**given).resources["Dashboard"]["Properties"]["DashboardBody"]
    return list(json.loads(body)["widgets"])


def drawn(**given: str) -> Iterator[tuple[str, str, dict[str, str], str]]:
    """(namespace, metric, dimensions, region) of all lines of the dashboard."""
    for widget in widgets(**given):
        for line in widget["properties"].get("metrics", []):
            if isinstance(line, list):
                words = [word for word in line if isinstance(word, str)]
                dimensions = dict(zip(words[2::2], words[3::2], strict=True))
                yield words[0], words[1], dimensions, widget["properties"]["region"]


@pytest.mark.parametrize("given", [{}, WITH_API], ids=["alone", "api"])
def test_the_dashboard_shows_metrics_that_exist(given: dict[str, str]) -> None:
    """CloudWatch, "Dashboard body structure and syntax"."""
    lines = list(drawn(**given))
    assert len(lines) == (11 if given else 5)
    for namespace, metric, dimensions, region in lines:
        assert METRICS[namespace, metric] == tuple(dimensions), metric
        named = {value for key, value in dimensions.items() if key in IDENTIFIERS}
        assert named <= set(stack(**given).resources)
        assert region == ("us-east-1" if namespace == "AWS/CloudFront" else "eu-central-1")
    alarm = RESOURCES["ApiErrors"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) in METRICS
    assert [one["Name"] for one in alarm["Dimensions"]] == ["ApiId"]


def test_the_widgets_lie_side_by_side() -> None:
    """CloudWatch, "Dashboard body structure and syntax": a grid 24 wide; up to 50 metrics cost nothing."""
    cells: set[tuple[int, int]] = set()
    for widget in widgets(**WITH_API):
        assert widget["x"] + widget["width"] <= 24
        own = {
            (widget["x"] + x, widget["y"] + y)
            for x in range(widget["width"])
            for y in range(widget["height"])
        }
        assert not own & cells
        cells |= own
    assert len(list(drawn(**WITH_API))) <= 50


# -- what ends by itself ----------------------------------------------------------------------------------


def ends(bucket: str, **given: str) -> dict[str, int]:
    """{prefix: days after which what lies there is deleted} of a bucket."""
    rules = stack(**given).resources[bucket]["Properties"]["LifecycleConfiguration"]["Rules"]
    return {
        r.get("Prefix", ""): int(r["ExpirationInDays"]) for r in rules if "ExpirationInDays" in r
    }


def test_data_ends_when_the_operator_says() -> None:
    """S3, "Lifecycle configuration elements"."""
    assert ends("Bucket") == {"checkpoints/": 14, "uploads/": 30, "runs/": 90}
    chosen = {"KeepUploadsDays": "2", "KeepRunsDays": "7", "KeepPagesDays": "365"}
    assert ends("Bucket", **chosen) == {
        "checkpoints/": 14,
        "uploads/": 2,
        "runs/": 7,
        "web/": 365,
    }
    for name in ("AccessLogs", "WebVisits"):
        assert ends(name, KeepLogsDays="60") == {"": 60}
    rules = stack(KeepPagesDays="9").resources["Bucket"]["Properties"]["LifecycleConfiguration"][
        "Rules"
    ]
    assert len({rule["Id"] for rule in rules}) == len(rules) == 6
    for rule in rules:  # earlier versions too end some day
        assert "NoncurrentVersionExpiration" in rule or rule["Id"] == "unfinished"


def test_logs_end_after_days_that_cloudwatch_knows() -> None:
    """CloudWatch Logs, API_PutRetentionPolicy: only some numbers of days."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", "AWS::Logs::LogGroup").schema
    allowed = PARAMETERS["KeepLogsDays"]["AllowedValues"]
    assert set(allowed) <= set(schema["properties"]["RetentionInDays"]["enum"])
    made = stack(KeepLogsDays="60", **WITH_API).resources
    for name in of_type("Logs::LogGroup"):
        days = int(made[name]["Properties"]["RetentionInDays"])
        assert days == 60 or name == "SentinelLogs" and days == 7


# -- published pages --------------------------------------------------------------------------------------

# CloudFront, "Configure standard logging (legacy)": no bucket in these regions.
NO_VISITS = {
    "af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4",
    "ap-southeast-5", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2",
    "il-central-1", "me-central-1", "me-south-1", "mx-central-1",
}  # fmt: skip


def test_visits_are_logged_where_cloudfront_can_write() -> None:
    """CloudFront, "Configure standard logging (legacy)": access control lists, and not in every region."""
    logging = stack().resources["Web"]["Properties"]["DistributionConfig"]["Logging"]
    assert logging["Bucket"] == "WebVisits.DomainName"
    (owner,) = RESOURCES["WebVisits"]["Properties"]["OwnershipControls"]["Rules"]
    assert owner["ObjectOwnership"] == "BucketOwnerPreferred"
    quiet = stack(WebLogs="false")
    assert "Logging" not in quiet.resources["Web"]["Properties"]["DistributionConfig"]
    assert not {"WebVisits", "WebVisitsPolicy"} & set(quiet.resources)
    lines = (ROOT / "config" / "aws" / "README.md").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("Regions that have all of them: ")]
    named = set(re.findall(r"[a-z]+(?:-[a-z]+)+-\d", line))
    assert named and not named & NO_VISITS


def test_pages_may_have_a_domain_of_their_own() -> None:
    """CloudFront, "Requirements for using SSL/TLS certificates with CloudFront": ACM in us-east-1."""
    plain = stack()
    shown = plain.resources["Web"]["Properties"]["DistributionConfig"]
    assert "Aliases" not in shown and "ViewerCertificate" not in shown
    certificate = "arn:aws:acm:us-east-1:123456789012:certificate/0a-1b"
    own = stack(WebDomain="splats.example.org", WebCertificateArn=certificate)
    shown = own.resources["Web"]["Properties"]["DistributionConfig"]
    assert shown["Aliases"] == ["splats.example.org"]
    assert shown["ViewerCertificate"] == {
        "AcmCertificateArn": certificate,
        "SslSupportMethod": "sni-only",
        "MinimumProtocolVersion": "TLSv1.2_2021",
    }
    assert own.outputs["Web"]["Value"] == "https://splats.example.org"
    assert own.outputs["WebAddress"]["Value"] == "Web.DomainName"
    (web,) = [
        one["Value"]
        for one in own.resources["Coordinator"]["Properties"]["ContainerProperties"]["Environment"]
        if one["Name"] == "SPLATMAKE_WEB"
    ]
    assert web == "https://splats.example.org"
    pattern = re.compile(PARAMETERS["WebCertificateArn"]["AllowedPattern"])
    assert pattern.search(certificate) and pattern.search("")
    assert not pattern.search(certificate.replace("us-east-1", "eu-central-1"))
    assert "WebCertificateArn" in json.dumps(WHOLE["Rules"]["CertificateForDomain"])
    domain = re.compile(PARAMETERS["WebDomain"]["AllowedPattern"])
    assert domain.search("splats.example.org") and domain.search("")
    assert not domain.search("https://splats.example.org") and not domain.search("Splats.org")


# -- what machines reach ----------------------------------------------------------------------------------


def test_machines_reach_only_buckets_of_this_account() -> None:
    """VPC, "Gateway endpoints for Amazon S3"; ECR, "Minimum Amazon S3 bucket permissions for Amazon ECR".

    Amazon Linux, "Connecting to AL2023 repositories": the bucket that its packages come from.
    """
    (endpoint,) = of_type("EC2::VPCEndpoint").values()
    own, machines = stack().resources["S3Endpoint"]["Properties"]["PolicyDocument"]["Statement"]
    account = "123456789012"
    assert own["Condition"]["StringEquals"] == {
        "aws:PrincipalAccount": account,
        "aws:ResourceAccount": account,
    }
    assert machines["Action"] == "s3:GetObject" and set(machines["Resource"]) == {
        "arn:aws:s3:::prod-eu-central-1-starport-layer-bucket/*",
        "arn:aws:s3:::al2023-repos-eu-central-1-de612dc2/*",
    }
    assert endpoint["VpcEndpointType"] == "Gateway"
    (group,) = of_type("EC2::SecurityGroup").values()
    (out,) = group["SecurityGroupEgress"]
    # Coordinators call webhooks through it, too.
    assert (out["IpProtocol"], out["FromPort"], out["ToPort"]) == ("tcp", PORT, PORT)


# -- images -----------------------------------------------------------------------------------------------


def test_the_coordinators_image_may_be_pinned_by_digest() -> None:
    """AWS Batch, ContainerProperties: `registry/repository[@digest]` beside `[:tag]`."""
    digest = "sha256:" + "0" * 64

    def image(**given: str) -> str:
        made = stack(**given).resources["Coordinator"]["Properties"]["ContainerProperties"]
        return str(made["Image"])

    own = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/splats/runner"
    assert image(RunnerTag="0123") == f"{own}:0123"
    assert image(RunnerTag="0123", RunnerDigest=digest) == f"{own}@{digest}"
    assert image(RegistryPrefix="ghcr.io/me", RunnerDigest=digest) == f"ghcr.io/me/runner@{digest}"
    pattern = re.compile(PARAMETERS["RunnerDigest"]["AllowedPattern"])
    assert pattern.search(digest) and pattern.search("") and not pattern.search("0123")


def test_images_of_another_stack_can_be_started() -> None:
    """One stack a tenant shares the images of one: Fargate pulls with the execution role."""
    shared = stack(RegistryPrefix="123456789012.dkr.ecr.eu-central-1.amazonaws.com/first")
    (policy,) = shared.resources["ExecutionRole"]["Properties"]["Policies"]
    (pull,) = [
        s["Resource"]
        for s in policy["PolicyDocument"]["Statement"]
        if "ecr:BatchGetImage" in s["Action"]
    ]
    assert pull == "arn:aws:ecr:*:*:repository/*/runner"
