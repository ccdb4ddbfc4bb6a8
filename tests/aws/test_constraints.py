"""What AWS refuses, or cannot change later, and neither cfn-lint nor moto tells of config/aws/stack.yaml.

Each check names the page of AWS's documentation that it comes from.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint
import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from scripts.lib.contracts.claim import Claim
from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.progress import Progress
from scripts.lib.contracts.request import RunRequest
from scripts.lib.contracts.stop import Stop
from scripts.lib.workflow.records import ARCHIVE
from tests.aws.template import PARAMETERS, RESOURCES, TEMPLATE, WHOLE, listed, of_type, policy
from tests.conftest import ROOT

LONGEST_STACK = "x" * 30  # as config/aws/README.md allows
LONGEST_REGION = "ap-southeast-1"
OFFERED = Path(cfnlint.__file__).parent.joinpath(
    "data", "schemas", "extensions", "aws_ec2_instance", "instancetype_enum.json"
)


def test_the_template_is_one_that_cloudformation_takes_from_a_bucket() -> None:
    """Understand CloudFormation quotas: 1 MB of a template in S3, and so many of each kind."""
    assert TEMPLATE.stat().st_size < 1_000_000
    most = {"Parameters": 200, "Resources": 500, "Outputs": 200}
    assert all(0 < len(WHOLE[part]) <= number for part, number in most.items())
    descriptions = [
        WHOLE["Description"],
        *(one.get("Description", "") for one in PARAMETERS.values()),
    ]
    assert all(len(text.encode()) <= 1024 for text in descriptions)


def test_the_manual_sends_the_template_by_a_bucket() -> None:
    """Understand CloudFormation quotas: 51 200 bytes of a template in a request; CLI, deploy: --s3-bucket."""
    pages = [ROOT / "README.md", *(ROOT / "config").rglob("*.md")]
    text = "\n".join(page.read_text() for page in pages).replace("\\\n", " ")
    whole = [line for line in text.splitlines() if "--template-file" in line]
    assert whole and all("--s3-bucket" in line for line in whole)
    (made,) = re.findall(r"aws s3 mb s3://(\S+)", text)
    assert all(f"--s3-bucket {made} " in line for line in whole)


# -- replacement ------------------------------------------------------------------------------------------


@cache
def schema(kind: str) -> dict[str, Any]:
    """The schema that AWS publishes for a type of resource, as cfn-lint carries it."""
    return dict(PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema)


def given(properties: Any, pointer: str) -> bool:
    """Whether a resource says something at /properties/A/B."""
    for part in pointer.split("/")[2:]:
        if not isinstance(properties, dict) or part not in properties:
            return False
        properties = properties[part]
    return True


def aws_resources() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(name, type, properties) of all resources of AWS's own types."""
    for name, resource in RESOURCES.items():
        if resource["Type"].startswith("AWS::"):
            yield name, resource["Type"], resource.get("Properties", {})


def test_what_may_have_to_be_replaced_has_no_name_of_its_own() -> None:
    """CloudFormation, "Name type": what has a name cannot be replaced, and the update of the stack fails.

    What asks for replacement stands in the resource's schema: `createOnlyProperties`, and those that do so
    under conditions. A resource with a name and another such property could never have that changed.
    """
    wrong, named = [], 0
    for name, kind, properties in aws_resources():
        of = schema(kind)
        fixed = [
            *of.get("createOnlyProperties", []),
            *of.get("conditionalCreateOnlyProperties", []),
        ]
        said = {pointer for pointer in fixed if given(properties, pointer)}
        own = {
            p for p in said if p.rpartition("/")[2] in ("Name", f"{kind.rpartition(':')[2]}Name")
        }
        # A name within something else, as a stage's in its API, is free again in a new one.
        inside = {pointer for pointer in said if pointer in of.get("primaryIdentifier", [])} - own
        if own:
            named += 1
            wrong += [(name, pointer) for pointer in said - own - inside]
            # Tags of the stack are put on everything that takes tags.
            wrong += [(name, pointer) for pointer in fixed if pointer == "/properties/Tags"]
    assert named >= 10 and wrong == []


