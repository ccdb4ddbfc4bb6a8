"""The decisions of the executor plugin for Kubernetes, and a watch over the released one below it."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client.rest import ApiException
from kubernetes.config import ConfigException
from snakemake_executor_plugin_kubernetes import Executor as ReleasedExecutor
from snakemake_executor_plugin_splatmake_kubernetes import (
    PAUSES,
    Executor,
    UnreachableError,
    common_settings,
)
from snakemake_executor_plugin_splatmake_kubernetes.definition import (
    GPU,
    Place,
    fitted,
    image_name,
    needs,
    parse_labels,
    parse_tolerations,
)
from snakemake_executor_plugin_splatmake_kubernetes.pods import failure, is_disrupted, waits_for
from snakemake_interface_common.exceptions import WorkflowError
from urllib3.exceptions import ProtocolError

from tests.engines.kubernetes_rules import AccessRules, faults

NOWHERE = Place({}, {}, (), "", "")
# What the released executor makes of a job with a GPU.
BODY: dict[str, Any] = {
    "metadata": {"name": "snakejob-0123", "labels": {"app": "snakemake"}},
    "spec": {
        "backoffLimit": 0,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "snakemake",
                        "image": "one/for:all",
                        "command": ["/bin/sh"],
                        "args": ["-c", "true"],
                        "env": [{"name": "AWS_REGION", "valueFrom": {}}],
                        "resources": {"requests": {"cpu": "3800m", GPU: "1"}},
                        "volumeMounts": [{"name": "workdir", "mountPath": "/workdir"}],
                    }
                ],
                "nodeSelector": {},
                "restartPolicy": "Never",
                "tolerations": [
                    {"key": GPU, "operator": "Equal", "value": "present", "effect": "NoSchedule"}
                ],
                "volumes": [{"name": "workdir", "emptyDir": {}}],
            }
        },
    },
}


def made(place: Place = NOWHERE, **resources: Any) -> dict[str, Any]:
    """The Job of a job with these resources."""
    return fitted(copy.deepcopy(BODY), needs(resources, "registry/train@sha256:00"), place, 0.95)


def container(job: dict[str, Any]) -> dict[str, Any]:
    (only,) = job["spec"]["template"]["spec"]["containers"]
    return dict(only)


def test_a_newer_executor_is_compared() -> None:
    """When this fails, look whether the released one has learnt what ours adds (docstring of the plugin)."""
    assert version("snakemake-executor-plugin-kubernetes") == "0.5.1"


def test_workers_install_nothing() -> None:
    assert not common_settings.auto_deploy_default_storage_provider


def test_the_released_job_is_refused_and_ours_is_not() -> None:
    """GPUs without a limit, and the namespace's own rules of security."""
    released = copy.deepcopy(BODY)
    said = " ".join(faults(released, AccessRules()))
    assert "Limit must be set" in said and "runAsNonRoot" in said
    assert list(faults(made(gpu=1, mem_mb=14000, runtime=240, disk_mb=1000), AccessRules())) == []


