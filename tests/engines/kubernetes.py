"""A Kubernetes on this machine: the requests that a run makes, and nodes that really execute its pods.

Each pod's command runs as a process of its own in an empty folder, with the pod's environment and nothing
of the submitter's. There is a node without a GPU and one with one GPU and its taint; a pod gets the node
that it asks for, or waits and says why. Jobs follow their pods as Kubernetes' own controller makes them.
Images are not pulled: the process runs in this Python.
"""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.engines.kubernetes_rules import AccessRules

GPU = "nvidia.com/gpu"
CPU_PODS = 2  # at once on the node without a GPU
MOST_SECONDS = 900  # only end what would never end


@dataclass
class Pod:
    """One pod, as it really went."""

    name: str
    job: str
    manifest: dict[str, Any]  # of the Job's template
    annotations: dict[str, str]  # of the Job
    created: datetime
    node: str = ""
    waits: str = ""
    process: subprocess.Popen[bytes] | None = None
    exit_code: int | None = None
    reason: str = ""  # that Kubernetes gives for its end
    disrupted: bool = False

    @property
    def container(self) -> dict[str, Any]:
        (container,) = self.manifest["spec"]["containers"]
        return dict(container)

    @property
    def rule(self) -> str:
        """The rule that it runs."""
        return self.annotations["snakemake/rule"]

    @property
    def gpus(self) -> int:
        return int(self.container["resources"].get("limits", {}).get(GPU, 0))

    def kill(self) -> None:
        """End all its processes at once."""
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


@dataclass
class Cluster:
    """The state of the cluster: jobs, secrets, and all pods that ever were."""

    folder: Path
    rules: AccessRules = field(default_factory=AccessRules)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)  # decoded
    pods: list[Pod] = field(default_factory=list)
    present: set[str] = field(default_factory=set)  # names of the pods that were not deleted
    pod_environment: dict[str, str] = field(default_factory=dict)  # what the images have
    lock: threading.RLock = field(default_factory=threading.RLock)
    unavailable: int = 0  # how many of the next requests get no answer

    def running(self, rule: str) -> Pod | None:
        """The pod of a rule that runs now."""
        with self.lock:
            return next(
                (p for p in self.pods if p.rule == rule and p.process and p.exit_code is None), None
            )

    def take_node_away(self, pod: Pod) -> None:
        """As with a spot node: the pod is marked, then everything on the node is gone."""
        with self.lock:
            pod.disrupted = True
            pod.kill()

    def out_of_memory(self, pod: Pod) -> None:
        """As the kernel ends a container that takes more than its limit."""
        with self.lock:
            pod.reason = "OOMKilled"
            pod.kill()

    def wait_for(self, what: Callable[[], Any], run: subprocess.Popen[str]) -> Any:
        """Wait until `what` gives something true while `run` goes on; its value."""
        for _ in range(MOST_SECONDS * 20):
            if value := what():
                return value
            assert run.poll() is None, run.communicate()[0]
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come true within {MOST_SECONDS} s")

    # -- what Kubernetes' controllers do ----------------------------------------------------------------

    def tend(self) -> None:
        """One look at all pods and jobs."""
        with self.lock:
            for pod in [pod for pod in self.pods if pod.name in self.present]:
                if pod.process is None:
                    self._schedule(pod)
                elif pod.exit_code is None and pod.process.poll() is not None:
                    self._ended(pod)

    def add_pod(self, job: str) -> None:
        """The pod of a job."""
        manifest = self.jobs[job]["spec"]["template"]
        number = sum(pod.job == job for pod in self.pods)
        notes = self.jobs[job]["metadata"].get("annotations", {})
        pod = Pod(f"{job}-{number}", job, manifest, notes, datetime.now(UTC))
        self.pods.append(pod)
        self.present.add(pod.name)

    def remove(self, job: str) -> None:
        """A job and its pods."""
        self.jobs.pop(job, None)
        for pod in self.pods:
            if pod.job == job:
                pod.kill()
                self.present.discard(pod.name)

    def _schedule(self, pod: Pod) -> None:
        """Start a pod on the node that it fits on."""
        node = "gpu" if pod.gpus else "cpu"
        tolerated = {one["key"] for one in pod.manifest["spec"].get("tolerations", [])}
        busy = [p for p in self.pods if p.node == node and p.exit_code is None]
        labels = {"kubernetes.io/os": "linux", "pool": node}
        wanted = pod.manifest["spec"].get("nodeSelector", {})
        if not wanted.items() <= labels.items():
            pod.waits = (
                "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."
            )
        elif pod.gpus and (pod.gpus > 1 or busy):
            pod.waits = f"0/2 nodes are available: 2 Insufficient {GPU}."
        elif pod.gpus and GPU not in tolerated:
            pod.waits = (
                f"0/2 nodes are available: 1 node(s) had untolerated taint {{{GPU}: present}}."
            )
        elif len(busy) >= CPU_PODS:
            pod.waits = "0/2 nodes are available: 2 Insufficient cpu."
        else:
            pod.node, pod.waits = node, ""
            self._start(pod)

    def _start(self, pod: Pod) -> None:
        """Run its container."""
        container = pod.container
        folder = self.folder / pod.name
        folder.mkdir()
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            **self.pod_environment,
        }
        for source in container.get("envFrom", []):
            environment |= self.secrets[source["secretRef"]["name"]]
        for one in container.get("env", []):
            key = one.get("valueFrom", {}).get("secretKeyRef")
            environment[one["name"]] = (
                self.secrets[key["name"]][key["key"]] if key else one["value"]
            )
        with (self.folder / f"{pod.name}.log").open("wb") as log:
            pod.process = subprocess.Popen(
                [*container["command"], *container["args"]],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _ended(self, pod: Pod) -> None:
        """Note how a pod ended, and what becomes of its job."""
        assert pod.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pod.process.pid, signal.SIGKILL)  # a container ends with its first process
        code = pod.process.returncode
        pod.exit_code = code if code >= 0 else 128 - code
        job = self.jobs[pod.job]
        status = job["status"]
        if pod.exit_code == 0:
            status["succeeded"] = 1
        elif pod.disrupted and _ignores_disruption(job):
            self.add_pod(pod.job)
        else:
            status["failed"] = status.get("failed", 0) + 1


