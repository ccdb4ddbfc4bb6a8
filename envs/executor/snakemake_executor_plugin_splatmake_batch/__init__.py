"""AWS Batch for Snakemake: the released executor, with what it lacks for GPU stages on spot instances.

Upstream has merged images, queues, shared memory and timeouts per rule under the same resource names, but
not released them. tests/unit/test_executor.py fails once it does: then `executor: aws-batch` may do.

Beyond that: GPUs by the resource `gpu`, memory as asked, unprivileged containers, spot first and a machine
that stays after two interruptions, more memory after a kill for memory, the cause and the log's last lines
on failure, jobs of a submitter that died are taken over instead of run twice, status in one call for all,
an end to polling when AWS stays unreachable, no pip in workers, and a ledger of what each job used.
"""

import time
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, replace
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from snakemake_executor_plugin_aws_batch import Executor as ReleasedExecutor
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from .definition import Request, image_name, job_definition, job_name, parse_tags, requirements
from .ledger import LEDGER, instance_type, keep, ledger_entry
from .outcome import (
    TERMINATED,
    Move,
    failure_message,
    next_move,
    ran_out_of_memory,
)
from .settings import ExecutorSettings, common_settings

# What Snakemake looks for in an executor plugin.
__all__ = ["Executor", "ExecutorSettings", "common_settings"]

ACTIVE = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
DESCRIBED_AT_ONCE = 100  # by describe_jobs
LOG_LINES = 40
MORE_MEMORY_TRIES = 2
POLLS_WITHOUT_ANSWER = 20
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")  # the names that programs know it by


@dataclass
class Submitted:
    """What the executor remembers of a job at Batch."""

    request: Request
    adopted: bool
    grown: int = 0
    definition: str | None = None


