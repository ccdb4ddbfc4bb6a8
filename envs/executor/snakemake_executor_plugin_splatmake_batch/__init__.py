"""AWS Batch for Snakemake: the released executor, with what it lacks for GPU stages on spot instances.

Upstream has merged images, queues, shared memory and timeouts per rule under the same resource names, but
not released them. tests/unit/test_executor.py fails once it does: then `executor: aws-batch` may do.

Beyond that: GPUs by the resource `gpu`, memory as asked, unprivileged containers, spot first and a machine
that stays after two interruptions, more memory after a kill for memory, the cause and the log's last lines
on failure, jobs of a submitter that died are taken over instead of run twice, status in one call for all,
an end to polling when AWS stays unreachable, no pip in workers, and a ledger of what each job used.
"""

import threading
import time
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from .asking import Asking
from .definition import Request, check_size, job_definition
from .ledger import GROUPED, LEDGER, instance_type, keep, ledger_entry
from .members import DONE, ended, members, results
from .outcome import (
    STUCK,
    TERMINATED,
    Move,
    failure_message,
    furthest_step,
    next_move,
    ran_out_of_memory,
    ran_out_of_time,
)
from .settings import ExecutorSettings, common_settings
from .watch import Submitted, Waiting

# What Snakemake looks for in an executor plugin.
__all__ = ["Executor", "ExecutorSettings", "common_settings"]

BEFORE_RUNNING = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING")
DESCRIBED_AT_ONCE = 100  # by describe_jobs
MORE_MEMORY_TRIES = 2
POLLS_WITHOUT_ANSWER = 20
TIMES_REFUSED = 10  # at how many looks in a row Batch may refuse to take a job