def _ignores_disruption(job: dict[str, Any]) -> bool:
    """[Jobs], "Pod failure policy": whether the first rule that fits lets the pod be replaced."""
    for rule in job["spec"].get("podFailurePolicy", {}).get("rules", []):
        for condition in rule.get("onPodConditions", []):
            if (
                condition["type"] == "DisruptionTarget"
                and condition.get("status", "True") == "True"
            ):
                return bool(rule["action"] == "Ignore")
    return False


def described(pod: Pod, namespace: str) -> dict[str, Any]:
    """A pod as the API tells of it."""
    conditions = []
    if pod.waits:
        conditions.append(
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": pod.waits,
            }
        )
    if pod.disrupted:
        conditions.append(
            {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
        )
    state: dict[str, Any] = {"running": {}}
    phase = "Running" if pod.process else "Pending"
    if pod.exit_code is not None:
        phase = "Succeeded" if pod.exit_code == 0 else "Failed"
        reason = pod.reason or ("Completed" if pod.exit_code == 0 else "Error")
        state = {"terminated": {"exitCode": pod.exit_code, "reason": reason}}
    container = {
        "name": pod.container["name"],
        "image": pod.container["image"],
        "imageID": "",
        "ready": pod.exit_code is None,
        "restartCount": 0,
        "state": state,
    }
    return {
        "metadata": {
            "name": pod.name,
            "namespace": namespace,
            "labels": {"job-name": pod.job, **pod.manifest["metadata"].get("labels", {})},
            "creationTimestamp": pod.created.isoformat(),
        },
        "spec": pod.manifest["spec"],
        "status": {
            "phase": phase,
            "conditions": conditions,
            "containerStatuses": [container] if pod.process else None,
        },
    }


def decoded(secret: dict[str, Any]) -> dict[str, str]:
    """The values of a Secret."""
    values = {k: base64.b64decode(v).decode() for k, v in secret.get("data", {}).items()}
    return values | secret.get("stringData", {})


@contextlib.contextmanager
def tended(cluster: Cluster) -> Iterator[None]:
    """The controllers at work; no process of a pod outlives them."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.1):
            cluster.tend()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for pod in cluster.pods:
            pod.kill()