def test_names_that_an_account_has_once_hold_the_region() -> None:
    """IAM and CloudFront are global: a second stack of this name in another region must not collide."""
    for name, kind, properties in aws_resources():
        if kind.startswith(("AWS::IAM", "AWS::CloudFront", "AWS::Budgets")):
            for value in names_in(properties):
                assert "${AWS::Region}" in json.dumps(value), (name, value)


def names_in(properties: Any) -> Iterator[Any]:
    """Values of `Name`, `RoleName` and the like, but not of inline policies, which lie inside a role."""
    if isinstance(properties, dict):
        for key, value in properties.items():
            if re.fullmatch(r"(Role|ManagedPolicy|InstanceProfile|Budget)?Name", key):
                yield value
            else:
                yield from names_in(value)


def test_names_are_not_too_long() -> None:
    """IAM and STS quotas: 64 characters for a role; Lambda, FunctionName: 64; Batch, JobQueueName: 128."""
    limits = {"RoleName": 64, "FunctionName": 64, "JobQueueName": 128, "RepositoryName": 256}
    seen = set()
    for name, _, properties in aws_resources():
        for key, limit in limits.items():
            if key in properties and "Fn::Sub" in properties[key]:
                text = properties[key]["Fn::Sub"].replace("${AWS::StackName}", LONGEST_STACK)
                text = text.replace("${AWS::Region}", LONGEST_REGION)
                assert len(text) <= limit and "$" not in text, (name, text)
                seen.add(key)
    assert seen == set(limits)


def ec2_environments() -> dict[str, dict[str, Any]]:
    found = of_type("Batch::ComputeEnvironment")
    return {n: p for n, p in found.items() if "FARGATE" not in p["ComputeResources"]["Type"]}


def test_machines_are_changed_in_place() -> None:
    """AWS Batch, "Perform infrastructure updates": the service-linked role and one of three strategies.

    "Error message when you update the desiredvCpus setting": what is running may not be scaled down by
    hand, so a template says no number. Without UpdateToLatestImageVersion an AMI stays that of the first day.
    """
    for name, properties in ec2_environments().items():
        resources = properties["ComputeResources"]
        assert "ServiceRole" not in properties and "DesiredvCpus" not in resources, name
        assert properties["ReplaceComputeEnvironment"] is False, name
        assert resources["UpdateToLatestImageVersion"] is True, name
        assert resources["AllocationStrategy"] in {
            "BEST_FIT_PROGRESSIVE",
            "SPOT_CAPACITY_OPTIMIZED",
            "SPOT_PRICE_CAPACITY_OPTIMIZED",
        }
        # Jobs of hours end first; "UpdatePolicy": at most 360 minutes.
        assert properties["UpdatePolicy"] == {
            "TerminateJobsOnUpdate": False,
            "JobExecutionTimeoutMinutes": 360,
        }
        # "Launch template support": only a number, $Latest or $Default; and $Latest is read once.
        version = resources["LaunchTemplate"]["Version"]
        assert version == {"Fn::GetAtt": ["Machine", "LatestVersionNumber"]}


def test_machines_start_in_three_zones_from_a_fast_disk() -> None:
    """EBS, "General Purpose SSD volumes": gp3 has 3 000 IOPS, and a quarter of a MiB/s for each."""
    for name, properties in of_type("Batch::ComputeEnvironment").items():
        _, own, _ = properties["ComputeResources"]["Subnets"]["Fn::If"]
        assert own[:2] == [{"Ref": "SubnetA"}, {"Ref": "SubnetB"}], name
        assert own[2]["Fn::If"][:2] == ["OwnThirdZone", {"Ref": "SubnetC"}]
    data = of_type("EC2::LaunchTemplate")["Machine"]["LaunchTemplateData"]
    (disk,) = data["BlockDeviceMappings"]
    assert disk["DeviceName"] == {"Ref": "RootDevice"}
    assert 125 < disk["Ebs"]["Throughput"] <= disk["Ebs"].get("Iops", 3000) / 4
    blocks = [subnet["CidrBlock"] for subnet in of_type("EC2::Subnet").values()]
    networks = [ipaddress.ip_network(block) for block in blocks]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(networks, 2))


