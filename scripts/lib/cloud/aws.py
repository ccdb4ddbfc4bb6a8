"""The only way of the job API and its coordinator to AWS: Batch, S3, SNS and SES behind plain functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.lib.contracts.record import File, from_file
from scripts.lib.core.json_type import Json
from scripts.lib.storage import library

ACTIVE = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
QUEUES = ("cpu-spot", "cpu-on-demand", "gpu-spot", "gpu-on-demand")
# It waits for hours and costs little; it should not be taken away.
COORDINATOR_QUEUE = "cpu-on-demand"

LINK_SECONDS = 3600


class NotStartedError(Exception):
    """AWS did not take a job; why, in its words."""


class Account:
    """An AWS account with the stack `stack` of config/aws/stack.yaml, and its bucket."""

    def __init__(self, stack: str, bucket: str) -> None:
        self.stack, self.bucket = stack, bucket
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """A boto3 client, made when it is first needed."""
        if service not in self._clients:
            self._clients[service] = library.client(service)
        return self._clients[service]

    def read(self, key: str) -> dict[str, Json] | None:
        """A JSON object of the bucket; None when there is none of that name."""
        from botocore.exceptions import ClientError

        try:
            body = self.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            # A role without s3:ListBucket would be told 403 for a missing object; ours has it.
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise
        value = json.loads(body)
        return value if isinstance(value, dict) else None

    def read_file(self, kind: type[File], key: str) -> File | None:
        """A file that a stage of a run left in the bucket; None when there is none of that name.

        Raises UserError when it is another version's.
        """
        found = self.read(key)
        return None if found is None else from_file(kind, found, Path(key))

    def write(self, key: str, value: Mapping[str, Json]) -> None:
        """Put a JSON object into the bucket."""
        body = json.dumps(value, indent=2).encode()
        self.client("s3").put_object(
            Bucket=self.bucket, Key=key, Body=body, ContentType="application/json"
        )

    def upload_form(self, key: str, most_bytes: int) -> dict[str, Json]:
        """Address and form fields with which a browser may upload one file, of at most `most_bytes`."""
        form: dict[str, Json] = self.client("s3").generate_presigned_post(
            self.bucket,
            key,
            Conditions=[["content-length-range", 1, most_bytes]],
            ExpiresIn=LINK_SECONDS,
        )
        return form

    def link(self, key: str) -> str:
        """An address under which an object can be read for an hour."""
        address: str = self.client("s3").generate_presigned_url(
            "get_object", Params={"Bucket": self.bucket, "Key": key}, ExpiresIn=LINK_SECONDS
        )
        return address

    def start_coordinator(self, job: str) -> str:
        """Submit the coordinator of a run; the id of its Batch job. Raises NotStartedError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self._submit_coordinator(job)
        except (BotoCoreError, ClientError) as error:
            raise NotStartedError(str(error)) from None

    def coordinator_of(self, job: str) -> str | None:
        """The id of a run's Batch job, by its name; None when Batch knows of none."""
        pages = self.client("batch").get_paginator("list_jobs")
        filters = [{"name": "JOB_NAME", "values": [_coordinator_name(job)]}]
        queue = f"{self.stack}-{COORDINATOR_QUEUE}"
        found = [
            entry
            for page in pages.paginate(jobQueue=queue, filters=filters)
            for entry in page["jobSummaryList"]
        ]
        latest = max(found, key=lambda entry: int(entry.get("createdAt", 0)), default=None)
        return None if latest is None else str(latest["jobId"])

    def _submit_coordinator(self, job: str) -> str:
        answer = self.client("batch").submit_job(
            jobName=_coordinator_name(job),
            jobQueue=f"{self.stack}-{COORDINATOR_QUEUE}",
            jobDefinition=f"{self.stack}-coordinator",
            containerOverrides={"environment": [{"name": "SPLATMAKE_JOB", "value": job}]},
        )
        return str(answer["jobId"])

    def describe(self, batch_job: str) -> dict[str, Json]:
        """A Batch job's description; {} when Batch has forgotten it."""
        jobs = self.client("batch").describe_jobs(jobs=[batch_job])["jobs"]
        return dict(jobs[0]) if jobs else {}

    def terminate(self, batch_job: str, reason: str) -> None:
        """Stop a Batch job; nothing happens when it has ended."""
        self.client("batch").terminate_job(jobId=batch_job, reason=reason)

    def jobs_of(self, run: str) -> list[str]:
        """Ids of the active Batch jobs of the run with the prefix `run` (s3://...), over all queues.

        The executor gives the jobs of a run names that end alike.
        """
        mark = run_mark(run)
        pages = self.client("batch").get_paginator("list_jobs")
        found = []
        for queue in QUEUES:
            for status in ACTIVE:
                for page in pages.paginate(jobQueue=f"{self.stack}-{queue}", jobStatus=status):
                    found += [
                        str(job["jobId"])
                        for job in page["jobSummaryList"]
                        if f"-{mark}-" in job["jobName"]
                    ]
        return found

    def announce(self, topic: str, subject: str, text: str) -> None:
        """Mail to whoever has subscribed to the stack's topic."""
        self.client("sns").publish(TopicArn=topic, Subject=subject[:100], Message=text)

    def mail(self, sender: str, receiver: str, subject: str, text: str) -> None:
        """Mail to one person, by SES."""
        self.client("ses").send_email(
            Source=sender,
            Destination={"ToAddresses": [receiver]},
            Message={"Subject": {"Data": subject}, "Body": {"Text": {"Data": text}}},
        )


def _coordinator_name(job: str) -> str:
    return f"run-{job}"


def run_folder(job: str) -> str:
    """Where everything of a run lies in the bucket."""
    return f"runs/{job}"


def run_mark(run: str) -> str:
    """Eight hex digits that stand in the names of a run's jobs; the executor plugin makes the same."""
    return hashlib.sha256(run.encode()).hexdigest()[:8]
