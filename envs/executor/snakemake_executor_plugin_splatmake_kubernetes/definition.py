"""What Kubernetes is asked for: the released executor's Job, changed to what a stage needs. Plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GPU = "nvidia.com/gpu"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
# Kubernetes, "Pod failure policy": set on a pod whose node is drained, preempted, taken away or gone.
DISRUPTED = "DisruptionTarget"
KEPT_SECONDS = 86_400  # for which an ended job that nobody deleted can be looked at
# Tells stages that a scheduler gave them what they reserved.
JOB_VARIABLE = "SPLATMAKE_KUBERNETES_JOB"


@dataclass(frozen=True)
class Needs:
    """One job as Kubernetes sees it. Memory in MB (10^6 bytes), time in seconds; 0 for no limit."""

    image: str
    cores: int
    memory: int
    disk: int
    gpus: int
    shared_memory: int
    seconds: int


@dataclass(frozen=True)
class Place:
    """Where all jobs of a run may go, and what they get there."""

    nodes: Mapping[str, str]
    gpu_nodes: Mapping[str, str]
    tolerations: tuple[Mapping[str, str], ...]
    secret: str
    pull_secret: str


def image_name(container: str) -> str:
    """A rule's `container:` as Kubernetes takes it. Raises ValueError when it is no docker image."""
    if "://" in container and not container.startswith("docker://"):
        raise ValueError(f"{container} is not an image that Kubernetes can pull; use docker://...")
    return container.removeprefix("docker://")


def needs(resources: Mapping[str, Any], image: str) -> Needs:
    """What a job's resources ask for."""

    def number(name: str, default: int = 0) -> int:
        return int(resources.get(name) or default)

    return Needs(
        image=image,
        cores=max(1, number("_cores", 1)),
        memory=number("mem_mb", 2048),
        disk=number("disk_mb"),
        gpus=number("gpu"),
        shared_memory=number("shared_memory_size_mb"),
        seconds=60 * number("runtime"),
    )


def parse_labels(text: str | None) -> dict[str, str]:
    """`pool=spot,zone=a` as a dict. Raises ValueError on anything else."""
    labels = {}
    for pair in _parts(text):
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"{pair!r} is not of the form KEY=VALUE")
        labels[key.strip()] = value.strip()
    return labels


def parse_tolerations(text: str | None) -> tuple[dict[str, str], ...]:
    """`gpu=yes:NoSchedule,spot:NoSchedule` as Kubernetes writes it. Raises ValueError on anything else."""
    found = []
    for part in _parts(text):
        match = re.fullmatch(r"([^=:]+)(?:=([^:=]*))?:(\w+)", part)
        if match is None or match[3] not in EFFECTS:
            raise ValueError(
                f"{part!r} is not of the form KEY=VALUE:EFFECT or KEY:EFFECT, where EFFECT is one of"
                f" {', '.join(EFFECTS)}"
            )
        key, value, effect = match.groups()
        how = {"operator": "Exists"} if value is None else {"operator": "Equal", "value": value}
        found.append({"key": key, **how, "effect": effect})
    return tuple(found)


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def fitted(body: dict[str, Any], need: Needs, place: Place, cpu_share: float) -> dict[str, Any]:
    """The released executor's Job (as JSON) with what `need` and `place` say; `body` is changed.

    A pod that is disrupted is replaced by Kubernetes itself and counts as no failure. Whatever else fails
    is Snakemake's to repeat. Stages never ask Kubernetes anything, and need no rights on the node.
    """
    name, spec = body["metadata"]["name"], body["spec"]
    spec["backoffLimit"] = 0
    spec["ttlSecondsAfterFinished"] = KEPT_SECONDS
    spec["podFailurePolicy"] = {
        "rules": [{"action": "Ignore", "onPodConditions": [{"type": DISRUPTED, "status": "True"}]}]
    }
    spec["template"]["metadata"] = {"labels": dict(body["metadata"]["labels"])}
    pod = spec["template"]["spec"]
    pod["automountServiceAccountToken"] = False
    pod["securityContext"] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if need.seconds:
        pod["activeDeadlineSeconds"] = need.seconds  # of the pod's, which begin on its node
    if place.pull_secret:
        pod["imagePullSecrets"] = [{"name": place.pull_secret}]
    pod["nodeSelector"] = {**(pod.get("nodeSelector") or {}), **_nodes(need, place)}
    pod["tolerations"] = [dict(one) for one in place.tolerations]
    (container,) = pod["containers"]
    container["image"] = need.image
    container["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    container["env"] = [*(container.get("env") or []), {"name": JOB_VARIABLE, "value": name}]
    if place.secret:
        container["envFrom"] = [{"secretRef": {"name": place.secret}}]
    container["resources"] = _resources(need, cpu_share)
    if need.gpus:
        pod["tolerations"].append({"key": GPU, "operator": "Exists", "effect": "NoSchedule"})
    if need.shared_memory:
        memory = {"medium": "Memory", "sizeLimit": f"{need.shared_memory}M"}
        pod["volumes"].append({"name": "shm", "emptyDir": memory})
        container["volumeMounts"].append({"name": "shm", "mountPath": "/dev/shm"})
    return body


def _nodes(need: Needs, place: Place) -> Mapping[str, str]:
    return place.gpu_nodes if need.gpus and place.gpu_nodes else place.nodes


def _resources(need: Needs, cpu_share: float) -> dict[str, dict[str, str]]:
    """Memory and GPUs are limits too: Kubernetes, "Managing Resources": GPUs must be, and no memory is lent.

    Cores are asked for and not limited: what a node has left over, its jobs may use.
    """
    firm = {"memory": f"{need.memory}M"}
    if need.disk:
        firm["ephemeral-storage"] = f"{need.disk}M"
    if need.gpus:
        firm[GPU] = str(need.gpus)
    return {"requests": {"cpu": f"{int(need.cores * cpu_share * 1000)}m", **firm}, "limits": firm}