class Executor(ReleasedExecutor):
    """The released executor with its gaps filled; see the module's docstring."""

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
        client = {
            "region_name": settings.region,
            "config": Config(retries={"mode": "adaptive", "max_attempts": 8}),
        }
        self.batch_client.client = boto3.client("batch", **client)
        self._logs = boto3.client("logs", **client)
        self._ecs = boto3.client("ecs", **client)
        self._sts = boto3.client("sts", **client)
        self.next_seconds_between_status_checks = settings.poll_seconds
        try:
            self._tags = parse_tags(settings.tags)
        except ValueError as error:
            raise WorkflowError(str(error)) from None
        self._region = self._sts.meta.region_name
        self._unanswered = 0
        self._began = time.time()
        self._account = ""
        self._known_queues: dict[str, dict[str, dict[str, Any]]] | None = None

    # -- submission --------------------------------------------------------------------------------------

    def run_job(self, job: Any) -> None:
        """Submit a job, or take over one that another submitter has running."""
        request = self._request(job)
        running = self._running_jobs(request)
        submitted = Submitted(request, adopted=bool(running))
        if running:
            self.logger.info(f"Taking over AWS Batch job {request.name} ({running[0]})")
        else:
            running = [self._submit(submitted)]
            self._yield_to_older(submitted, running)
        self.report_job_submission(
            SubmittedJobInfo(job=job, external_jobid=running[0], aux={"submitted": submitted})
        )

    def _yield_to_older(self, submitted: Submitted, own: list[str]) -> None:
        """When another submitter was faster by a blink, stop the own job and take over the older one.

        Batch starts no machine within that time. `own` holds the id, and gets the other's.
        """
        oldest = next(iter(self._running_jobs(submitted.request)), own[0])
        if oldest != own[0]:
            self.batch_client.terminate_job(jobId=own[0], reason=TERMINATED)
            self.logger.info(f"Taking over AWS Batch job {submitted.request.name} ({oldest})")
            submitted.adopted = True
            own[0] = oldest

    def _request(self, job: Any) -> Request:
        """What this job asks Batch for."""
        resources, settings = job.resources, self.settings
        vcpus, memory, gpus = requirements(resources)
        queue = resources.get("batch_queue") or (gpus and settings.gpu_queue) or settings.job_queue
        singles = list(job.jobs) if job.is_group() else [job]
        container = resources.get("aws_batch_container_image") or next(
            (single.container_img_url for single in singles if single.container_img_url),
            self.container_image,
        )
        scene = str(getattr(singles[0].wildcards, "scene", ""))
        rules = sorted({single.rule.name for single in singles})
        run = self.workflow.storage_settings.default_storage_prefix or ""
        identity = [
            run,
            sorted(str(path) for path in job.output),
            [[single.rule.name, str(single.params)] for single in singles],
        ]
        try:
            image = image_name(container)
        except ValueError as error:
            raise WorkflowError(f"rule {rules[0]}: {error}") from None
        return Request(
            name=job_name(rules, scene, run, identity),
            image=image,
            command=("/bin/bash", "-c", self.format_job_exec(job)),
            # What ECS sets depends on the age of its agent.
            environment={**self.envvars(), **dict.fromkeys(REGIONS, self._region)},
            role=self._role(resources.get("batch_job_role") or settings.job_role),
            vcpus=vcpus,
            memory=memory,
            gpus=gpus,
            shared_memory=int(resources.get("shared_memory_size_mb", 0) or 0),
            timeout=int(resources.get("aws_batch_task_timeout", 0) or settings.task_timeout),
            queue=queue,
            log_group=settings.log_group,
            tags={**self._tags, "rule": ",".join(rules), "scene": scene or "all"},
        )

    def _role(self, name: str) -> str:
        """A role's ARN; a plain name is one of this account."""
        if name.startswith("arn:"):
            return name
        if not self._account:
            self._account = self._sts.get_caller_identity()["Arn"].split(":role/")[0]
            partition, account = self._account.split(":")[1], self._account.split(":")[4]
            self._account = f"arn:{partition}:iam::{account}"
        return f"{self._account}:role/{name}"

    def _submit(self, submitted: Submitted) -> str:
        """Register the definition and submit; the job's id."""
        request = submitted.request
        try:
            definition = self.batch_client.register_job_definition(**job_definition(request))
            submitted.definition = definition["jobDefinitionArn"]
            answer = self.batch_client.submit_job(
                jobName=request.name,
                jobQueue=request.queue,
                jobDefinition=submitted.definition,
                propagateTags=True,
                tags=dict(request.tags),
            )
        except (BotoCoreError, ClientError) as error:
            raise WorkflowError(f"AWS Batch did not take the job {request.name}: {error}") from None
        self.logger.info(f"AWS Batch job {request.name} ({answer['jobId']}) on {request.queue}")
        return str(answer["jobId"])

    def _queues(self, first: str) -> list[str]:
        """The queue of a job and the one it moves to after interruptions, as far as there is one."""
        settings = self.settings
        later = {
            settings.job_queue: settings.on_demand_queue,
            settings.gpu_queue: settings.gpu_on_demand_queue,
        }.get(first)
        return [first, later] if later else [first]

    def _running_jobs(self, request: Request) -> list[str]:
        """Ids of the jobs of this name that are active, or ended well since this run began, oldest first."""
        found: list[dict[str, Any]] = []
        for queue in self._queues(request.queue):
            pages = self.batch_client.client.get_paginator("list_jobs").paginate(
                jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [request.name]}]
            )
            try:
                for page in pages:
                    found += page["jobSummaryList"]
            except (BotoCoreError, ClientError) as error:
                raise WorkflowError(f"AWS Batch does not list the queue {queue}: {error}") from None
        kept = [
            job
            for job in found
            if job["status"] in ACTIVE
            or (job["status"] == "SUCCEEDED" and job.get("stoppedAt", 0) / 1000 >= self._began)
        ]
        return [str(j["jobId"]) for j in sorted(kept, key=lambda j: (j["createdAt"], j["jobId"]))]

    # -- watching ----------------------------------------------------------------------------------------

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Look at all jobs, a hundred a call; give back those that go on."""
        for start in range(0, len(active_jobs), DESCRIBED_AT_ONCE):
            part = active_jobs[start : start + DESCRIBED_AT_ONCE]
            async with self.status_rate_limiter:
                described = self._describe(part)
            for info in part:
                job = described.get(info.external_jobid)
                if job is None or self._settle(info, job):
                    yield info

    def _describe(self, part: Iterable[SubmittedJobInfo]) -> dict[str, dict[str, Any]]:
        """{id: description}. Raises WorkflowError when AWS has not answered for many polls."""
        try:
            answer = self.batch_client.describe_jobs(jobs=[info.external_jobid for info in part])
        except (BotoCoreError, ClientError) as error:
            self._unanswered += 1
            self.logger.warning(f"AWS Batch does not answer ({self._unanswered}): {error}")
            if self._unanswered >= POLLS_WITHOUT_ANSWER:
                raise WorkflowError(
                    f"AWS Batch has not answered {self._unanswered} times; its jobs go on. Start the"
                    " same command again to take them over"
                ) from None
            return {}
        self._unanswered = 0
        return {job["jobId"]: job for job in answer["jobs"]}

    def _settle(self, info: SubmittedJobInfo, job: dict[str, Any]) -> bool:
        """Act on a job's description; True when it goes on, under this or another id."""
        submitted: Submitted = info.aux["submitted"]
        queues = self._queues(submitted.request.queue)
        move = next_move(
            job,
            on_spot=len(queues) > 1,
            may_grow=submitted.grown < MORE_MEMORY_TRIES,
            adopted=submitted.adopted,
        )
        if move is Move.WAIT:
            return True
        log = self._last_lines(job) if move is Move.FAIL else []
        if submitted.grown < MORE_MEMORY_TRIES and ran_out_of_memory(log):
            move = Move.MORE_MEMORY
        self._bill(info, job)
        info.aux["job_definition_arn"] = submitted.definition or job.get("jobDefinition")
        self._deregister_job(info)
        if move is Move.DONE:
            self.report_job_success(info)
            return False
        if move is Move.FAIL:
            self.report_job_error(info, msg=failure_message(job, log) + "\n")
            return False
        if move is Move.ON_DEMAND:
            submitted.request = replace(submitted.request, queue=queues[1])
        elif move is Move.MORE_MEMORY:
            submitted.request = submitted.request.with_more_memory()
            submitted.grown += 1
        submitted.adopted = False
        self.logger.info(f"{job.get('statusReason')}: {submitted.request.name} runs {move.value}")
        info.external_jobid = self._submit(submitted)
        return True

    def _last_lines(self, job: dict[str, Any]) -> list[str]:
        """The end of a job's log; empty when CloudWatch has none."""
        stream = job.get("container", {}).get("logStreamName")
        if not stream:
            return []
        try:
            events = self._logs.get_log_events(
                logGroupName=self.settings.log_group,
                logStreamName=stream,
                limit=LOG_LINES,
                startFromHead=False,
            )["events"]
        except (BotoCoreError, ClientError) as error:
            return [f"(CloudWatch gives no log: {error})"]
        return [event["message"].rstrip() for event in events]

    def _bill(self, info: SubmittedJobInfo, job: dict[str, Any]) -> None:
        """Leave what a finished job used in .snakemake/ledger; never a reason to fail."""
        single = next(iter(info.job.jobs)) if info.job.is_group() else info.job
        scene = str(getattr(single.wildcards, "scene", ""))
        run = self.workflow.storage_settings.default_storage_prefix
        request, machine = info.aux["submitted"].request, instance_type(self._ecs, job)
        try:
            keep(job["jobId"], ledger_entry(job, request, run, single.rule.name, scene, machine))
        except OSError as error:
            self.logger.warning(f"{LEDGER}/{job['jobId']}.json could not be written: {error}")

    # -- the end -----------------------------------------------------------------------------------------

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Stop what still runs: nobody is left to take its results."""
        for info in active_jobs:
            self.logger.info(f"Terminating AWS Batch job {info.external_jobid}")
            info.aux["job_definition_arn"] = info.aux["submitted"].definition
            self._terminate_job(info)
            self._deregister_job(info)


assert (
    TERMINATED == "terminated by snakemake"
)  # what the released `_terminate_job` gives as its reason