# -- what a region has ------------------------------------------------------------------------------------


def offered() -> dict[str, set[str]]:
    """{region: instance types}, from AWS's price lists, as cfn-lint carries them."""
    content = json.loads(OFFERED.read_text())
    named = {key: value["enum"] for key, value in content.items() if isinstance(value, dict)}
    return {key: set(types) for key, types in named.items() if key != "all"}


def default_types() -> set[str]:
    names = ("CpuInstanceTypes", "GpuInstanceTypes")
    return {kind for name in names for kind in PARAMETERS[name]["Default"].split(",")}


def test_the_regions_named_in_the_manual_have_all_machines() -> None:
    """AWS Batch, CreateComputeEnvironment: `Instance type can only be one of [...]`, of that region's."""
    lines = (ROOT / "config" / "aws" / "README.md").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("Regions that have all of them: ")]
    told = set(re.findall(r"[a-z]+(?:-[a-z]+)+-\d", line))
    assert told == {region for region, types in offered().items() if default_types() <= types}


@pytest.mark.parametrize("path", ["config/aws/README.md", "containers/README.md"])
def test_the_manuals_examples_are_of_such_a_region(path: str) -> None:
    named = re.findall(r"(?:AWS_REGION=|dkr\.ecr\.)([a-z]+-[a-z]+-\d)", (ROOT / path).read_text())
    assert named
    for region in named:
        assert default_types() <= offered()[region], region


def test_every_machine_has_a_price() -> None:
    from scripts.lib.workflow.cost import PRICES, read_prices

    assert default_types() == set(read_prices(PRICES).machines)


# -- logs, images -----------------------------------------------------------------------------------------


def test_access_logs_name_the_request_and_its_caller() -> None:
    """AWS::ApiGatewayV2::Stage AccessLogSettings: "must include at least $context.requestId", one line."""
    for stage in of_type("ApiGatewayV2::Stage").values():
        text = stage["AccessLogSettings"]["Format"]
        assert "$context.requestId" in text and "\n" not in text.strip()
        fields = json.loads(text)
        # With a token there is a subject, with a signature an ARN; `identity.caller` is empty with a token.
        assert {"$context.authorizer.claims.sub", "$context.identity.userArn"} <= set(
            fields.values()
        )


def test_images_in_use_are_kept_and_the_stack_can_be_deleted() -> None:
    """Amazon ECR, "Lifecycle policy properties"; AWS::ECR::Repository EmptyOnDelete."""
    for repository in of_type("ECR::Repository").values():
        assert repository["EmptyOnDelete"] is True
        rules = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
        assert [rule["selection"]["tagStatus"] for rule in rules] == ["untagged", "tagged"]
        assert rules[0]["selection"]["countType"] == "sinceImagePushed"


# -- jobs that wait ---------------------------------------------------------------------------------------


