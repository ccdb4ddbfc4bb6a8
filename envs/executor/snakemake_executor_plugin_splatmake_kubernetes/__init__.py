"""Kubernetes for Snakemake: the released executor, with what it lacks for GPU stages on spot nodes.

tests/unit/test_executor_kubernetes.py fails once a newer one is released: then compare.

Beyond the released one: each rule's own image; GPUs as limits, without which Kubernetes refuses them; pods
whose node is taken away are replaced by Kubernetes; memory that is not lent; a deadline and shared memory; a
Secret for all jobs; node labels and taints; unprivileged pods; why a pod waits or failed is told; the log of
a failed pod is found; neither a server that does not answer for a while nor a job that somebody deleted ends
the run or leaves it waiting for ever; no pip in workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from kubernetes.client import BatchV1Api, CoreV1Api
from kubernetes.client.rest import ApiException
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from snakemake_executor_plugin_kubernetes import Executor as ReleasedExecutor
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from urllib3.exceptions import HTTPError

from .definition import (
    Place,
    fitted,
    image_name,
    needs,
    parse_labels,
    parse_tolerations,
)
from .pods import failure, is_disrupted, waits_for
from .settings import ExecutorSettings, common_settings

# What Snakemake looks for in an executor plugin.
__all__ = ["Executor", "ExecutorSettings", "common_settings"]

RUN_LABEL = "snakemake-run"
NOT_FOUND, REFUSED = 404, 401
PASSING = (429, 500, 502, 503, 504)
# Seconds before a request is made again: ten minutes in all, in which a control plane is upgraded.
PAUSES = (1, 2, 5, 10, 20, 30, 60, 60, 60, 120, 240)
LAST_LINES = 15


class UnreachableError(Exception):
    """The cluster has not answered for long. No WorkflowError: the released executor swallows those."""


class _SilentError(Exception):
    """The cluster does not answer now; why."""


class Executor(ReleasedExecutor):
    """The released executor with its gaps filled; see the module's docstring."""

    def __post_init__(self) -> None:
        settings = self.workflow.executor_settings
        for name in ("namespace", "service_account_name", "secret"):
            value = getattr(settings, name) or ""
            if "$" in value:
                raise WorkflowError(
                    f"{name} is {value!r}: an environment variable in it is not set;"
                    " config/profiles/kubernetes/README.md lists those to set"
                )
        try:
            self._place = Place(
                nodes=parse_labels(settings.nodes),
                gpu_nodes=parse_labels(settings.gpu_nodes),
                tolerations=parse_tolerations(settings.tolerations),
                secret=settings.secret or "",
                pull_secret=settings.pull_secret or "",
            )
        except ValueError as error:
            raise WorkflowError(str(error)) from None
        self._submitting: Any = None
        self._said: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        try:
            super().__post_init__()
        except ConfigException as error:
            raise WorkflowError(
                "Kubernetes is not found: there is no good kubeconfig (KUBECONFIG or ~/.kube/config),"
                f" and this is no pod of a cluster ({error})"
            ) from None
        except (ApiException, HTTPError) as error:
            why = _message(error) if isinstance(error, ApiException) else error
            raise WorkflowError(
                f"No run can be started on Kubernetes: {why}; does `kubectl auth can-i create jobs -n"
                f" {settings.namespace}` say yes?"
            ) from None

    # The released executor makes its clients itself, anew after each login: each is wrapped as it comes.

    @property
    def batchapi(self) -> Any:
        """Kubernetes' jobs."""
        return self._batchapi

    @batchapi.setter
    def batchapi(self, api: Any) -> None:
        self._batchapi = _Jobs(api, self._fit)

    @property
    def kubeapi(self) -> Any:
        """Kubernetes' pods and secrets."""
        return self._kubeapi

    @kubeapi.setter
    def kubeapi(self, api: Any) -> None:
        self._kubeapi = _Pods(api, self._seen)

    # -- submission --------------------------------------------------------------------------------------

    def run_job(self, job: Any) -> None:
        """Submit a job."""
        self._submitting = job
        super().run_job(job)

    def _fit(self, body: dict[str, Any]) -> dict[str, Any]:
        """The Job of the job that is being submitted."""
        job = self._submitting
        singles = list(job.jobs) if job.is_group() else [job]
        container = next((one.container_img_url for one in singles if one.container_img_url), None)
        try:
            image = image_name(container or self.container_image)
        except ValueError as error:
            raise WorkflowError(f"rule {singles[0].rule.name}: {error}") from None
        body["metadata"]["labels"][RUN_LABEL] = self.run_namespace
        body["metadata"]["annotations"] = {
            "snakemake/rule": "+".join(sorted({one.rule.name for one in singles})),
            "snakemake/scene": str(getattr(singles[0].wildcards, "scene", "")),
        }
        return fitted(body, needs(job.resources, image), self._place, self.k8s_cpu_scalar)

    # -- watching ----------------------------------------------------------------------------------------

    def _seen(self, pods: Any) -> Any:
        """What the released executor is shown of a job's pods: none that is being replaced."""
        pods.items = [pod for pod in pods.items if not is_disrupted(pod)]
        pods.items = sorted(pods.items, key=lambda pod: pod.metadata.creation_timestamp)[-1:]
        for pod in pods.items:
            job = pod.metadata.labels["job-name"]
            self._failed[job] = failure(pod)
            reason = waits_for(pod)
            if reason != self._said.get(job, ""):
                said = f"waits: {reason}" if reason else "waits no longer"
                self.logger.info(
                    f"Kubernetes job {job} {said}", extra={"waits": {"job": job, "reason": reason}}
                )
            self._said[job] = reason
        return pods

    def report_job_error(self, job_info: SubmittedJobInfo, msg: str = "", **kwargs: Any) -> None:
        """Tell of a failed job, with the cause that Kubernetes gives and the last lines of its log."""
        cause = self._failed.get(job_info.external_jobid, "")
        told = f"Cause: {cause}\n" if cause else ""
        for path in kwargs.get("aux_logs", []):
            with open(path, encoding="utf-8", errors="replace") as log:
                told += "".join(log.readlines()[-LAST_LINES:])
        super().report_job_error(job_info, msg=f"{msg or ''}{told}", **kwargs)

    def _kubernetes_retry(self, func: Callable[[], Any]) -> Any:
        """What a request gives; None for what is not there. Raises UnreachableError after ten minutes.

        A refused login is renewed once. Any other refusal is a WorkflowError.
        """
        for pause in PAUSES:
            try:
                with self.lock:
                    return self._ask(func)
            except _SilentError as fault:
                self.logger.warning(
                    f"Kubernetes does not answer: {fault}; asked again in {pause} s"
                )
            time.sleep(pause)
        try:
            with self.lock:
                return self._ask(func)
        except _SilentError as fault:
            raise UnreachableError(
                f"Kubernetes has not answered for ten minutes ({fault}); start the same command again"
            ) from None

    def _ask(self, func: Callable[[], Any]) -> Any:
        """What one request gives. Raises _SilentError where the same may be answered later."""
        try:
            return func()
        except ApiException as error:
            if error.status == NOT_FOUND:
                return None
            if error.status == REFUSED:
                return self._with_new_login(func)
            if error.status in PASSING:
                raise _SilentError(_message(error)) from None
            raise WorkflowError(f"Kubernetes refuses: {_message(error)}") from None
        except HTTPError as error:
            raise _SilentError(str(error)) from None

    def _with_new_login(self, func: Callable[[], Any]) -> Any:
        """What a request gives after another login: tokens of clouds end after an hour.

        The released executor wants `kubectl` for it, and cannot do it in a pod.
        """
        try:
            try:
                load_kube_config()
            except ConfigException:
                load_incluster_config()
            self.kubeapi, self.batchapi = CoreV1Api(), BatchV1Api()
            return func()
        except (ApiException, ConfigException) as error:
            why = _message(error) if isinstance(error, ApiException) else error
            raise WorkflowError(f"Kubernetes refuses the login: {why}") from None

    # -- the end -----------------------------------------------------------------------------------------

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Delete all jobs of this run: `active_jobs` are none while the base class looks at them."""
        self._kubernetes_retry(
            lambda: self.batchapi.delete_collection_namespaced_job(
                self.namespace,
                label_selector=f"{RUN_LABEL}={self.run_namespace}",
                propagation_policy="Background",
            )
        )


class _Client:
    """A client of Kubernetes' of which some methods are others."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)


class _Jobs(_Client):
    """Jobs are changed before they are made."""

    def __init__(self, api: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__(api)
        self._change = change

    def create_namespaced_job(self, namespace: str, body: Any) -> Any:
        """Make the Job."""
        plain = self._api.api_client.sanitize_for_serialization(body)
        return self._api.create_namespaced_job(namespace, self._change(plain))


class _Pods(_Client):
    """Pods are looked at before the released executor sees them, and logs are those of the only attempt."""

    def __init__(self, api: Any, look: Callable[[Any], Any]) -> None:
        super().__init__(api)
        self._look = look

    def list_namespaced_pod(self, **selection: Any) -> Any:
        """The pods of a job that count."""
        return self._look(self._api.list_namespaced_pod(**selection))

    def read_namespaced_pod_log(self, *, previous: bool = False, **named: Any) -> str:
        """The log of a pod, which never starts its container again: there is no previous one."""
        try:
            return str(self._api.read_namespaced_pod_log(**named))
        except ApiException as error:  # gone with its node
            return f"No log of the pod {named.get('name')}: {_message(error)}\n"


def _message(error: ApiException) -> str:
    """What Kubernetes says in a refusal."""
    return f"{error.status} {error.reason}: {error.body or ''}".strip(": ")
