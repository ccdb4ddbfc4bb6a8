"""A stack of the last release becomes one of today in place: nothing that holds data is replaced or removed.

After a release, its template takes the place of the one in `released/`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.aws.cloud import Cloud
from tests.aws.evaluate import evaluated
from tests.aws.on_moto import MAIL, for_moto, in_a_bucket
from tests.aws.template import WHOLE, Loader

(FILE,) = (Path(__file__).parent / "released").glob("stack-*.yaml")
RELEASED: dict[str, Any] = yaml.load(FILE.read_text(), Loader)

# Kinds whose content, address or confirmation a new one would not have.
KEEPS = {
    "AWS::ApiGatewayV2::Api",
    "AWS::CloudFront::Distribution",
    "AWS::Cognito::UserPool",
    "AWS::ECR::Repository",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
}
WAYS = [
    {},
    {"ApiCode": "a", "WorkflowCode": "w"},
    {"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2", "RegistryPrefix": "ghcr.io/me"},
]


@dataclass(frozen=True)
class Change:
    """One change of a change set, as CloudFormation's API_ResourceChange names them."""

    action: str  # Add, Modify, Remove
    replacement: str = "False"  # True, False, Conditional


def value_at(properties: Any, pointer: str) -> Any:
    """What a resource says at /properties/A/B; None when nothing."""
    for part in pointer.split("/")[2:]:
        if not isinstance(properties, dict) or part not in properties:
            return None
        properties = properties[part]
    return properties


def change_of(old: dict[str, Any], new: dict[str, Any]) -> Change | None:
    """What becomes of one resource (CloudFormation, "Update behaviors of stack resources").

    Its type's published schema says what asks for a new one: createOnlyProperties always, the conditional
    ones as the type's page tells.
    """
    if old["Type"] != new["Type"]:
        return Change("Modify", "True")
    before, after = old.get("Properties", {}), new.get("Properties", {})
    if before == after:
        return None
    if not old["Type"].startswith("AWS::"):
        return Change("Modify")
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", old["Type"]).schema

    def differ(key: str) -> bool:
        return any(value_at(before, p) != value_at(after, p) for p in schema.get(key, []))

    if differ("createOnlyProperties"):
        return Change("Modify", "True")
    return Change("Modify", "Conditional" if differ("conditionalCreateOnlyProperties") else "False")


def change_set(old: dict[str, Any], new: dict[str, Any], **given: str) -> dict[str, Change]:
    """{resource: change} of an update from one template to another, under parameters."""
    before, after = evaluated(old, **given).resources, evaluated(new, **given).resources
    changes = {name: Change("Add") for name in after if name not in before}
    changes |= {name: Change("Remove") for name in before if name not in after}
    both = {name: change_of(before[name], after[name]) for name in before if name in after}
    return changes | {name: change for name, change in both.items() if change}


@pytest.mark.parametrize("given", WAYS, ids=["alone", "api", "own network and registry"])
def test_nothing_that_holds_data_is_replaced_or_removed(given: dict[str, str]) -> None:
    changes = change_set(RELEASED, WHOLE, **given)
    assert changes, f"{FILE.name} is today's template; a test of nothing"
    lost = {name for name, change in changes.items() if change.action == "Remove"}
    new = {name for name, change in changes.items() if change.replacement == "True"}
    resources = RELEASED["Resources"]
    assert not {name for name in lost | new if resources[name]["Type"] in KEEPS}
    # What has a name of its own cannot be replaced: CloudFormation makes the new one first.
    assert not new
    for name, change in changes.items():
        if change.replacement == "Conditional":  # AWS Batch, "Perform infrastructure updates"
            assert WHOLE["Resources"][name]["Properties"]["ReplaceComputeEnvironment"] is False


def test_a_bucket_with_another_name_would_be_seen() -> None:
    """The check above can fail: a name is createOnly, a type is another resource, and one can be missing."""
    changed = copy.deepcopy(WHOLE)
    changed["Resources"]["Bucket"]["Properties"]["BucketName"] = "other"
    changed["Resources"]["JobLogs"]["Type"] = "AWS::Logs::LogStream"
    del changed["Resources"]["SfmImages"]
    changes = change_set(WHOLE, changed)
    assert changes == {
        "Bucket": Change("Modify", "True"),
        "JobLogs": Change("Modify", "True"),
        "SfmImages": Change("Remove"),
    }


def test_an_upgrade_asks_for_nothing_new() -> None:
    """`aws cloudformation deploy` keeps the parameters that a stack has; new ones need a default."""
    old, new = RELEASED["Parameters"], WHOLE["Parameters"]
    assert set(old) <= set(new)
    assert all("Default" in new[name] for name in set(new) - set(old))
    assert {name: one["Type"] for name, one in old.items()} == {n: new[n]["Type"] for n in old}
    # Others refer to outputs by name.
    assert set(RELEASED["Outputs"]) <= set(WHOLE["Outputs"])


def test_the_change_set_of_an_upgrade(account: Cloud) -> None:
    """moto's change set adds and removes what is said above; of replacement it knows nothing."""
    cloudformation = account.client("cloudformation")
    cloudformation.create_stack(
        StackName="older",
        TemplateURL=in_a_bucket(account, for_moto(RELEASED)),
        Parameters=MAIL,
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    cloudformation.create_change_set(
        StackName="older",
        ChangeSetName="upgrade",
        ChangeSetType="UPDATE",
        TemplateURL=in_a_bucket(account, for_moto(WHOLE)),
        Parameters=MAIL,
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    shown = cloudformation.describe_change_set(ChangeSetName="upgrade", StackName="older")
    actions = {
        change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"]["Action"]
        for change in shown["Changes"]
    }
    expected = change_set(for_moto(RELEASED), for_moto(WHOLE), stack="older")
    for action in ("Add", "Remove"):
        ours = {name for name, change in expected.items() if change.action == action}
        assert {name for name, found in actions.items() if found == action} == ours
    assert "Remove" not in actions.values()
