"""What the state of a pod tells: why it waits, whether its node was taken away, why it failed."""

from __future__ import annotations

from typing import Any

from .definition import DISRUPTED

# Waiting for these ends by itself.
STARTING = ("ContainerCreating", "PodInitializing")


def is_disrupted(pod: Any) -> bool:
    """Whether Kubernetes took the pod away, and replaces it."""
    conditions = pod.status.conditions or []
    return any(one.type == DISRUPTED and one.status == "True" for one in conditions)


def waits_for(pod: Any) -> str:
    """Why a pod does not start, in Kubernetes' own words; empty when it starts or has started."""
    if pod.status.phase != "Pending":
        return ""
    for one in pod.status.conditions or []:
        if one.type == "PodScheduled" and one.status == "False":
            return one.message or one.reason or "no node is found"
    for container in pod.status.container_statuses or []:
        waiting = container.state.waiting
        if waiting and waiting.reason not in STARTING:
            return f"{waiting.reason}: {waiting.message}" if waiting.message else waiting.reason
    return ""


def failure(pod: Any) -> str:
    """Why a pod failed, in a few words; empty when only its log tells."""
    if pod.status.reason:  # Evicted, DeadlineExceeded
        return f"{pod.status.reason}: {pod.status.message or 'no message'}"
    for container in pod.status.container_statuses or []:
        ended = container.state.terminated
        if ended and ended.reason not in (None, "Error", "Completed"):
            return f"{ended.reason}, exit code {ended.exit_code}"  # OOMKilled
    return ""
