"""Runs on this machine, by the calls of the cloud's API. Each is a folder, and a row in the queue."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from scripts.lib.cloud.call import hashed
from scripts.lib.cloud.links import content_type
from scripts.lib.cloud.messages import (
    Ended,
    EndJob,
    File,
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
from scripts.lib.cloud.request import OWN_UPLOADS, RefusedError
from scripts.lib.cloud.runs import STOPPED, new_id
from scripts.lib.cloud.status import describe_run, run_state, title_of
from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.progress import Progress
from scripts.lib.contracts.record import to_json, write
from scripts.lib.contracts.request import RequestedScene, RunRequest
from scripts.lib.contracts.stop import Stop
from scripts.lib.core.json_type import Json
from scripts.lib.studio.lock import is_held
from scripts.lib.studio.records import found
from scripts.lib.studio.store import JobRow
from scripts.lib.studio.studio import Call, Studio
from scripts.lib.studio.uploads import there
from scripts.lib.studio.watching import trainings, with_trainings

MOST_OPEN = 100  # runs that have not ended
LAST_WORD_SECONDS = 2.0  # from a run's outcome to the end of its program
NO_MAIL = "the studio sends no mails; leave 'email' out"
AS_BATCH = {"queued": "RUNNABLE", "active": "RUNNING", "ended": "FAILED"}  # the cloud's words


def submit(studio: Studio, call: Call, body: NewJob) -> Started:
    """Put a run of finished uploads into the queue; the same Idempotency-Key is the same run."""
    request = _request(studio, body)
    job = _claimed(studio, call, request) if call.key else new_id()
    if studio.store.job(job) is None:
        folder = studio.home.job(job)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write(folder / RunRequest.file, request)
        _enqueue(studio, job)
    return Started(id=job, status=f"/jobs/{job}")


def listed(studio: Studio, call: Call, query: ListJobs) -> Jobs:
    """Runs, the newest first."""
    studio.home.must_be_there()
    shown: list[JobSummary] = []
    after = query.after or ""
    while rows := studio.store.jobs(after, query.limit + 1):
        for row in rows:
            if len(shown) == query.limit:
                return Jobs(jobs=tuple(shown), next=after)
            summary = _summary(studio, row)
            if summary and query.state in (None, summary.state):
                shown.append(summary)
            after = row.id
    return Jobs(jobs=tuple(shown), next=None)


def status(studio: Studio, call: Call) -> JobStatus:
    """How far a run is; cause of a failure; addresses of its pages; how many wait before it."""
    row, request = _known(studio, call.id)
    folder = studio.home.job(row.id)
    results = studio.home.results(row.id)
    live = trainings(results, request)
    told = describe_run(
        row.id,
        request,
        {"status": AS_BATCH[row.state], "statusReason": "the run ended without a word"},
        found(Progress, results),
        _with_pages(found(Outcome, folder), call, row.id),
        found(Stop, folder) is not None,
        now=time.time(),
        live=live,
    )
    if told.state != "queued":
        return with_trainings(told, live, call.base) if told.state == "running" else told
    before = [other for other in studio.store.in_state("queued") if other.turn < row.turn]
    count = len(before) + len(studio.store.in_state("active"))
    said = f"{count} other {'run is' if count == 1 else 'runs are'} before it"
    return replace(told, waiting={"queue": said} if count else None)


def files(studio: Studio, call: Call, query: ListFiles) -> Files:
    """Every result and log of a run so far, each with a link for an hour."""
    _known(studio, call.id)
    results = studio.home.results(call.id)
    names = sorted(_names(results))
    wanted = [name for name in names if name > (query.after or "")]
    shown = wanted[: query.limit]
    return Files(
        files=tuple(
            File(
                name=name,
                bytes=(results / name).stat().st_size,
                type=content_type(name),
                url=call.base + studio.signed(f"/files/{call.id}/{name}"),
            )
            for name in shown
            if (results / name).is_file()
        ),
        next=shown[-1] if len(wanted) > len(shown) else None,
    )


def retry(studio: Studio, call: Call, body: Retry) -> Started:
    """Let an ended run go on, with other options if you like; what they do not change is not done again."""
    row, request = _known(studio, call.id)
    folder = studio.home.job(row.id)
    if not _has_ended(studio, row.id):
        raise RefusedError(409, "this run has not ended; stop it first, or wait")
    if body.email:
        raise RefusedError(403, NO_MAIL)
    changed = replace(
        request,
        options=request.options if body.options is None else body.options,
        webhook=body.webhook or request.webhook,
    )
    for scene in changed.scenes:
        _source(studio, scene.source)
    write(folder / RunRequest.file, changed)
    for ended in (Outcome, Stop):
        (folder / ended.file).unlink(missing_ok=True)
    _enqueue(studio, row.id)
    return Started(id=row.id, status=f"/jobs/{row.id}")


def end(studio: Studio, call: Call, query: EndJob) -> Ended:
    """Stop a run, and with `data=true` delete all that it made; its uploads stay.

    While the answer is `stopping`, its programs are ending: ask again.
    """
    row, _ = _known(studio, call.id)
    folder = studio.home.job(row.id)
    outcome = found(Outcome, folder)
    if outcome is None:
        write(folder / Stop.file, Stop(reason=STOPPED))
        studio.store.set_state(row.id, "ended", only_from="queued")
        studio.wake.set()
    if not query.data:
        return Ended(id=row.id, state=outcome.state if outcome else "stopped")
    if not _has_ended(studio, row.id):
        return Ended(id=row.id, state="stopping")
    studio.store.remove_job(row.id)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
    return Ended(id=row.id, state="deleted")


def page_path(job: str, scene: str) -> str:
    """Where this server shows a scene's page."""
    return f"/scenes/{quote(job)}/{quote(scene)}/web/"


