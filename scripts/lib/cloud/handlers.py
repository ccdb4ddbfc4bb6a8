"""The Lambda function behind the API: four routes, each a small function of the account and the request.

Who may call is API Gateway's business (config/aws/stack.yaml: signatures or tokens, never open); what may be
asked for is checked here, and that each caller has its own runs and uploads, and sees no other's.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from scripts.lib.cloud.aws import Account, NotStartedError, run_folder
from scripts.lib.cloud.caller import Caller, caller_of
from scripts.lib.cloud.request import (
    RefusedError,
    body_of,
    idempotency_key,
    parse_request,
    parse_upload,
    upload_key,
)
from scripts.lib.cloud.status import describe_run
from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.progress import Progress
from scripts.lib.contracts.record import to_json
from scripts.lib.contracts.request import RunRequest
from scripts.lib.contracts.stop import Stop
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.json_type import Json

STOPPED = "stopped by DELETE /jobs"
NEVER_STARTED = {"statusReason": "the run was never started; post it again"}
ATTEMPTS = 3  # at each call: this function has 20 seconds, and a caller can ask again
MOST_RUNS = 4  # at once of one caller, where the stack does not say
# What a finished run offers, where it is there, and what a browser is told of it.
LINKS = {
    "report.html": "text/html; charset=utf-8",
    "splat.html": "text/html; charset=utf-8",
    "site.zip": "application/zip",
    "splat.clean.ply": "application/octet-stream",
    "splat.sog": "application/octet-stream",
    "splat.spz": "application/octet-stream",
    "tour.mp4": "video/mp4",
    "poster.jpg": "image/jpeg",
    "photos.zip": "application/zip",
    "cost.json": "application/json",
}
Event = Mapping[str, Any]
Answer = tuple[int, dict[str, Json]]


def _known(account: Account, event: Event, caller: Caller) -> tuple[str, RunRequest]:
    """(id, request) of the caller's own run that an address names.

    Raises RefusedError when there is none; another's is none, too.
    """
    job = str((event.get("pathParameters") or {}).get("id", ""))
    named = job.isalnum() and job.isascii()
    request = account.read(RunRequest, _request_key(job)) if named else None
    if request is None or request.caller != caller.mark:
        raise RefusedError(404, f"there is no job {job!r}")
    return job, request


def _request_key(job: str) -> str:
    return f"{run_folder(job)}/{RunRequest.file}"


def upload(account: Account, event: Event, caller: Caller) -> Answer:
    """`POST /uploads`: where and how to upload one archive of photos or a video."""
    name, size = parse_upload(body_of(event))
    key = f"uploads/{caller.mark}/{secrets.token_hex(8)}/{name}"
    form = account.upload_form(key, size)
    return 200, {**form, "source": f"s3://{account.bucket}/{key}"}


def submit(account: Account, event: Event, caller: Caller) -> Answer:
    """`POST /jobs`: start a run; its request is kept before anything is started.

    The same request with the same header Idempotency-Key is the same run: a caller that got no answer may
    post it again.
    """
    request = parse_request(body_of(event), account.bucket, ROOT, caller.mark)
    request = replace(request, email=caller.address(request.email))
    key = idempotency_key(event)
    job = _job_of(key, request) if key else secrets.token_hex(6)
    answer: dict[str, Json] = {"id": job, "status": f"/jobs/{job}"}
    known = account.read(RunRequest, _request_key(job)) if key else None
    if known and account.coordinator_of(job, caller.mark):
        return 202, answer
    source = upload_key(request.source, account.bucket, caller.mark)
    if not account.exists(str(source)):
        raise RefusedError(
            400, f"{request.source} has not been uploaded, or was deleted after 30 days"
        )
    most = int(os.environ.get("SPLATMAKE_MOST_RUNS", MOST_RUNS))
    if account.active_runs(caller.mark) >= most:
        raise RefusedError(429, f"{most} of your runs have not ended; wait for one, or stop it")
    request = replace(request, page=known.page if known else secrets.token_hex(5))
    account.write(run_folder(job), request)
    try:
        account.start_coordinator(job, caller.mark)
    except NotStartedError as error:
        raise RefusedError(503, f"the run was not started ({error}); post it again") from None
    return 202, answer


def _job_of(key: str, request: RunRequest) -> str:
    """The id that a request with an idempotency key always has."""
    text = json.dumps([key, to_json(request)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def status(account: Account, event: Event, caller: Caller) -> Answer:
    """`GET /jobs/{id}`: stage, percent, time left, and links once there is something to see."""
    job, request = _known(account, event, caller)
    folder = run_folder(job)
    batch = account.coordinator_of(job, caller.mark)
    outcome = account.read(Outcome, f"{folder}/{Outcome.file}")
    answer = describe_run(
        job,
        request.scene,
        account.describe(batch) if batch else NEVER_STARTED,
        account.read(Progress, f"{folder}/{Progress.file}"),
        outcome,
        account.read(Stop, f"{folder}/{Stop.file}") is not None,
    )
    links: dict[str, Json] = {}
    if answer["state"] == "done":
        results = f"{folder}/results/{request.scene}/"
        there = set(account.names(results))
        links = {
            name: account.link(results + name, kind)
            for name, kind in LINKS.items()
            if name in there
        }
    if outcome and outcome.url:
        links["page"] = outcome.url
    return 200, answer | {"links": links}


def stop(account: Account, event: Event, caller: Caller) -> Answer:
    """`DELETE /jobs/{id}`: stop the coordinator first, so that it starts no more, then what it started."""
    job, _ = _known(account, event, caller)
    folder = run_folder(job)
    account.write(folder, Stop(reason=STOPPED))
    if batch := account.coordinator_of(job, caller.mark):
        account.terminate(batch, STOPPED)
    jobs = account.jobs_of(f"s3://{account.bucket}/{folder}")
    for batch_job in jobs:
        account.terminate(batch_job, STOPPED)
    return 202, {"id": job, "state": "stopped", "terminated": len(jobs)}


ROUTES: dict[str, Callable[[Account, Event, Caller], Answer]] = {
    "POST /uploads": upload,
    "POST /jobs": submit,
    "GET /jobs/{id}": status,
    "DELETE /jobs/{id}": stop,
}


def handle(event: Event, context: object = None) -> dict[str, Json]:
    """The function that Lambda calls, with an event of API Gateway's HTTP APIs (payload 2.0)."""
    account = Account(os.environ["SPLATMAKE_STACK"], os.environ["SPLATMAKE_BUCKET"], ATTEMPTS)
    route = ROUTES.get(str(event.get("routeKey")))
    try:
        if route is None:
            raise RefusedError(404, f"there is nothing under {event.get('routeKey')!r}")
        code, answer = route(account, event, caller_of(event))
    except RefusedError as error:
        code, answer = error.status, {"error": str(error)}
    return {
        "statusCode": code,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(answer),
    }
