"""What the executor asks of AWS beside submitting: who it is, which jobs there are, what a job said."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from snakemake_interface_common.exceptions import WorkflowError

from .watch import server_ahead

ACTIVE = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
LOG_LINES = 40


class Account:
    """The clients of one account and region; `region` None takes boto3's own."""

    def __init__(self, region: str | None) -> None:
        client = {
            "region_name": region,
            "config": Config(retries={"mode": "adaptive", "max_attempts": 8}),
        }
        self.batch = boto3.client("batch", **client)
        self.logs = boto3.client("logs", **client)
        self.ecs = boto3.client("ecs", **client)
        self.sts = boto3.client("sts", **client)
        self.s3 = boto3.client("s3", **client)
        self.region = str(self.batch.meta.region_name)
        self._roles = ""

    def role(self, name: str) -> str:
        """A role's ARN; a plain name is one of this account."""
        if name.startswith("arn:"):
            return name
        if not self._roles:
            parts = self.sts.get_caller_identity()["Arn"].split(":")
            self._roles = f"arn:{parts[1]}:iam::{parts[4]}:role"
        return f"{self._roles}/{name}"

    def jobs_named(self, name: str, queues: Iterable[str], began: float) -> list[str]:
        """Ids of the jobs of this name that are active, or ended well since `began` (seconds), oldest first.

        `began` is by this machine's clock, which may be wrong: it is set by the date of AWS's answers. Raises
        WorkflowError when a queue cannot be listed.
        """
        found: list[dict[str, Any]] = []
        ahead = 0.0
        for queue in queues:
            pages = self.batch.get_paginator("list_jobs").paginate(
                jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [name]}]
            )
            try:
                for page in pages:
                    ahead = server_ahead(page, time.time())
                    found += page["jobSummaryList"]
            except (BotoCoreError, ClientError) as error:
                raise WorkflowError(f"AWS Batch does not list the queue {queue}: {error}") from None
        kept = [
            job
            for job in found
            if job["status"] in ACTIVE
            or (job["status"] == "SUCCEEDED" and job.get("stoppedAt", 0) / 1000 >= began + ahead)
        ]
        return [str(j["jobId"]) for j in sorted(kept, key=lambda j: (j["createdAt"], j["jobId"]))]

    def remove(self, places: Iterable[str]) -> None:
        """Delete what there is of the objects `s3://BUCKET/KEY`.

        Raises WorkflowError when S3 refuses.
        """
        wanted: dict[str, set[str]] = {}
        for place in places:
            bucket, _, key = place.removeprefix("s3://").partition("/")
            wanted.setdefault(bucket, set()).add(key)
        for bucket, keys in wanted.items():
            pages = self.s3.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=os.path.commonprefix(list(keys))
            )
            try:
                found = [one["Key"] for page in pages for one in page.get("Contents", [])]
                for key in keys.intersection(found):
                    self.s3.delete_object(Bucket=bucket, Key=key)
            except (BotoCoreError, ClientError) as error:
                raise WorkflowError(f"s3://{bucket} does not let old results go: {error}") from None

    def queue_moves(self, queue: str) -> bool:
        """Whether anything runs or starts in a queue, so that what waits there will have its turn.

        Also true where AWS does not say: no job is ended for that.
        """
        try:
            return any(
                self.batch.list_jobs(jobQueue=queue, jobStatus=status, maxResults=1)[
                    "jobSummaryList"
                ]
                for status in ("STARTING", "RUNNING")
            )
        except (BotoCoreError, ClientError):
            return True

    def new_lines(
        self, group: str, job: Mapping[str, Any], read: tuple[str, str]
    ) -> tuple[list[str], tuple[str, str]]:
        """What a job's log has more than at the last look, and the place to go on from.

        `read` is the place of the last look: stream and token; another try of the job has another stream.
        """
        stream = str(job.get("container", {}).get("logStreamName") or "")
        if not stream:
            return [], read
        token = {"nextToken": read[1]} if read[0] == stream else {}
        try:
            answer = self.logs.get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=True, **token
            )
        except (BotoCoreError, ClientError):
            return [], read  # CloudWatch has none yet, or asks for patience
        lines = [str(event["message"]) for event in answer["events"]]
        return lines, (stream, str(answer["nextForwardToken"]))

    def last_lines(self, group: str, job: Mapping[str, Any]) -> list[str]:
        """The end of a job's log in the log group `group`; empty when CloudWatch has none."""
        stream = job.get("container", {}).get("logStreamName")
        if not stream:
            return []
        try:
            events = self.logs.get_log_events(
                logGroupName=group, logStreamName=stream, limit=LOG_LINES, startFromHead=False
            )["events"]
        except (BotoCoreError, ClientError) as error:
            return [f"(CloudWatch gives no log: {error})"]
        return [event["message"].rstrip() for event in events]