def _with_pages(outcome: Outcome | None, call: Call, job: str) -> Outcome | None:
    """An outcome with this server's addresses of the pages that are there."""
    if outcome is None:
        return None
    scenes = {
        name: replace(scene, url=scene.url or call.base + page_path(job, name))
        if scene.state == "done"
        else scene
        for name, scene in outcome.scenes.items()
    }
    return replace(outcome, scenes=scenes)


def _has_ended(studio: Studio, job: str) -> bool:
    """Whether nothing works on a run any more; waits for programs that have said their last word."""
    folder = studio.home.job(job)
    told = any((folder / kind.file).exists() for kind in (Outcome, Stop))
    until = time.monotonic() + LAST_WORD_SECONDS
    while told and is_held(folder) and time.monotonic() < until:
        time.sleep(0.05)
    if is_held(folder):
        return False
    if told:
        studio.store.set_state(job, "ended", only_from="active")
    row = studio.store.job(job)
    return row is None or row.state == "ended"


def _names(results: Path) -> Iterator[str]:
    """Files below `results` that callers may see: not those of the page, which are in site.zip."""
    for path in results.rglob("*"):
        name = path.relative_to(results).as_posix()
        inside = name.split("/")
        if "web" in inside[1:-1] or "checkpoints" in inside[1:-1] or path.is_symlink():
            continue
        if path.is_file() and name.isprintable():
            yield name


def _request(studio: Studio, body: NewJob) -> RunRequest:
    """What a body asks for. Raises RefusedError: 403 for what is no upload of this studio."""
    names = [scene.scene for scene in body.scenes]
    if len(set(names)) < len(names):
        raise RefusedError(400, "two scenes have the same name; each has a page of its own")
    if body.email:
        raise RefusedError(403, NO_MAIL)
    for scene in body.scenes:
        _source(studio, scene.source)
    return RunRequest(
        scenes=tuple(RequestedScene(scene.scene, scene.source) for scene in body.scenes),
        webhook=body.webhook or "",
        options=body.options or {},
        asked=datetime.now(UTC).isoformat(timespec="seconds"),
        page=secrets.token_hex(5),
    )


def _source(studio: Studio, source: str) -> Path:
    if studio.home.source(source) is None:
        raise RefusedError(403, f"source {source} {OWN_UPLOADS}")
    path = there(studio, source)
    if path is None:
        raise RefusedError(400, f"{source} has not been uploaded, or was deleted")
    return path


def _claimed(studio: Studio, call: Call, request: RunRequest) -> str:
    """The run that the call's key stands for. Raises RefusedError when it stands for another request."""
    asked: dict[str, Json] = to_json(replace(request, asked="", page=""))
    digest = hashed(json.dumps(asked, sort_keys=True))
    job, before = studio.store.claim(hashed(call.key), new_id(), digest)
    if before != digest:
        raise RefusedError(422, "this Idempotency-Key stands for another request; use a new one")
    return job


def _enqueue(studio: Studio, job: str) -> None:
    if not studio.store.enqueue(job, MOST_OPEN):
        raise RefusedError(429, f"{MOST_OPEN} runs have not ended; wait for one, or stop it")
    studio.wake.set()


def _known(studio: Studio, job: str) -> tuple[JobRow, RunRequest]:
    """A run and its request. Raises RefusedError when there is none, OSError when the disk is gone."""
    studio.home.must_be_there()
    row = studio.store.job(job)
    request = found(RunRequest, studio.home.job(job)) if row else None
    if row is None or request is None:
        raise RefusedError(404, f"there is no job {job!r}")
    return row, request


def _summary(studio: Studio, row: JobRow) -> JobSummary | None:
    folder = studio.home.job(row.id)
    request = found(RunRequest, folder)
    if request is None:
        return None
    outcome = found(Outcome, folder)
    stopped = outcome is None and found(Stop, folder) is not None
    return JobSummary(
        id=row.id,
        state=run_state({"status": AS_BATCH[row.state]}, outcome, stopped, fresh=False),
        asked=request.asked,
        scenes=tuple(scene.scene for scene in request.scenes),
        title=title_of(request),
        usd=None if outcome is None else outcome.usd,
    )
