"""What callers may do with their runs. Each lies in a folder of its caller, where nobody else looks."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from scripts.lib.cloud.aws import Account, NotStartedError, is_active, run_folder
from scripts.lib.cloud.call import Call, hashed
from scripts.lib.cloud.links import link
from scripts.lib.cloud.messages import (
    Ended,
    EndJob,
    Files,
    Jobs,
    JobStatus,
    JobSummary,
    ListFiles,
    ListJobs,
    NewJob,
    Retry,
    Started,
)
from scripts.lib.cloud.request import OWN_UPLOADS, RefusedError, upload_of
from scripts.lib.cloud.status import describe_run, run_state, title_of
from scripts.lib.contracts.claim import Claim
from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.progress import Progress
from scripts.lib.contracts.record import to_json
from scripts.lib.contracts.request import RequestedScene, RunRequest
from scripts.lib.contracts.stop import Stop
from scripts.lib.core.console import UserError
from scripts.lib.core.json_type import Json
from scripts.lib.storage.copies import forget_copies

STOPPED = "stopped by DELETE /jobs"
NEVER_STARTED: Mapping[str, Json] = {"statusReason": "the run was never started; post it again"}
MOST_RUNS = 4  # at once of one caller, where the stack does not say
LOOKED_AT = 60  # runs, for a page of a list: each is two or three requests of S3
UNLISTED = 60.0  # seconds in which Batch may not list what it took: its lists follow after a while
MOST_PATHS = 4  # CloudFront works at 15 that end in * at once, of all callers together ("Quotas")
KEYS = "keys"  # beside a caller's runs; behind all of them, whose names are hex
RESULTS = "results/"


def submit(account: Account, call: Call, body: NewJob) -> Started:
    """Start a run of one or more of your own uploads.

    The same request with the same header Idempotency-Key is the same run: a caller that got no answer may
    post it again.
    """
    request = _request(account, call, body)
    job = _claimed(account, call, request) if call.key else new_id()
    folder = run_folder(_run(call, job))
    known = account.read(RunRequest, f"{folder}/{RunRequest.file}") if call.key else None
    begun = known and (_is_fresh(known) or account.coordinator_of(call.caller.mark, job))
    if not begun:
        if gone := [s for s in request.scenes if not account.exists(_key(account, s))]:
            raise RefusedError(
                400, f"{gone[0].source} has not been uploaded, or was deleted after 30 days"
            )
        _check_quota(account, call)
        _start(account, call, job, known or request)
    return Started(id=job, status=f"/jobs/{job}")


def listed(account: Account, call: Call, query: ListJobs) -> Jobs:
    """Your runs, newest first. A page may hold fewer than `limit`: go on while `next` is not null."""
    mark = call.caller.mark
    ids = account.folders(run_folder(f"{mark}/"), query.after or "", LOOKED_AT + 1)
    ids, more = [job for job in ids[:LOOKED_AT] if job != KEYS], len(ids) > LOOKED_AT
    batch = account.coordinators_of(mark) if ids else {}
    found: list[JobSummary] = []
    for number, job in enumerate(ids):
        summary = _summary(account, call, job, batch.get(job, NEVER_STARTED))
        if summary and query.state in (None, summary.state):
            found.append(summary)
        if len(found) == query.limit:
            more = more or number + 1 < len(ids)
            return Jobs(jobs=tuple(found), next=job if more else None)
    return Jobs(jobs=tuple(found), next=ids[-1] if more else None)


def status(account: Account, call: Call) -> JobStatus:
    """How far a run is; cause of a failure; addresses of its pages."""
    request = _known(account, call)
    folder = run_folder(_run(call))
    batch = account.coordinator_of(call.caller.mark, call.id)
    return describe_run(
        call.id,
        request,
        account.describe(str(batch["jobId"])) if batch else NEVER_STARTED,
        account.read(Progress, f"{folder}/{Progress.file}"),
        account.read(Outcome, f"{folder}/{Outcome.file}"),
        account.read(Stop, f"{folder}/{Stop.file}") is not None,
        _is_fresh(request),
        now=time.time(),
    )


def files(account: Account, call: Call, query: ListFiles) -> Files:
    """Every result and log of a run so far, each with a link for an hour."""
    _known(account, call)
    prefix = f"{run_folder(_run(call))}/{RESULTS}"
    names, more = account.sizes(prefix, query.after or "", query.limit)
    return Files(
        files=tuple(
            link(account, prefix, name, size) for name, size in names if "/web/" not in name
        ),
        next=names[-1][0] if more else None,
    )


def retry(account: Account, call: Call, body: Retry) -> Started:
    """Let an ended run go on, with other options if you like.

    What they do not change is not computed again.
    """
    request, folder = _known(account, call), run_folder(_run(call))
    if _is_active(account, call, request):
        raise RefusedError(409, "this run has not ended; stop it first, or wait")
    changed = replace(
        request,
        options=request.options if body.options is None else body.options,
        email=request.email if body.email is None else call.caller.address(body.email),
        webhook=body.webhook or request.webhook,
    )
    _check_quota(account, call)
    for ended in (Outcome, Stop):
        account.remove(f"{folder}/{ended.file}")
    _start(account, call, call.id, changed)
    return Started(id=call.id, status=f"/jobs/{call.id}")


def end(account: Account, call: Call, query: EndJob) -> Ended:
    """Stop a run, and with `data=true` delete all that it made; its uploads stay.

    The coordinator is stopped first, so that it starts no more, then what it started. Data can go only when
    nothing writes any more: while the answer is `stopping`, ask again.
    """
    request, folder = _known(account, call), run_folder(_run(call))
    outcome = account.read(Outcome, f"{folder}/{Outcome.file}")
    if outcome is None:
        account.write(folder, Stop(reason=STOPPED))
    batch = account.coordinator_of(call.caller.mark, call.id)
    jobs = [str(batch["jobId"])] if is_active(batch) else []
    jobs += account.jobs_of(f"s3://{account.bucket}/{folder}")
    for job in jobs:
        account.terminate(job, STOPPED)
    if not query.data:
        return Ended(id=call.id, state=outcome.state if outcome else "stopped")
    if jobs or (outcome is None and _is_fresh(request)):
        return Ended(id=call.id, state="stopping")
    account.remove_all(f"checkpoints/{folder}/")
    account.remove_all(f"{folder}/{RESULTS}")
    _unpublish(account, request, outcome)
    account.remove_all(f"{folder}/", last=f"{folder}/{RunRequest.file}")
    return Ended(id=call.id, state="deleted")


def _unpublish(account: Account, request: RunRequest, outcome: Outcome | None) -> None:
    """Delete a run's pages, and CloudFront's copies of them. Raises RefusedError when that refuses."""
    told = outcome.scenes if outcome else {}
    pages = []
    for scene in request.scenes:
        page = page_name(scene.scene, request.page)
        # Also where an earlier try has deleted them already.
        published = scene.scene in told and told[scene.scene].url
        if published or account.sizes(f"web/{page}/", "", 1)[0]:
            account.remove_all(f"web/{page}/")
            pages.append(page)
    distribution = os.environ.get("SPLATMAKE_DISTRIBUTION")
    if not pages or not distribution:
        return
    paths = [f"/{page}/*" for page in pages] if len(pages) <= MOST_PATHS else ["/*"]
    try:
        forget_copies(distribution, paths, account.attempts)
    except UserError as error:
        raise RefusedError(503, f"{error}; or ask again in a minute") from None


def page_name(scene: str, page: str) -> str:
    """What a scene's page is called below web/."""
    return f"{scene}-{page}"


