"""The outputs of config/aws/stack.yaml, which its manual lists for others; and several stacks of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.aws.evaluate import evaluated
from tests.aws.template import RESOURCES, WHOLE, of_type
from tests.conftest import ROOT

MANUAL = ROOT / "config" / "aws" / "README.md"

# Kinds of resources that policies, alarms, networks or programs of others name.
SHARED = {
    "AWS::ApiGatewayV2::Api",
    "AWS::Batch::JobDefinition",
    "AWS::Batch::JobQueue",
    "AWS::CloudFront::Distribution",
    "AWS::CloudWatch::Dashboard",
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::Subnet",
    "AWS::EC2::VPC",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::Lambda::Function",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
}
# What is the stack's own business, and why.
INNER = {
    "ApiRole": "only its function runs with it",
    "ExecutionRole": "only Fargate takes it, before a coordinator starts",
    "ResultsPolicy": "a part of the three roles of jobs",
    "SentinelFunction": "runs once, when the stack is made",
    "SentinelLogs": "of that function",
    "SentinelRole": "of that function",
}


STUDIO = {"ApiCode": "a", "WorkflowCode": "w", "Studio": "true"}


def mentioned(value: Any) -> set[str]:
    """Names of resources that a value refers to."""
    text = json.dumps(value)
    names = re.findall(r'"Ref": "(\w+)"|"Fn::GetAtt": \["(\w+)"|\$\{(\w+)[.}]', text)
    return {name for found in names for name in found if name in RESOURCES}


def test_every_resource_that_others_name_is_an_output() -> None:
    shown = set().union(*(mentioned(output["Value"]) for output in WHOLE["Outputs"].values()))
    shared = {name for name, resource in RESOURCES.items() if resource["Type"] in SHARED}
    assert shared - shown == set(INNER)


def test_outputs_are_there_when_what_they_name_is() -> None:
    """CloudFormation, "Outputs": one that refers to what a condition left out fails the deployment."""
    ways: list[dict[str, str]] = [
        {},
        {"ApiCode": "a", "WorkflowCode": "w", "WebDomain": "a.org", "WebCertificateArn": "arn"},
        {"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2"},
        {"WebLogs": "false", "RegistryPrefix": "ghcr.io/me", "ThirdZone": "false"},
        STUDIO,
        STUDIO | {"JwtIssuer": "https://id.org", "JwtAudience": "a", "StudioClientId": "c"},
    ]
    for given in ways:
        made = evaluated(WHOLE, **given)
        words = set(re.findall(r"\w+", json.dumps([one["Value"] for one in made.outputs.values()])))
        absent = set(RESOURCES) - set(made.resources)
        # `Api` is a word of others' names too.
        assert not words & (absent - {"Api"}), given


def test_the_manual_lists_the_outputs() -> None:
    rows = re.findall(r"^\| `(\w+)`(.*?) \| (.+) \|$", MANUAL.read_text(), re.M)
    listed = {name: said for name, _, said in rows if name in WHOLE["Outputs"]}
    assert list(listed) == list(WHOLE["Outputs"])
    assert {n: o["Description"] for n, o in WHOLE["Outputs"].items()} == listed


NAMES = {
    "DashboardName",
    "Domain",
    "FunctionName",
    "JobDefinitionName",
    "JobQueueName",
    "LogGroupName",
    "RepositoryName",
    "RoleName",
    "TopicName",
    "UserPoolName",
}


def names_of(stack: str) -> Iterator[tuple[str, str]]:
    """(type, name) of all that a stack names itself; an account has each once, some in all regions."""
    for resource in evaluated(WHOLE, stack=stack, **STUDIO).resources.values():
        for key, value in resource.get("Properties", {}).items():
            if key in NAMES and value not in RESOURCES:
                yield resource["Type"], value


def test_stacks_beside_another_share_no_name_and_no_bucket() -> None:
    """One stack a tenant: what one may, it may with its own bucket, queues and images."""
    first, second = set(names_of("first")), set(names_of("second"))
    assert len(first) > 20 and not first & second
    tenant = evaluated(WHOLE, stack="first", ApiCode="a", WorkflowCode="w").resources
    for name in of_type("IAM::Role"):
        for policy in tenant[name]["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                if "s3:" in json.dumps(statement["Action"]):
                    text = json.dumps(statement["Resource"])
                    assert "Bucket.Arn" in text and '"*"' not in text, name
