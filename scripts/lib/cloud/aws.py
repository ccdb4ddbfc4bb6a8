"""The only way of the job API and its coordinator to AWS: Batch, S3, SNS and SES behind plain functions."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from scripts.lib.contracts.record import File, HandedOn, as_file, from_file
from scripts.lib.core.json_type import Json
from scripts.lib.storage import library

ACTIVE = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
QUEUES = ("cpu-spot", "cpu-on-demand", "gpu-spot", "gpu-on-demand")
COORDINATOR_QUEUE = "coordinator"

LINK_SECONDS = 3600
MOST_MESSAGE = 60_000  # signs; SNS takes 256 KB, of four bytes a sign at most


class NotStartedError(Exception):
    """AWS did not take a job; why, in its words."""


class Account:
    """An AWS account with the stack `stack` of config/aws/stack.yaml, and its bucket.

    `attempts` at each call, where AWS throttles or fails: few where somebody waits for the answer.
    """

    def __init__(self, stack: str, bucket: str, attempts: int = library.ATTEMPTS) -> None:
        self.stack, self.bucket, self.attempts = stack, bucket, attempts
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """A boto3 client, made when it is first needed."""
        if service not in self._clients:
            self._clients[service] = library.client(service, self.attempts)
        return self._clients[service]

    def read(self, kind: type[File], key: str) -> File | None:
        """A file in the bucket, by its type; None when there is none of that name.

        Raises UserError when it is another version's.
        """
        from botocore.exceptions import ClientError

        try:
            body = self.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            # A role without s3:ListBucket would be told 403 for a missing object; ours has it.
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise
        try:
            value = json.loads(body)
        except ValueError:
            value = None  # told as what it is: no JSON object
        return from_file(kind, value, Path(key))

    def exists(self, key: str) -> bool:
        """Whether the bucket holds an object."""
        from botocore.exceptions import ClientError

        try:
            self.client("s3").head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return False
            raise
        return True

    def names(self, prefix: str) -> list[str]:
        """Names of the objects directly or deeper under a prefix, without it; the first thousand."""
        found = self.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [str(item["Key"]).removeprefix(prefix) for item in found.get("Contents", [])]

    def write(self, folder: str, record: HandedOn) -> None:
        """Put a file into a folder of the bucket, under its own name."""
        body = json.dumps(as_file(record), indent=2).encode()
        key = f"{folder}/{record.file}"
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

    def link(self, key: str, content_type: str) -> str:
        """An address under which an object can be read for an hour, and that tells a browser what it is.

        Snakemake's plugin stores everything as application/octet-stream, which a browser only saves.
        """
        wanted = {"Bucket": self.bucket, "Key": key, "ResponseContentType": content_type}
        address: str = self.client("s3").generate_presigned_url(
            "get_object", Params=wanted, ExpiresIn=LINK_SECONDS
        )
        return address

    def start_coordinator(self, job: str, caller: str) -> str:
        """Submit the coordinator of a run; the id of its Batch job. Raises NotStartedError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self._submit_coordinator(job, caller)
        except (BotoCoreError, ClientError) as error:
            raise NotStartedError(str(error)) from None

    def coordinator_of(self, job: str, caller: str) -> str | None:
        """The id of a run's Batch job, by its name; None when Batch knows of none."""
        found = self._coordinators(coordinator_name(job, caller))
        latest = max(found, key=lambda entry: int(entry.get("createdAt", 0)), default=None)
        return None if latest is None else str(latest["jobId"])

    def active_runs(self, caller: str) -> int:
        """How many runs of a caller have not ended."""
        every = self._coordinators(f"{coordinator_name('', caller)}*")
        return sum(entry["status"] in ACTIVE for entry in every)

    def _coordinators(self, name: str) -> list[dict[str, Any]]:
        """Batch's summaries of coordinators of this name; one ending in * is that of all that begin so."""
        pages = (
            self.client("batch")
            .get_paginator("list_jobs")
            .paginate(
                jobQueue=f"{self.stack}-{COORDINATOR_QUEUE}",
                filters=[{"name": "JOB_NAME", "values": [name]}],
            )
        )
        return [entry for page in pages for entry in page["jobSummaryList"]]

    def _submit_coordinator(self, job: str, caller: str) -> str:
        answer = self.client("batch").submit_job(
            jobName=coordinator_name(job, caller),
            jobQueue=f"{self.stack}-{COORDINATOR_QUEUE}",
            jobDefinition=f"{self.stack}-coordinator",
            containerOverrides={"environment": [{"name": "SPLATMAKE_JOB", "value": job}]},
            tags={"project": "splatmake", "stack": self.stack},
            propagateTags=True,
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
        self.client("sns").publish(
            TopicArn=topic, Subject=subject_line(subject), Message=text[:MOST_MESSAGE]
        )

    def mail(self, sender: str, receiver: str, subject: str, text: str) -> None:
        """Mail to one person, by SES."""
        self.client("ses").send_email(
            Source=sender,
            Destination={"ToAddresses": [receiver]},
            Message={"Subject": {"Data": subject}, "Body": {"Text": {"Data": text}}},
        )


def coordinator_name(job: str, caller: str) -> str:
    """The name of a run's coordinator at Batch: by it the runs of a caller are found."""
    return f"run-{caller}-{job}"


def subject_line(text: str) -> str:
    """A mail's subject as SNS takes it (API_Publish): printable ASCII, no space first, below 100 signs."""
    plain = "".join(sign if " " <= sign <= "~" else "?" for sign in text).lstrip()
    return plain[:99] or "splatmake"


def run_folder(job: str) -> str:
    """Where everything of a run lies in the bucket."""
    return f"runs/{job}"


def run_mark(run: str) -> str:
    """Eight hex digits that stand in the names of a run's jobs; the executor plugin makes the same."""
    return hashlib.sha256(run.encode()).hexdigest()[:8]