def new_id() -> str:
    """A new run's id, 16 hex digits: of two runs the later one comes first by name, until 2106."""
    return f"{2**32 - 1 - int(time.time()):08x}{secrets.token_hex(4)}"


def _run(call: Call, job: str = "") -> str:
    return f"{call.caller.mark}/{job or call.id}"


def _known(account: Account, call: Call) -> RunRequest:
    """The caller's own run that an address names. Raises RefusedError; another's is none, too."""
    request = account.read(RunRequest, f"{run_folder(_run(call))}/{RunRequest.file}")
    if request is None:
        raise RefusedError(404, f"there is no job {call.id!r}")
    return request


def _request(account: Account, call: Call, body: NewJob) -> RunRequest:
    """What a body asks for. Raises RefusedError: 403 for what is not the caller's own upload."""
    names = [scene.scene for scene in body.scenes]
    if len(set(names)) < len(names):
        raise RefusedError(400, "two scenes have the same name; each has a page of its own")
    for scene in body.scenes:
        if upload_of(scene.source, account.bucket, call.caller.mark) is None:
            raise RefusedError(403, f"source {scene.source} {OWN_UPLOADS}")
    return RunRequest(
        scenes=tuple(RequestedScene(scene.scene, scene.source) for scene in body.scenes),
        email=call.caller.address(body.email or ""),
        webhook=body.webhook or "",
        options=body.options or {},
        asked=_now(),
        page=secrets.token_hex(5),
    )


