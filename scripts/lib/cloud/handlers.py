"""The Lambda function behind the API: four routes, each a small function of the account and the request.

Who may call is API Gateway's business (config/aws/stack.yaml: signatures or tokens, never open); what may be
asked for is checked here.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from scripts.lib.cloud.aws import Account, NotStartedError, run_folder
from scripts.lib.cloud.request import (
    RefusedError,
    RunRequest,
    idempotency_key,
    parse_request,
    parse_upload,
)
from scripts.lib.cloud.status import describe_run
from scripts.lib.contracts.progress import Progress
from scripts.lib.contracts.record import from_json
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.json_type import Json

STOPPED = "stopped by DELETE /jobs"
NEVER_STARTED = {"statusReason": "the run was never started; post it again"}
Event = Mapping[str, Any]


def _known(account: Account, event: Event) -> tuple[str, RunRequest]:
    """(id, request) of the run that an address names. Raises RefusedError when there is none."""
    job = str(event.get("pathParameters", {}).get("id", ""))
    request = account.read(f"{run_folder(job)}/request.json") if job.isalnum() else None
    if request is None:
        raise RefusedError(404, f"there is no job {job!r}")
    return job, from_json(RunRequest, request)


def upload(account: Account, event: Event) -> tuple[int, dict[str, Json]]:
    """`POST /uploads`: where and how to upload one archive of photos or a video."""
    name, size = parse_upload(event.get("body"))
    key = f"uploads/{secrets.token_hex(8)}/{name}"
    form = account.upload_form(key, size)
    return 200, {**form, "source": f"s3://{account.bucket}/{key}"}


def submit(account: Account, event: Event) -> tuple[int, dict[str, Json]]:
    """`POST /jobs`: start a run; its request is kept before anything is started.

    The same request with the same header Idempotency-Key is the same run: a caller that got no answer may
    post it again.
    """
    request = parse_request(event.get("body"), account.bucket, ROOT)
    key = idempotency_key(event)
    job = _job_of(key, asdict(request)) if key else secrets.token_hex(6)
    answer: dict[str, Json] = {"id": job, "status": f"/jobs/{job}"}
    known = key and account.read(f"{run_folder(job)}/request.json") is not None
    if known and _coordinator(account, job):
        return 202, answer
    account.write(f"{run_folder(job)}/request.json", asdict(request))
    try:
        batch_job = account.start_coordinator(job)
    except NotStartedError as error:
        raise RefusedError(503, f"the run was not started ({error}); post it again") from None
    account.write(f"{run_folder(job)}/batch.json", {"job": batch_job})
    return 202, answer


def _job_of(key: str, request: Mapping[str, Any]) -> str:
    """The id that a request with an idempotency key always has."""
    text = json.dumps([key, request], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _coordinator(account: Account, job: str) -> str | None:
    """The Batch job of a run; None when none was started.

    By its name where batch.json is missing, because this function ended between starting and noting it.
    """
    noted = account.read(f"{run_folder(job)}/batch.json")
    return str(noted["job"]) if noted else account.coordinator_of(job)


def status(account: Account, event: Event) -> tuple[int, dict[str, Json]]:
    """`GET /jobs/{id}`: stage, percent, time left, and links once there is something to see."""
    job, request = _known(account, event)
    folder = run_folder(job)
    batch = _coordinator(account, job)
    outcome = account.read(f"{folder}/outcome.json")
    answer = describe_run(
        job,
        request.scene,
        account.describe(batch) if batch else NEVER_STARTED,
        account.read_file(Progress, f"{folder}/progress.json"),
        outcome,
        account.read(f"{folder}/stop.json") is not None,
    )
    results = f"{folder}/results/{request.scene}"
    links: dict[str, Json] = {}
    if answer["state"] == "done":
        links = {name: account.link(f"{results}/{name}") for name in ("report.html", "splat.html")}
    if outcome and outcome.get("url"):
        links["page"] = outcome["url"]
    return 200, answer | {"links": links}


def stop(account: Account, event: Event) -> tuple[int, dict[str, Json]]:
    """`DELETE /jobs/{id}`: stop the coordinator first, so that it starts no more, then what it started."""
    job, _ = _known(account, event)
    folder = run_folder(job)
    account.write(f"{folder}/stop.json", {"reason": STOPPED})
    if batch := _coordinator(account, job):
        account.terminate(batch, STOPPED)
    jobs = account.jobs_of(f"s3://{account.bucket}/{folder}")
    for batch_job in jobs:
        account.terminate(batch_job, STOPPED)
    return 202, {"id": job, "state": "stopped", "terminated": len(jobs)}


ROUTES: dict[str, Callable[[Account, Event], tuple[int, dict[str, Json]]]] = {
    "POST /uploads": upload,
    "POST /jobs": submit,
    "GET /jobs/{id}": status,
    "DELETE /jobs/{id}": stop,
}


def handle(event: Event, context: object = None) -> dict[str, Json]:
    """The function that Lambda calls, with an event of API Gateway's HTTP APIs (payload 2.0)."""
    account = Account(os.environ["SPLATMAKE_STACK"], os.environ["SPLATMAKE_BUCKET"])
    route = ROUTES.get(str(event.get("routeKey")))
    try:
        if route is None:
            raise RefusedError(404, f"there is nothing under {event.get('routeKey')!r}")
        code, answer = route(account, event)
    except RefusedError as error:
        code, answer = error.status, {"error": str(error)}
    return {
        "statusCode": code,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(answer),
    }
