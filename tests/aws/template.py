"""config/aws/stack.yaml as Python values, for the tests that read it."""

from __future__ import annotations

from typing import Any

import yaml

from tests.conftest import ROOT

TEMPLATE = ROOT / "config" / "aws" / "stack.yaml"
TAGS = ("Ref", "Condition")  # short forms that are not `Fn::...`


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, `!Ref x` as {"Ref": "x"}."""


def _short_form(loader: Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in TAGS else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _short_form)


def template() -> dict[str, Any]:
    return yaml.load(TEMPLATE.read_text(), Loader)


WHOLE = template()  # to read only
RESOURCES = WHOLE["Resources"]
PARAMETERS = WHOLE["Parameters"]


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """{name: properties} of the resources of one type."""
    found = {n: r["Properties"] for n, r in RESOURCES.items() if r["Type"] == f"AWS::{kind}"}
    assert found, kind
    return found


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements() -> list[tuple[str, dict[str, Any]]]:
    """(resource, statement) of every policy that gives a role rights."""
    found = []
    for kind in ("IAM::Role", "IAM::ManagedPolicy"):
        for name, properties in of_type(kind).items():
            policies = [p["PolicyDocument"] for p in properties.get("Policies", [])]
            policies += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
            found += [(name, s) for policy in policies for s in policy["Statement"]]
    assert len(found) > 10
    return found


def policy(name: str) -> list[dict[str, Any]]:
    """Statements of a managed policy or of a role's own policies."""
    properties = RESOURCES[name]["Properties"]
    inline = [one["PolicyDocument"] for one in properties.get("Policies", [])]
    managed = [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
    return [statement for document in inline + managed for statement in document["Statement"]]