def _key(account: Account, scene: RequestedScene) -> str:
    return scene.source.removeprefix(f"s3://{account.bucket}/")


def _claimed(account: Account, call: Call, request: RunRequest) -> str:
    """The id of the run that the caller's idempotency key stands for.

    Raises RefusedError when it stands for another request.
    """
    asked = to_json(replace(request, asked="", page=""))
    claim = Claim(job=new_id(), digest=hashed(json.dumps(asked, sort_keys=True)))
    folder = run_folder(f"{_run(call, KEYS)}/{hashed(call.key)[:32]}")
    if account.write_new(folder, claim):
        return claim.job
    before = account.read(Claim, f"{folder}/{Claim.file}")
    if before is None:
        raise RefusedError(409, "the same Idempotency-Key is being used now; try again")
    if before.digest != claim.digest:
        raise RefusedError(422, "this Idempotency-Key stands for another request; use a new one")
    return before.job


def _check_quota(account: Account, call: Call) -> None:
    most = int(os.environ.get("SPLATMAKE_MOST_RUNS", MOST_RUNS))
    if account.active_runs(call.caller.mark) >= most:
        raise RefusedError(429, f"{most} of your runs have not ended; wait for one, or stop it")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_fresh(request: RunRequest) -> bool:
    """Whether a run was started so shortly before that Batch may not list it yet."""
    if not request.started:
        return False
    return (datetime.now(UTC) - datetime.fromisoformat(request.started)).total_seconds() < UNLISTED


def _start(account: Account, call: Call, job: str, request: RunRequest) -> None:
    """Keep a request and start its run. Raises RefusedError when AWS does not take it."""
    folder = run_folder(_run(call, job))
    account.write(folder, replace(request, started=_now()))
    try:
        account.start_coordinator(call.caller.mark, job)
    except NotStartedError as error:
        account.write(folder, replace(request, started=""))
        raise RefusedError(503, f"the run was not started ({error}); post it again") from None


def _is_active(account: Account, call: Call, request: RunRequest) -> bool:
    """Whether anything of a run is still at work, or is about to be."""
    folder = run_folder(_run(call))
    ended = any(account.exists(f"{folder}/{kind.file}") for kind in (Outcome, Stop))
    batch = account.coordinator_of(call.caller.mark, call.id)
    begins = _is_fresh(request) and not ended
    return begins or is_active(batch) or bool(account.jobs_of(f"s3://{account.bucket}/{folder}"))


def _summary(
    account: Account, call: Call, job: str, batch: Mapping[str, Json]
) -> JobSummary | None:
    """A run in a list; None when it is being deleted."""
    folder = run_folder(_run(call, job))
    request = account.read(RunRequest, f"{folder}/{RunRequest.file}")
    if request is None:
        return None
    outcome = account.read(Outcome, f"{folder}/{Outcome.file}")
    stopped = outcome is None and account.read(Stop, f"{folder}/{Stop.file}") is not None
    return JobSummary(
        id=job,
        state=run_state(batch, outcome, stopped, _is_fresh(request)),
        asked=request.asked,
        scenes=tuple(scene.scene for scene in request.scenes),
        title=title_of(request),
        usd=None if outcome is None else outcome.usd,
    )