class Executor(Asking):
    """The released executor with its gaps filled; see the module's docstring."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._unanswered = 0
        self._began = time.time()
        # Jobs at Batch: the base class holds none while it looks at them, and may be stopped then.
        self._live: dict[int, SubmittedJobInfo] = {}
        self._settling = threading.Lock()
        self._ended = False

    # -- submission --------------------------------------------------------------------------------------

    def run_job(self, job: Any) -> None:
        """Submit a job, or take over one that another submitter has running."""
        request = self._request(job)
        try:
            check_size(request)
        except ValueError as error:
            raise WorkflowError(str(error)) from None
        submitted = Submitted(
            request,
            resumes=bool(job.resources.get("batch_resumes", 0)),
            results=results(members(job)),
        )
        name = submitted.request.name  # until Batch gives it an id
        if any(live.aux["submitted"].request.name == name for live in self._live.values()):
            raise WorkflowError(
                f"The group {job.groupid} falls into parts that do not depend on each other, and they would"
                " be one job; name the group after the scene (--groups RULE=NAME_{scene}) and say how many"
                " parts it has (--group-components NAME_{scene}=2)"
            )
        info = SubmittedJobInfo(job=job, external_jobid=name, aux={"submitted": submitted})
        self._live[id(info)] = info
        self._again(info)
        self.report_job_submission(info)

    def _start(self, submitted: Submitted) -> str:
        """The id of a job that is submitted for the first time, or of another submitter's that is the same.

        When that one was faster by a blink, the own job is stopped: Batch starts no machine within that time.
        What an earlier run left of the results goes first: a group takes what is there for its own.
        """
        request = submitted.request
        running = self._running_jobs(request)
        if not running:
            self._aws.remove(submitted.results)
        own = "" if running else self._submit(submitted)
        taken = running[0] if running else next(iter(self._running_jobs(request)), own)
        submitted.begun, submitted.adopted = True, taken != own
        if submitted.adopted:
            if own:
                self.batch_client.terminate_job(jobId=own, reason=TERMINATED)
            self.logger.info(f"Taking over AWS Batch job {request.name} ({taken})")
        return taken

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
        return self._aws.jobs_named(request.name, self._queues(request.queue), self._began)

    # -- watching ----------------------------------------------------------------------------------------

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Look at all jobs, a hundred a call; give back those that go on."""
        for start in range(0, len(active_jobs), DESCRIBED_AT_ONCE):
            part = active_jobs[start : start + DESCRIBED_AT_ONCE]
            async with self.status_rate_limiter:
                described = self._describe(info for info in part if not info.aux["submitted"].due)
            for info in part:
                job = described.get(info.external_jobid, {})
                await self._look_at_members(info, job)
                if self._goes_on(info, job):
                    yield info

    def _goes_on(self, info: SubmittedJobInfo, job: dict[str, Any]) -> bool:
        """Act on a job's description, unless the run is being stopped; whether to look at it again."""
        with self._settling:
            going = self._ended or self._settle(info, job)
            if not going:
                self._live.pop(id(info), None)
        return going

    def _describe(self, part: Iterable[SubmittedJobInfo]) -> dict[str, dict[str, Any]]:
        """{id: description}. Raises WorkflowError when AWS has not answered for many polls."""
        ids = [info.external_jobid for info in part]
        try:
            answer = self.batch_client.describe_jobs(jobs=ids) if ids else {"jobs": []}
        except (BotoCoreError, ClientError) as error:
            self._unanswered += 1
            self.logger.warning(f"AWS Batch does not answer ({self._unanswered}): {error}")
            if self._unanswered >= POLLS_WITHOUT_ANSWER:
                self._live.clear()  # they go on
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
        if submitted.due:
            return self._again(info)
        if not job:
            return True  # Batch did not tell of it this time
        queues = self._queues(submitted.request.queue)
        move = next_move(
            job,
            on_spot=len(queues) > 1,
            may_grow=submitted.grown < MORE_MEMORY_TRIES,
            adopted=submitted.adopted,
        )
        if move is Move.WAIT:
            self._look_at(submitted, job)
            return True
        self._tell_waiting(submitted, "")
        log = self._aws.last_lines(self.settings.log_group, job) if move is Move.FAIL else []
        if submitted.grown < MORE_MEMORY_TRIES and ran_out_of_memory(log):
            move = Move.MORE_MEMORY
        elif ran_out_of_time(job) and submitted.goes_on_from(*furthest_step(log)):
            move = Move.RESUME
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
        submitted.due = True
        return self._again(info)

    def _again(self, info: SubmittedJobInfo) -> bool:
        """Submit a job that is due; False, and the job has failed, when Batch has refused it too often.

        A refusal ends neither the run nor the other jobs: throttling passes, and so do changes of a role.
        """
        submitted: Submitted = info.aux["submitted"]
        try:
            submit = self._submit if submitted.begun else self._start
            info.external_jobid = submit(submitted)
        except (WorkflowError, BotoCoreError, ClientError) as error:
            submitted.refused += 1
            if submitted.refused >= TIMES_REFUSED:
                self.report_job_error(info, msg=f"Cause: {error}\n")
                return False
            self.logger.warning(f"{error}; asked again at the next look")
            return True
        submitted.due, submitted.refused, submitted.waiting = False, 0, Waiting()
        return True

    def _look_at(self, submitted: Submitted, job: dict[str, Any]) -> None:
        """Note what a job waits for, and the machine that it runs on; end a wait that leads to nothing."""
        if job.get("status") == "RUNNING" and not submitted.machine:
            submitted.machine = instance_type(self._aws.ecs, job)
        waiting = submitted.waiting.seen(job, time.monotonic())
        self._tell_waiting(submitted, waiting.reason)
        submitted.waiting = waiting
        limit, queue = self.settings.waiting_seconds, submitted.request.queue
        too_long = waiting.seconds(time.monotonic()) > limit
        if too_long and not self._aws.queue_moves(queue):
            why = f"{STUCK}: {limit} s in {queue}"
            try:
                self.batch_client.terminate_job(jobId=job["jobId"], reason=why)
            except (BotoCoreError, ClientError) as error:
                self.logger.warning(f"AWS Batch does not end {submitted.request.name}: {error}")

    async def _record(self, single: Any) -> None:
        """Have Snakemake note with which options a rule of a group was run; at its end it is noted again."""
        try:
            await self.workflow.persistence.finished(single)
        except (WorkflowError, OSError, BotoCoreError, ClientError) as error:
            self.logger.warning(f"{single.rule.name} is recorded later: {error}")

    async def _look_at_members(self, info: SubmittedJobInfo, job: dict[str, Any]) -> None:
        """Say which rules of a group have ended; also to whoever listens for `member` in the log.

        What was made is recorded at once, so that a submitter that takes over knows with which options.
        """
        if not job or not info.job.is_group() or job.get("status") in BEFORE_RUNNING:
            return
        submitted: Submitted = info.aux["submitted"]
        singles = {one.rule.name: one for one in info.job.jobs}
        lines, submitted.read = self._aws.new_lines(self.settings.log_group, job, submitted.read)
        for rule, event in ended(lines):
            if rule not in singles:
                continue
            if event == DONE:
                await self._record(singles[rule])
            scene = singles[rule].wildcards_dict.get("scene", "")
            self.logger.info(
                f"AWS Batch job {submitted.request.name}: {rule} {event.removeprefix('member_')}",
                extra={"member": {"rule": rule, "scene": scene, "event": event}},
            )

    def _tell_waiting(self, submitted: Submitted, reason: str) -> None:
        """Say what a job waits for, when that has changed; also to whoever listens for `waits` in the log."""
        if reason != submitted.waiting.reason:
            said = f"waits: {reason}" if reason else "waits no longer"
            name = submitted.request.name
            self.logger.info(
                f"AWS Batch job {name} {said}", extra={"waits": {"job": name, "reason": reason}}
            )

    def _bill(self, info: SubmittedJobInfo, job: dict[str, Any]) -> None:
        """Leave what a finished job used in .snakemake/ledger; never a reason to fail."""
        singles = members(info.job)
        scene = str(getattr(singles[0].wildcards, "scene", ""))
        run = self.workflow.storage_settings.default_storage_prefix
        submitted: Submitted = info.aux["submitted"]
        # A machine that was taken away is soon forgotten at ECS.
        machine = instance_type(self._aws.ecs, job) or submitted.machine
        rules = GROUPED.join(sorted({one.rule.name for one in singles}))
        try:
            keep(job["jobId"], ledger_entry(job, submitted.request, run, rules, scene, machine))
        except OSError as error:
            self.logger.warning(f"{LEDGER}/{job['jobId']}.json could not be written: {error}")

    # -- the end -----------------------------------------------------------------------------------------

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Stop what still runs: nobody is left to take its results.

        `active_jobs` are not asked: they are none while the base class looks at its jobs.
        """
        with self._settling:
            self._ended = True
            live = [info for info in self._live.values() if not info.aux["submitted"].due]
        for info in live:
            self.logger.info(f"Terminating AWS Batch job {info.external_jobid}")
            info.aux["job_definition_arn"] = info.aux["submitted"].definition
            self._terminate_job(info)
            self._deregister_job(info)


assert (
    TERMINATED == "terminated by snakemake"
)  # what the released `_terminate_job` gives as its reason
