"""From a job of Snakemake to what Batch is asked for it."""

from __future__ import annotations

from typing import Any

from snakemake_executor_plugin_aws_batch import Executor as ReleasedExecutor
from snakemake_interface_common.exceptions import WorkflowError

from .account import Account
from .definition import (
    Request,
    image_name,
    job_name,
    parse_tags,
    requirements,
    tag_value,
)
from .members import RESUMES, identity, label, members, one_image, seconds_allowed, sharing

REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")  # the names that programs know it by


class Asking(ReleasedExecutor):
    """The released executor, its settings checked and its jobs described anew."""

    def __post_init__(self) -> None:
        super().__post_init__()
        settings = self.settings
        for name in ("region", "job_queue", "job_role", "gpu_queue", "on_demand_queue"):
            value = getattr(settings, name) or ""
            if "$" in value:
                raise WorkflowError(
                    f"{name} is {value!r}: an environment variable in it is not set;"
                    " config/aws/README.md lists those to set"
                )
        self._aws = Account(settings.region)
        self.batch_client.client = self._aws.batch
        self.next_seconds_between_status_checks = settings.poll_seconds
        try:
            self._tags = parse_tags(settings.tags)
        except ValueError as error:
            raise WorkflowError(str(error)) from None

    def _request(self, job: Any) -> Request:
        """What this job asks Batch for."""
        resources, settings = job.resources, self.settings
        vcpus, memory, gpus = requirements(resources)
        queue = resources.get("batch_queue") or (gpus and settings.gpu_queue) or settings.job_queue
        singles = members(job)
        scene = str(getattr(singles[0].wildcards, "scene", ""))
        rules = sorted({single.rule.name for single in singles})
        run = self.workflow.storage_settings.default_storage_prefix or ""
        command = self.format_job_exec(job)
        try:
            container = resources.get("aws_batch_container_image") or one_image(singles)
            image = image_name(container or self.container_image)
            command = sharing(command, job.threads) if job.is_group() else command
        except ValueError as error:
            raise WorkflowError(f"rule {rules[0]}: {error}") from None
        name = job_name(
            label(job, scene), scene, run, [run, *identity(job, self.workflow.dag.jobs)]
        )
        return Request(
            name=name,
            image=image,
            command=("/bin/bash", "-c", command),
            # What ECS sets depends on the age of its agent.
            environment={
                **self.envvars(),
                **dict.fromkeys(REGIONS, self._aws.region),
                **({RESUMES: "1"} if job.is_group() else {}),
            },
            role=self._aws.role(resources.get("batch_job_role") or settings.job_role),
            vcpus=vcpus,
            memory=memory,
            gpus=gpus,
            shared_memory=int(resources.get("shared_memory_size_mb", 0) or 0),
            timeout=seconds_allowed(singles, settings.task_timeout),
            queue=queue,
            log_group=settings.log_group,
            tags={**self._tags, "rule": tag_value(rules), "scene": tag_value([scene or "all"])},
        )
