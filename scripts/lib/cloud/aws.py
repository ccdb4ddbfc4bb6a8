"""The only way of the job API and its coordinator to AWS: Batch, S3, SNS and SES behind plain functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
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

    def sizes(self, prefix: str, after: str, most: int) -> tuple[list[tuple[str, int]], bool]:
        """([(name, bytes)] of objects under a prefix, without it, by name; whether there are more).

        Only those behind the name `after`, and at most `most`.
        """
        found = self.client("s3").list_objects_v2(
            Bucket=self.bucket, Prefix=prefix, StartAfter=f"{prefix}{after}", MaxKeys=most
        )
        listed = found.get("Contents", [])
        names = [(str(item["Key"]).removeprefix(prefix), int(item["Size"])) for item in listed]
        return names, bool(found.get("IsTruncated"))

    def folders(self, prefix: str, after: str, most: int) -> list[str]:
        """Names of at most `most` folders directly under a prefix, without it, by name, behind `after`."""
        # A folder's own name ends in `/`, and what lies in it comes before `0`.
        behind = f"{prefix}{after}0" if after else prefix
        found = self.client("s3").list_objects_v2(
            Bucket=self.bucket, Prefix=prefix, Delimiter="/", StartAfter=behind, MaxKeys=most
        )
        listed = [str(item["Prefix"]) for item in found.get("CommonPrefixes", [])]
        return [name.removeprefix(prefix).rstrip("/") for name in listed]

    def remove_all(self, prefix: str, last: str = "") -> None:
        """Delete all objects under a prefix, the one of the key `last` after all others."""
        s3 = self.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        for page in pages:  # of a thousand, as many as S3 deletes at once
            keys = [{"Key": item["Key"]} for item in page.get("Contents", [])]
            if keys := [key for key in keys if key["Key"] != last]:
                s3.delete_objects(Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True})
        if last:
            self.remove(last)

    def remove(self, key: str) -> None:
        """Delete an object; nothing happens when there is none."""
        self.client("s3").delete_object(Bucket=self.bucket, Key=key)

    def write(self, folder: str, record: HandedOn) -> None:
        """Put a file into a folder of the bucket, under its own name."""
        self.client("s3").put_object(**self._object(folder, record))

    def write_new(self, folder: str, record: HandedOn) -> bool:
        """The same, unless there is one; whether there was none."""
        from botocore.exceptions import ClientError

        try:
            self.client("s3").put_object(**self._object(folder, record), IfNoneMatch="*")
        except ClientError as error:
            # 409: somebody else is writing it now (S3, "Conditional writes").
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
                return False
            raise
        return True

    def _object(self, folder: str, record: HandedOn) -> dict[str, Any]:
        return {
            "Bucket": self.bucket,
            "Key": f"{folder}/{record.file}",
            "Body": json.dumps(as_file(record), indent=2).encode(),
            "ContentType": "application/json",
        }

    def link(self, key: str, content_type: str) -> str:
        """An address under which an object can be read for an hour, and that tells a browser what it is.

        Snakemake's plugin stores everything as application/octet-stream, which a browser only saves.
        """
        wanted = {"Bucket": self.bucket, "Key": key, "ResponseContentType": content_type}
        address: str = self.client("s3").generate_presigned_url(
            "get_object", Params=wanted, ExpiresIn=LINK_SECONDS
        )
        return address

    def start_coordinator(self, caller: str, job: str) -> str:
        """Submit the coordinator of a run; the id of its Batch job. Raises NotStartedError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self._submit_coordinator(caller, job)
        except (BotoCoreError, ClientError) as error:
            raise NotStartedError(str(error)) from None

    def coordinator_of(self, caller: str, job: str) -> dict[str, Json]:
        """Batch's summary of a run's latest coordinator, by its name; {} when Batch knows of none."""
        return self.coordinators_of(caller, job).get(job, {})

    def coordinators_of(self, caller: str, job: str = "*") -> dict[str, dict[str, Json]]:
        """{run: Batch's summary of its latest coordinator} of a caller's runs, as far as Batch knows."""
        found = self._coordinators(coordinator_name(caller, job))
        ordered = sorted(found, key=lambda entry: int(entry.get("createdAt", 0)))
        return {str(entry["jobName"]).rpartition("-")[2]: entry for entry in ordered}

    def active_runs(self, caller: str) -> int:
        """How many runs of a caller have not ended."""
        return sum(is_active(entry) for entry in self.coordinators_of(caller).values())

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

    def _submit_coordinator(self, caller: str, job: str) -> str:
        run = f"{caller}/{job}"
        answer = self.client("batch").submit_job(
            jobName=coordinator_name(caller, job),
            jobQueue=f"{self.stack}-{COORDINATOR_QUEUE}",
            jobDefinition=f"{self.stack}-coordinator",
            containerOverrides={"environment": [{"name": "SPLATMAKE_JOB", "value": run}]},
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


def coordinator_name(caller: str, job: str) -> str:
    """The name of a run's coordinator at Batch: by it the runs of a caller are found."""
    return f"run-{caller}-{job}"


def is_active(batch: Mapping[str, Json]) -> bool:
    """Whether a Batch job, by its summary or description, has not ended."""
    return batch.get("status") in ACTIVE


def subject_line(text: str) -> str:
    """A mail's subject as SNS takes it (API_Publish): printable ASCII, no space first, below 100 signs."""
    plain = "".join(sign if " " <= sign <= "~" else "?" for sign in text).lstrip()
    return plain[:99] or "splatmake"


def run_folder(run: str) -> str:
    """Where everything of a run lies in the bucket; `run` is CALLER/ID, so nobody's lies among another's."""
    return f"runs/{run}"


def run_mark(run: str) -> str:
    """Eight hex digits that stand in the names of a run's jobs; the executor plugin makes the same."""
    return hashlib.sha256(run.encode()).hexdigest()[:8]
