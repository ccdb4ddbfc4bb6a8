"""config/aws/stack.yaml: clean by cfn-lint, created on moto as far as that goes, closed where it must be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

from scripts.lib.cloud.aws import COORDINATOR_QUEUE
from scripts.lib.cloud.routes import ROUTES
from tests.aws.cloud import REGION, Cloud
from tests.aws.on_moto import MAIL, for_moto, in_a_bucket
from tests.aws.template import RESOURCES, TEMPLATE, WHOLE, listed, of_type, statements

# What reads and AWS can narrow to no resource (Service Authorization Reference of ECR and Service Quotas).
ONLY_FOR_ALL = {"ecr:GetAuthorizationToken", "servicequotas:GetServiceQuota"}


def test_cfn_lint_has_nothing_to_say() -> None:
    program = Path(sys.executable).parent / "cfn-lint"
    result = subprocess.run([program, TEMPLATE], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_what_checkov_is_not_to_ask_has_a_reason(root: Path) -> None:
    """`.ci/checkov` runs it, in an environment of its own."""
    skipped = [
        entry
        for resource in RESOURCES.values()
        for entry in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert skipped and all(entry["id"] and len(entry["comment"]) > 10 for entry in skipped)
    path = root / "config" / "aws" / "checkov.yaml"
    left_out = yaml.safe_load(path.read_text())["skip-check"]
    lines = [line for line in path.read_text().splitlines() if line.startswith("  - CKV")]
    assert len(lines) == len(left_out) and all(len(line.partition("#")[2]) > 10 for line in lines)


def test_no_role_may_do_everything() -> None:
    """No wildcard service, `*` as a resource only for what AWS cannot narrow, nobody deletes a bucket."""
    for name, statement in statements():
        actions = listed(statement["Action"])
        assert not [a for a in actions if a == "*" or a.endswith(":*")], name
        if "*" in listed(statement["Resource"]):
            looks = [a for a in actions if a.partition(":")[2].startswith(("Describe", "List"))]
            assert set(actions) - set(looks) <= ONLY_FOR_ALL, (name, actions)
        assert not {"s3:DeleteBucket", "s3:DeleteObjectVersion"} & set(actions)
        if "iam:PassRole" in actions:
            services = statement["Condition"]["StringEquals"]["iam:PassedToService"]
            assert set(services) == {"ecs-tasks.amazonaws.com", "batch.amazonaws.com"}
            assert all("Fn::GetAtt" in role for role in statement["Resource"])
    for name, role in of_type("IAM::Role").items():
        for policy in role.get("ManagedPolicyArns", []):
            text = json.dumps(policy)
            assert "FullAccess" not in text and "Administrator" not in text, name


def test_jobs_reach_only_their_prefixes() -> None:
    """Pages are written by publish alone, uploads read by import and the submitter alone."""
    for name, statement in statements():
        for resource in listed(statement["Resource"]):
            text = json.dumps(resource)
            if "/web/*" in text and name == "ApiRole":
                assert (
                    statement["Action"] == "s3:DeleteObject"
                )  # of a run that is deleted with its data
            elif "/web/*" in text:
                # Nobody else may write pages; this one also removes what earlier versions left.
                assert name == "PublishRole"
                wanted = {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}
                assert set(statement["Action"]) == wanted
            if "/uploads/*" in text and "s3:PutObject" in listed(statement["Action"]):
                assert name == "ApiRole"
            assert "Bucket.Arn}/*" not in text, name


def test_the_bucket_is_private_encrypted_and_kept() -> None:
    for name, each in of_type("S3::Bucket").items():
        assert set(each["PublicAccessBlockConfiguration"].values()) == {True}
        (rule,) = each["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in ("AES256", "aws:kms")
        assert RESOURCES[name]["DeletionPolicy"] == "Retain"
    policies = of_type("S3::BucketPolicy")
    assert {p["Bucket"]["Ref"] for p in policies.values()} == set(of_type("S3::Bucket"))
    for policy in policies.values():
        said = policy["PolicyDocument"]["Statement"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in [
            s["Condition"] for s in said if s["Effect"] == "Deny"
        ]
        for statement in said:
            if statement["Effect"] == "Allow":
                known = {key.lower() for key in statement["Condition"]["StringEquals"]}
                assert known & {"aws:sourcearn", "aws:sourceaccount"}
    bucket = of_type("S3::Bucket")["Bucket"]
    old_tls = {"NumericLessThan": {"s3:TlsVersion": 1.2}}
    denied = policies["BucketPolicy"]["PolicyDocument"]["Statement"]
    assert old_tls in [s["Condition"] for s in denied]
    # What a job deletes can be had back: no role may delete a version.
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["LoggingConfiguration"]["DestinationBucketName"] == {"Ref": "AccessLogs"}
    assert "Custom::Sentinel" in {r["Type"] for r in RESOURCES.values()}


def test_the_api_is_never_open() -> None:
    """Each route asks for a signature or a token, whatever the parameters are."""
    routes = of_type("ApiGatewayV2::Route")
    keys = {r["RouteKey"] for r in routes.values()}
    # All paths of the methods that the API knows. ANY would take OPTIONS in, which browsers send without a
    # token (API Gateway, "Configure CORS for HTTP APIs": "... with a $default route and an authorizer").
    assert keys == {f"{route.method} /{{proxy+}}" for route in ROUTES}
    for name, route in routes.items():
        assert route["AuthorizationType"] == {"Fn::If": ["WithJwt", "JWT", "AWS_IAM"]}, name
        assert route["AuthorizerId"]["Fn::If"][:2] == ["WithJwt", {"Ref": "ApiAuthorizer"}]


def test_machines_are_closed_and_cost_nothing_when_idle() -> None:
    for name, environment in of_type("Batch::ComputeEnvironment").items():
        resources = environment["ComputeResources"]
        if resources["Type"] == "FARGATE":
            continue
        assert resources["MinvCpus"] == 0, name
        spot = "Spot" in name
        assert resources["Type"] == ("SPOT" if spot else "EC2")
        kind = "GpuInstanceTypes" if "Gpu" in name else "CpuInstanceTypes"
        assert resources["InstanceTypes"] == {"Ref": kind}
    (group,) = of_type("EC2::SecurityGroup").values()
    assert "SecurityGroupIngress" not in group
    data = of_type("EC2::LaunchTemplate")["Machine"]["LaunchTemplateData"]
    assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    for repository in of_type("ECR::Repository").values():
        assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}


def test_the_profile_and_the_stack_use_the_same_names(root: Path) -> None:
    profile = yaml.safe_load(
        (root / "config" / "profiles" / "aws-batch" / "config.yaml").read_text()
    )
    queues = {q["JobQueueName"]["Fn::Sub"] for q in of_type("Batch::JobQueue").values()}
    wanted = {value for key, value in profile.items() if key.endswith("-queue")}
    wanted.add(f"$SPLATMAKE_STACK-{COORDINATOR_QUEUE}")  # which the job API asks
    assert queues == {name.replace("$SPLATMAKE_STACK", "${AWS::StackName}") for name in wanted}
    roles = {r["RoleName"]["Fn::Sub"] for r in of_type("IAM::Role").values() if "RoleName" in r}
    used = [profile["splatmake-batch-job-role"]]
    used += [
        r["batch_job_role"] for r in profile["set-resources"].values() if "batch_job_role" in r
    ]
    named = {
        name.replace("$SPLATMAKE_STACK", "${AWS::StackName}").replace(
            "$AWS_REGION", "${AWS::Region}"
        )
        for name in used
    }
    assert named == roles
    (logs,) = [g for n, g in of_type("Logs::LogGroup").items() if n == "JobLogs"]
    assert logs["LogGroupName"]["Fn::Sub"] == profile["splatmake-batch-log-group"].replace(
        "$SPLATMAKE_STACK", "${AWS::StackName}"
    )


def test_the_stack_is_created_on_moto(account: Cloud) -> None:
    cloudformation = account.client("cloudformation")
    cloudformation.create_stack(
        StackName="real",
        TemplateURL=in_a_bucket(account, for_moto(WHOLE)),
        Parameters=MAIL,
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    (stack,) = cloudformation.describe_stacks(StackName="real")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    queues = {q["jobQueueName"] for q in account.client("batch").describe_job_queues()["jobQueues"]}
    assert {"real-cpu-spot", "real-cpu-on-demand", "real-gpu-spot", "real-gpu-on-demand"} <= queues
    outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
    s3 = account.client("s3")
    encryption = s3.get_bucket_encryption(Bucket=outputs["Bucket"])
    assert encryption["ServerSideEncryptionConfiguration"]["Rules"]
    role = account.client("iam").get_role(RoleName=f"real-{REGION}-job")["Role"]
    assert "ecs-tasks.amazonaws.com" in json.dumps(role["AssumeRolePolicyDocument"])
    assert outputs["Registry"].endswith(f"{REGION}.amazonaws.com/real")
