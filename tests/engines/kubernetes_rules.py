"""What Kubernetes refuses of a Job, and whom it refuses a request: the rules that a run could break.

The names in brackets are pages of kubernetes.io/docs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tests.conftest import ROOT

ACCESS = ROOT / "config" / "profiles" / "kubernetes" / "access.yaml"
QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")  # [Resource Management for Pods]
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")  # [Object Names and IDs]
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")  # [Labels and Selectors]


class AccessRules:
    """The namespace, its accounts and the rights in it, as the profile's access.yaml makes them."""

    def __init__(self) -> None:
        documents = list(yaml.safe_load_all(ACCESS.read_text()))
        kinds = {
            kind: [d for d in documents if d["kind"] == kind]
            for kind in {d["kind"] for d in documents}
        }
        (space,), (role,) = kinds["Namespace"], kinds["Role"]
        self.namespace: str = space["metadata"]["name"]
        self.enforced = space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        self.accounts = {one["metadata"]["name"] for one in kinds["ServiceAccount"]}
        self.rights = {
            (verb, group, resource)
            for rule in role["rules"]
            for verb in rule["verbs"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
        }


def faults(job: Mapping[str, Any], rules: AccessRules) -> Iterator[str]:
    """What Kubernetes finds wrong with a Job."""
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    yield from _of_names(job)
    if pod.get("restartPolicy") not in ("Never", "OnFailure"):
        yield "spec.template.spec.restartPolicy: Unsupported value"
    if "podFailurePolicy" in spec and pod["restartPolicy"] != "Never":  # [Jobs]
        yield "spec.template.spec.restartPolicy: only Never is supported when podFailurePolicy is set"
    if pod.get("serviceAccountName", "default") not in rules.accounts | {"default"}:
        yield f"error looking up service account {pod['serviceAccountName']}: not found"
    for one in pod.get("tolerations", []):  # [Taints and Tolerations]
        if one["operator"] == "Exists" and "value" in one:
            yield "tolerations[].operator: value must be empty when `operator` is 'Exists'"
    volumes = [volume["name"] for volume in pod.get("volumes", [])]
    for container in pod["containers"]:
        yield from _of_container(container, volumes)
    if rules.enforced == "restricted":
        yield from _of_security(pod)


def _of_names(job: Mapping[str, Any]) -> Iterator[str]:
    name = job["metadata"]["name"]
    of_pod = job["spec"]["template"].get("metadata", {}).get("labels", {})
    if not NAME.fullmatch(name) or len(name) > 63:
        yield f"metadata.name: Invalid value: {name}"
    for value in [*job["metadata"]["labels"].values(), *of_pod.values()]:
        if not LABEL.fullmatch(value) or len(value) > 63:
            yield f"metadata.labels: Invalid value: {value}"


def _of_container(container: Mapping[str, Any], volumes: list[str]) -> Iterator[str]:
    if not container.get("image") or "://" in container["image"]:
        yield "containers[].image: Invalid value"
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in volumes:
            yield f"containers[].volumeMounts[].name: Not found: {mount['name']}"
    limits, requests = (
        container["resources"].get("limits", {}),
        container["resources"].get("requests", {}),
    )
    for resource, amount in [*limits.items(), *requests.items()]:
        if not QUANTITY.fullmatch(amount):
            yield f"resources: {resource}: quantities must match the regular expression"
    for resource, amount in requests.items():
        if "/" in resource and limits.get(resource) != amount:  # [Schedule GPUs]
            yield f"resources.limits: {resource}: Limit must be set for non overcommitable resources"
    for resource in limits:
        if "/" in resource and limits[resource] == "0":
            yield f"resources.limits: {resource}: nothing is asked for"


def _of_security(pod: Mapping[str, Any]) -> Iterator[str]:
    """[Pod Security Standards], "Restricted"."""
    whole = pod.get("securityContext", {})
    if whole.get("runAsNonRoot") is not True:
        yield "violates PodSecurity: runAsNonRoot != true"
    if whole.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "violates PodSecurity: seccompProfile"
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            yield "violates PodSecurity: allowPrivilegeEscalation != false"
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            yield "violates PodSecurity: unrestricted capabilities"
    if any("hostPath" in volume for volume in pod.get("volumes", [])):
        yield "violates PodSecurity: hostPath volumes"