def test_no_job_waits_for_ever() -> None:
    """AWS Batch, "Automatic remediation with jobStateTimeLimitActions", API_JobStateTimeLimitAction.

    RUNNABLE is the only state, CANCEL the only action of such queues, 600 to 86 400 seconds; what the
    executor makes of each reason: tests/unit/test_executor_watch.py.
    """
    for name, queue in of_type("Batch::JobQueue").items():
        actions = queue["JobStateTimeLimitActions"]
        assert {action["Reason"] for action in actions} == {
            "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
            "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
            "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        }, name
        for action in actions:
            assert (action["State"], action["Action"]) == ("RUNNABLE", "CANCEL")
            assert 600 <= action["MaxTimeSeconds"] <= 86_400


# -- Fargate ----------------------------------------------------------------------------------------------

# AWS Batch, ContainerProperties and ComputeResource: not applicable to Fargate, "don't specify it".
NOT_ON_FARGATE = {"Privileged", "Ulimits", "InstanceType", "Memory", "Vcpus"}
NOT_IN_ITS_ENVIRONMENT = {
    "AllocationStrategy",
    "BidPercentage",
    "DesiredvCpus",
    "Ec2Configuration",
    "ImageId",
    "InstanceRole",
    "InstanceTypes",
    "LaunchTemplate",
    "MinvCpus",
    "Tags",
    "UpdateToLatestImageVersion",
}
FARGATE_MEMORY = {"0.25": (512, 2048), "0.5": (1024, 4096), "1": (2048, 8192), "2": (4096, 16384)}


def test_the_coordinator_is_one_that_fargate_takes() -> None:
    """AWS Batch, "Jobs on Fargate", ResourceRequirement: pairs of vCPU and memory; a role to pull and log."""
    (definition,) = of_type("Batch::JobDefinition").values()
    container = definition["ContainerProperties"]
    assert definition["PlatformCapabilities"] == ["FARGATE"]
    assert not NOT_ON_FARGATE & set(container) and "ExecutionRoleArn" in container
    needs = {need["Type"]: need["Value"] for need in container["ResourceRequirements"]}
    least, most = FARGATE_MEMORY[needs["VCPU"]]
    assert set(needs) == {"VCPU", "MEMORY"} and least <= int(needs["MEMORY"]) <= most
    assert int(needs["MEMORY"]) % 1024 == 0
    # In a subnet without NAT the image is out of reach otherwise ("Jobs on Fargate": assignPublicIp).
    assert container["NetworkConfiguration"] == {"AssignPublicIp": "ENABLED"}
    environments = of_type("Batch::ComputeEnvironment")
    (name,) = set(environments) - set(ec2_environments())
    assert not NOT_IN_ITS_ENVIRONMENT & set(environments[name]["ComputeResources"])
    queue = of_type("Batch::JobQueue")["CoordinatorQueue"]
    (order,) = queue["ComputeEnvironmentOrder"]
    assert order["ComputeEnvironment"] == {"Ref": name}


# -- who may what -----------------------------------------------------------------------------------------


def about(name: str, action: str) -> dict[str, Any]:
    (found,) = [s for s in policy(name) if action in listed(s["Action"])]
    return found


def test_nobody_registers_other_jobs_or_ends_others_jobs() -> None:
    """Service Authorization Reference, "Actions, resources, and condition keys for AWS Batch"."""
    conditions = about("SubmitterPolicy", "batch:RegisterJobDefinition")["Condition"]
    assert conditions["Bool"] == {"batch:Privileged": "false"}
    assert conditions["StringEquals"] == {"batch:AWSLogsGroup": {"Ref": "JobLogs"}}
    assert all(
        "/*" in json.dumps(way) for way in conditions["StringLike"]["batch:Image"]["Fn::If"][1:]
    )
    own = {"StringEquals": {"aws:ResourceTag/stack": {"Ref": "AWS::StackName"}}}
    for name in ("SubmitterPolicy", "ApiRole"):
        assert about(name, "batch:TerminateJob")["Condition"] == own


def test_jobs_do_not_write_what_their_submitter_reads() -> None:
    """A hijacked decoder runs with their role; Snakemake reads records.zip on the operator's machine."""
    (denied,) = [s for s in policy("ResultsPolicy") if s["Effect"] == "Deny"]
    assert set(denied["Action"]) == {"s3:PutObject", "s3:DeleteObject"}
    names = set(re.findall(r"runs/\*/([a-z.]+)", json.dumps(denied["Resource"])))
    kinds = (Progress, RunRequest, Outcome, Stop, Claim)
    assert names == {ARCHIVE, *(kind.file for kind in kinds)}
    # `*` of a policy matches `/` too: no stage may have an output of such a name.
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    assert not [name for name in names if f"/{name}" in rules]


def test_whoever_submits_may_look_before() -> None:
    """What scripts.preflight asks of AWS beside what jobs need."""
    for action in (
        "ecr:DescribeImages",
        "servicequotas:GetServiceQuota",
        "ec2:DescribeSpotPriceHistory",
        "ec2:DescribeInstanceTypeOfferings",
        "batch:DescribeJobQueues",
    ):
        assert about("SubmitterPolicy", action)


def test_the_api_writes_nothing_but_its_own_files() -> None:
    resources = json.dumps(about("ApiRole", "s3:PutObject")["Resource"])
    assert re.findall(r"Arn\}/([^\"]+)", resources) == [
        "runs/*/request.json",
        "runs/*/stop.json",
        "runs/*/keys/*/claim.json",
        "uploads/*",
    ]
    assert about("CallerPolicy", "execute-api:Invoke")


def test_policies_are_not_too_large() -> None:
    """IAM quotas: 6 144 signs of a managed policy, 10 240 of a role's own together, spaces not counted."""
    for kind, key, most in (
        ("ManagedPolicy", "PolicyDocument", 6144),
        ("Role", "Policies", 10_240),
    ):
        for name, properties in of_type(f"IAM::{kind}").items():
            text = json.dumps(properties.get(key, []), separators=(",", ":"))
            for short, long in LONG.items():
                text = text.replace(short, long)
            assert len(text) < most, name


# What the short forms of the template stand for, at their longest.
LONG = {
    "${AWS::Partition}": "aws-us-gov",
    "${AWS::Region}": LONGEST_REGION,
    "${AWS::AccountId}": "123456789012",
    "${AWS::StackName}": LONGEST_STACK,
    "${Bucket.Arn}": "arn:aws-us-gov:s3:::" + "b" * 63,
}


def test_requests_are_logged_where_that_is_allowed_first() -> None:
    """S3, "Enabling Amazon S3 server access logging": the policy of the target comes before its use."""
    assert RESOURCES["Bucket"]["DependsOn"] == "AccessLogsPolicy"
    assert RESOURCES["AccessLogsPolicy"]["Properties"]["Bucket"] == {"Ref": "AccessLogs"}


def test_tokens_are_for_this_api() -> None:
    """Without an audience each token of an issuer would do, without a scope each of its users."""
    rules = WHOLE["Rules"]
    assert "JwtAudience" in json.dumps(rules["TokensForThisApi"])
    for route in of_type("ApiGatewayV2::Route").values():
        assert route["AuthorizationScopes"]["Fn::If"][:2] == ["WithScopes", {"Ref": "JwtScopes"}]


def test_browsers_of_named_origins_may_call_and_upload() -> None:
    """API Gateway, "Configure CORS for HTTP APIs"; S3, "Elements of a CORS configuration"."""
    (api,) = of_type("ApiGatewayV2::Api").values()
    (bucket,) = [b for b in of_type("S3::Bucket").values() if "CorsConfiguration" in b]
    for cors in (api["CorsConfiguration"], bucket["CorsConfiguration"]):
        condition, given, none = cors["Fn::If"]
        assert (condition, none) == ("WithBrowsers", {"Ref": "AWS::NoValue"})
        assert '{"Ref": "AllowedOrigins"}' in json.dumps(given) and '"https://*"' not in json.dumps(
            given
        )
    methods = {route["RouteKey"].split()[0] for route in of_type("ApiGatewayV2::Route").values()}
    assert set(api["CorsConfiguration"]["Fn::If"][1]["AllowMethods"]) == methods


def test_a_topic_that_events_reach_has_no_key_of_aws() -> None:
    """SNS, "Key management": services such as EventBridge cannot use the key alias/aws/sns."""
    (topic,) = of_type("SNS::Topic").values()
    assert "KmsMasterKeyId" not in topic
    for rule in of_type("Events::Rule").values():
        assert rule["Targets"][0]["Arn"] == {"Ref": "Mail"}
