"""The template as moto's CloudFormation can make it."""

from __future__ import annotations

import json
from typing import Any

from tests.aws.cloud import BUCKET, Cloud
from tests.aws.evaluate import evaluated

# What it does not create: for a custom resource it would have to run a Lambda function.
NOT_ON_MOTO = {
    "AWS::Budgets::Budget",
    "AWS::CloudFront::Distribution",
    "AWS::CloudFront::OriginAccessControl",
    "AWS::CloudFront::ResponseHeadersPolicy",
    "AWS::CloudWatch::Dashboard",
    "AWS::SNS::TopicPolicy",
    "AWS::S3::BucketPolicy",
    "Custom::Sentinel",
}
# What it does not have or not read, and what stands for it.
REWRITES = {
    '{"Ref": "CpuInstanceTypes"}': '["c7i.2xlarge"]',
    '{"Ref": "GpuInstanceTypes"}': '["g6.xlarge"]',
    '{"Fn::GetAtt": ["Machine", "LatestVersionNumber"]}': '"$Latest"',
    '{"Fn::GetAtt": ["Web", "DomainName"]}': '"pages.example.org"',
    "${Web.DomainName}": "pages.example.org",
    '{"Ref": "Web"}': '"E1"',
    "${Dashboard}": "splats",
}
MAIL = [{"ParameterKey": "NotifyEmail", "ParameterValue": "me@example.org"}]


def for_moto(body: dict[str, Any]) -> dict[str, Any]:
    """A template with the few rewrites that moto needs; everything else is as AWS gets it."""
    there = evaluated(body)  # its change sets also make what a condition leaves out
    kept = {
        name: resource
        for name, resource in body["Resources"].items()
        if name in there.resources and resource["Type"] not in NOT_ON_MOTO
    }
    made: dict[str, Any] = json.loads(json.dumps(kept))
    for resource in made.values():
        # moto knows no service-linked role
        if resource["Type"] == "AWS::Batch::ComputeEnvironment":
            resource["Properties"]["ServiceRole"] = {"Fn::GetAtt": ["InstanceRole", "Arn"]}
            resource["Properties"]["ComputeResources"]["DesiredvCpus"] = 0
    outputs = {name: body["Outputs"][name] for name in there.outputs}
    text = json.dumps(body | {"Resources": made, "Outputs": outputs})
    for attribute, value in REWRITES.items():
        text = text.replace(attribute, value)
    return dict(json.loads(text))


def in_a_bucket(account: Cloud, body: dict[str, Any]) -> str:
    """The address of a template in S3, as `aws cloudformation deploy --s3-bucket` puts it there."""
    key = f"{len(account.keys('templates/'))}.template"
    account.client("s3").put_object(
        Bucket=BUCKET, Key=f"templates/{key}", Body=json.dumps(body).encode()
    )
    return f"https://{BUCKET}.s3.amazonaws.com/templates/{key}"