def test_a_job_gets_what_its_rule_asks_for() -> None:
    job = made(_cores=4, mem_mb=14000, gpu=1, runtime=240, shared_memory_size_mb=2048)
    pod = job["spec"]["template"]["spec"]
    assert container(job)["image"] == "registry/train@sha256:00"
    assert container(job)["resources"] == {
        "requests": {"cpu": "3800m", "memory": "14000M", GPU: "1"},
        "limits": {"memory": "14000M", GPU: "1"},
    }
    assert pod["activeDeadlineSeconds"] == 240 * 60
    assert pod["tolerations"] == [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    assert {"name": "shm", "mountPath": "/dev/shm"} in container(job)["volumeMounts"]
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2048M"}} in pod["volumes"]
    names = [one["name"] for one in container(job)["env"]]
    assert names == ["AWS_REGION", "SPLATMAKE_KUBERNETES_JOB"]


def test_a_job_without_a_gpu_asks_for_none() -> None:
    """Not even for 0: such a pod would tolerate the GPU nodes, and could fill them."""
    job = made(_cores=1, mem_mb=4000, gpu=0)
    assert GPU not in str(job)
    assert "activeDeadlineSeconds" not in job["spec"]["template"]["spec"]


def test_pods_whose_node_is_taken_away_are_replaced() -> None:
    assert made()["spec"]["podFailurePolicy"]["rules"] == [
        {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        }
    ]


def test_nodes_secrets_and_taints() -> None:
    place = Place(
        parse_labels("pool=cpu"),
        parse_labels("pool=gpu, zone=a"),
        parse_tolerations("spot=true:NoSchedule,maintained:NoExecute"),
        "storage",
        "registry",
    )
    gpu, cpu = made(place, gpu=1), made(place)
    assert gpu["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "gpu", "zone": "a"}
    assert cpu["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "cpu"}
    assert cpu["spec"]["template"]["spec"]["tolerations"] == [
        {"key": "spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"},
        {"key": "maintained", "operator": "Exists", "effect": "NoExecute"},
    ]
    assert container(cpu)["envFrom"] == [{"secretRef": {"name": "storage"}}]
    assert cpu["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert list(faults(gpu, AccessRules())) == []


@pytest.mark.parametrize("text", ["spot", "spot:Never", "a=b=c:NoSchedule", ":NoSchedule"])
def test_a_toleration_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not of the form KEY=VALUE:EFFECT"):
        parse_tolerations(text)


def test_other_words_are_refused() -> None:
    with pytest.raises(ValueError, match="KEY=VALUE"):
        parse_labels("pool")
    with pytest.raises(ValueError, match="use docker://"):
        image_name("library://image")
    assert image_name("docker://a/b:1") == image_name("a/b:1") == "a/b:1"


def pod(phase: str = "Pending", **more: Any) -> Any:
    """A pod's state as the client gives it."""
    state = {"conditions": None, "container_statuses": None, "reason": None, "message": None}
    return SimpleNamespace(status=SimpleNamespace(phase=phase, **{**state, **more}))


def condition(kind: str, status: str, message: str = "") -> Any:
    return SimpleNamespace(type=kind, status=status, reason="", message=message)


def state(**what: Any) -> list[Any]:
    return [SimpleNamespace(state=SimpleNamespace(**{"waiting": None, "terminated": None, **what}))]


def waiting(reason: str, message: str | None = None) -> list[Any]:
    return state(waiting=SimpleNamespace(reason=reason, message=message))


def test_why_a_pod_waits() -> None:
    unscheduled = [condition("PodScheduled", "False", "0/3 nodes are available")]
    assert waits_for(pod(conditions=unscheduled)) == "0/3 nodes are available"
    scheduled = [condition("PodScheduled", "True")]
    image = waiting("ImagePullBackOff", "Back-off pulling image")
    assert (
        waits_for(pod(conditions=scheduled, container_statuses=image))
        == "ImagePullBackOff: Back-off pulling image"
    )
    assert waits_for(pod(container_statuses=waiting("InvalidImageName"))) == "InvalidImageName"
    assert waits_for(pod(container_statuses=waiting("ContainerCreating"))) == ""
    assert waits_for(pod()) == waits_for(pod("Running", conditions=unscheduled)) == ""


def test_why_a_pod_failed() -> None:
    def ended(reason: str | None) -> list[Any]:
        return state(terminated=SimpleNamespace(reason=reason, exit_code=137))

    assert (
        failure(pod("Failed", container_statuses=ended("OOMKilled"))) == "OOMKilled, exit code 137"
    )
    late = pod("Failed", reason="DeadlineExceeded", message="was active too long")
    assert failure(late) == "DeadlineExceeded: was active too long"
    assert failure(pod("Failed", container_statuses=ended("Error"))) == "", "its log tells"
    assert failure(pod()) == ""


def test_only_a_condition_that_holds_is_a_disruption() -> None:
    assert is_disrupted(pod("Failed", conditions=[condition("DisruptionTarget", "True")]))
    assert not is_disrupted(pod("Failed", conditions=[condition("DisruptionTarget", "False")]))
    assert not is_disrupted(pod("Failed", conditions=[condition("Ready", "True")]))


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Any:
    """One without a cluster, for which no time passes; `slept` are the pauses that it made."""
    one = object.__new__(Executor)
    one.lock, one.logger = threading.Lock(), SimpleNamespace(warning=lambda _: None)
    one.slept = []
    monkeypatch.setattr(
        "snakemake_executor_plugin_splatmake_kubernetes.time.sleep", one.slept.append
    )
    return one


def failing(error: Exception, times: int) -> Callable[[], str]:
    """A request that is answered after so many failures."""
    left = [times]

    def ask() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return "answer"

    return ask


@pytest.mark.parametrize("error", [ApiException(status=503), ProtocolError("connection broken")])
def test_a_server_that_is_away_is_asked_again(executor: Any, error: Exception) -> None:
    assert executor._kubernetes_retry(failing(error, 3)) == "answer"
    assert executor.slept == list(PAUSES[:3])
    assert executor._kubernetes_retry(failing(error, len(PAUSES))) == "answer"
    with pytest.raises(UnreachableError, match="has not answered for ten minutes"):
        executor._kubernetes_retry(failing(error, len(PAUSES) + 1))
    assert 590 < sum(PAUSES) < 660


def test_what_is_not_there_is_none_and_a_refusal_ends_the_run(executor: Any) -> None:
    assert executor._kubernetes_retry(failing(ApiException(status=404), 1)) is None
    refused = ApiException(status=403, reason="Forbidden")
    with pytest.raises(WorkflowError, match="Kubernetes refuses: 403 Forbidden"):
        executor._kubernetes_retry(failing(refused, 1))
    assert executor.slept == []


def test_an_ended_login_is_renewed_once(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    plugin = "snakemake_executor_plugin_splatmake_kubernetes"

    def no_file() -> None:
        raise ConfigException("no kubeconfig, as in a pod")

    monkeypatch.setattr(f"{plugin}.load_kube_config", no_file)
    monkeypatch.setattr(f"{plugin}.load_incluster_config", lambda: made.append("login"))
    for name in ("CoreV1Api", "BatchV1Api"):
        monkeypatch.setattr(f"{plugin}.{name}", lambda name=name: made.append(name))
    ended = ApiException(status=401, reason="Unauthorized")
    assert executor._kubernetes_retry(failing(ended, 1)) == "answer"
    assert made == ["login", "CoreV1Api", "BatchV1Api"]
    with pytest.raises(WorkflowError, match="Kubernetes refuses the login: 401 Unauthorized"):
        executor._kubernetes_retry(failing(ended, 2))


def test_the_log_of_a_failed_pod_is_that_of_its_only_attempt(executor: Any) -> None:
    """The released executor asks for the one before, which Kubernetes refuses; and a log may be gone."""

    class Api:
        def read_namespaced_pod_log(self, name: str) -> str:
            if name == "gone":
                raise ApiException(status=404, reason="Not Found")
            return "one line\n"

    executor.kubeapi = Api()
    assert executor.kubeapi.read_namespaced_pod_log(name="here", previous=True) == "one line\n"
    said = executor.kubeapi.read_namespaced_pod_log(name="gone", previous=True)
    assert said.startswith("No log of the pod gone: 404 Not Found")


def listed(*pods: Any) -> Any:
    """An API with these pods of one job."""
    return SimpleNamespace(list_namespaced_pod=lambda **_: SimpleNamespace(items=list(pods)))


def member(created: int, **more: Any) -> Any:
    one = pod(**more)
    one.metadata = SimpleNamespace(labels={"job-name": "j"}, creation_timestamp=created)
    return one


def test_only_the_pod_that_counts_is_shown(executor: Any) -> None:
    """The released executor takes the first one's exit code for the job's, and refuses two."""
    executor._said, executor._failed = {}, {}
    executor.logger.info = lambda text, extra: said.append((text, extra["waits"]["reason"]))
    said: list[tuple[str, str]] = []
    gone = member(1, phase="Failed", conditions=[condition("DisruptionTarget", "True")])
    waits = member(2, conditions=[condition("PodScheduled", "False", "no room")])
    executor.kubeapi = listed(gone)
    assert executor.kubeapi.list_namespaced_pod(namespace="n").items == []
    executor.kubeapi = listed(waits, gone)
    for _ in range(2):
        assert executor.kubeapi.list_namespaced_pod(namespace="n").items == [waits]
    executor.kubeapi = listed(gone, member(2, phase="Running"))
    assert len(executor.kubeapi.list_namespaced_pod(namespace="n").items) == 1
    assert said == [
        ("Kubernetes job j waits: no room", "no room"),
        ("Kubernetes job j waits no longer", ""),
    ]


def test_a_failure_is_told_with_cause_and_log(
    executor: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        ReleasedExecutor, "report_job_error", lambda self, info, msg, **_: said.append(msg)
    )
    executor._failed = {"j": "OOMKilled, exit code 137"}
    log = tmp_path / "j.log"
    log.write_text("".join(f"line {number}\n" for number in range(40)))
    info = SimpleNamespace(external_jobid="j")
    executor.report_job_error(info, msg="", aux_logs=[str(log)])
    (told,) = said
    assert told.startswith("Cause: OOMKilled, exit code 137\nline 25\n")
    assert told.endswith("line 39\n")
