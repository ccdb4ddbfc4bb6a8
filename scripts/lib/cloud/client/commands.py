"""What `python -m scripts.jobs` does: each command is one function, which prints lines for a person."""

from __future__ import annotations

import json
import re
import secrets
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.lib.cloud.client.api import Api, UnreachableError
from scripts.lib.cloud.client.transfer import all_files, fetch, pause, upload
from scripts.lib.cloud.messages import Ended, Jobs, JobStatus, Started
from scripts.lib.core.console import UserError, duration, say
from scripts.lib.core.json_type import Json

POLL_SECONDS = 10.0
PATIENCE = 60  # questions in a row without an answer, before waiting ends
# What a person wants of a run; `--all` fetches the rest, which other programs read.
WANTED = {
    "report.html",
    "splat.html",
    "site.zip",
    "splat.clean.ply",
    "splat.sog",
    "splat.spz",
    "tour.mp4",
    "poster.jpg",
    "cost.json",
}


def read_json(text: str) -> dict[str, Json]:
    """Options of the command line. Raises UserError when they are no JSON object."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UserError(
            f'--options is not JSON ({error}); write \'{{"preset": "draft"}}\''
        ) from None
    if not isinstance(value, dict):
        raise UserError('--options must be a JSON object, such as \'{"preset": "draft"}\'')
    return value


def scene_names(files: Sequence[Path], named: Sequence[str]) -> list[str]:
    """A name for the scene of each file: as `named`, or after the file.

    Raises UserError when there are not as many names as files, or two are the same.
    """
    if named and len(named) != len(files):
        raise UserError(
            f"there are {len(files)} files and {len(named)} names; give --scene once for each"
        )
    made = [
        re.sub(r"[^A-Za-z0-9_-]", "_", file.stem).lstrip("_-")[:64] or "scene" for file in files
    ]
    names = list(named) or made
    if len(set(names)) < len(names):
        raise UserError("two scenes would have the same name; give each one with --scene")
    return names


def submit(api: Api, files: Sequence[Path], named: Sequence[str], more: Mapping[str, Json]) -> str:
    """Upload files and start one run of them all; its id. `more`: options, email, webhook."""
    names = scene_names(files, named)
    scenes: list[Json] = []
    for name, file in zip(names, files, strict=True):
        scenes.append({"scene": name, "source": upload(api, file)})
    # A new key each time: who submits the same file again wants another run.
    body = {"scenes": scenes, **more}
    started = api.ask(Started, "POST", "/jobs", body, key=secrets.token_hex(16))
    say(f"Run {started.id} was started")
    return started.id


def retry(api: Api, job: str, more: Mapping[str, Json]) -> None:
    """Let an ended run go on."""
    api.ask(Started, "POST", f"/jobs/{job}/retry", more)
    say(f"Run {job} goes on")


def line_of(status: JobStatus) -> str:
    """How far a run is, in a line."""
    words = [f"Run {status.id}: {status.state}"]
    if status.state == "running" and status.percent is not None:
        words[0] += f", {status.percent:.0f} %"
        stages = [f"{scene.scene}: {scene.stage}" for scene in status.scenes if scene.stage]
        words += ["; ".join(stages)] if stages else []
    if status.eta_seconds is not None:
        words.append(f"{duration(status.eta_seconds)} left")
    words += [f"waits: {why}" for why in sorted(set((status.waiting or {}).values()))]
    return ", ".join(words)


def lines_of(status: JobStatus) -> list[str]:
    """All that is to be said of a run."""
    lines = [line_of(status)]
    lines += [f"  {scene.scene}: {scene.page}" for scene in status.scenes if scene.page]
    lines += [f"  Cause: {status.cause}"] if status.cause else []
    lines += [f"  Trouble: {trouble}" for trouble in status.trouble or ()]
    return lines + ([f"  It cost ${status.usd:.2f}"] if status.usd is not None else [])


def show(api: Api, job: str) -> None:
    """Print how far a run is."""
    for line in lines_of(api.ask(JobStatus, "GET", f"/jobs/{job}")):
        say(line)


def wait(api: Api, job: str) -> None:
    """Print how far a run is until it has ended. Raises UserError unless it is done."""
    said, silent = "", 0
    while True:
        try:
            status = api.ask(JobStatus, "GET", f"/jobs/{job}")
            silent = 0
        except UnreachableError as error:
            silent += 1
            if silent >= PATIENCE:
                raise
            say(f"{error}; the run goes on")
            pause(POLL_SECONDS)
            continue
        if status.state not in ("queued", "running"):
            break
        if (line := line_of(status)) != said:
            say(line)
        said = line
        pause(POLL_SECONDS)
    for line in lines_of(status):
        say(line)
    if status.state != "done":
        raise UserError(
            f"run {job} is {status.state}; `python -m scripts.jobs retry {job}` lets it go on"
        )


def list_runs(api: Api, state: str | None) -> None:
    """Print all runs, the newest first."""
    query = {"limit": "100", **({"state": state} if state else {})}
    while True:
        page = api.ask(Jobs, "GET", "/jobs", query=query)
        for job in page.jobs:
            cost = "" if job.usd is None else f"  ${job.usd:.2f}"
            say(f"{job.id}  {job.asked}  {job.state:8}{cost}  {', '.join(job.scenes)}")
        if page.next is None:
            return
        query["after"] = page.next


def delete(api: Api, what: str, data: bool) -> None:
    """Stop a run, and delete what it made where `data`; or delete an upload, named by its s3:// address."""
    if what.startswith("s3://"):
        api.ask(Ended, "DELETE", f"/uploads/{what.split('/')[-2]}")
        say(f"{what} is deleted")
        return
    query = {"data": "true"} if data else None
    for _ in range(PATIENCE):
        ended = api.ask(Ended, "DELETE", f"/jobs/{what}", query=query)
        say(f"Run {what}: {ended.state}")
        if ended.state != "stopping":
            return
        pause(POLL_SECONDS)
    raise UserError(f"run {what} is still stopping; run the same command again later")


def download(api: Api, job: str, folder: Path, every: bool) -> None:
    """Fetch a run's results into a folder, but what is there. Raises UserError when it has none yet."""
    files = [file for file in all_files(api, job) if every or Path(file.name).name in WANTED]
    if not files:
        raise UserError(f"run {job} has no results yet; `python -m scripts.jobs status {job}`")
    for file in files:
        say(f"{folder / file.name}{'' if fetch(file, folder) else ' is there'}")


def run(api: Api, args: Namespace) -> None:
    """Do what the command line asks for."""
    given = {name: getattr(args, name, None) for name in ("options", "email", "webhook")}
    more = {name: value for name, value in given.items() if value is not None}
    match args.command:
        case "submit":
            args.job = submit(api, args.files, args.scene, more)
        case "retry":
            retry(api, args.job, more)
        case "list":
            list_runs(api, args.state)
        case "delete":
            delete(api, args.job, args.data)
        case "download":
            download(api, args.job, args.to, args.all)
        case "status" if not args.wait:
            show(api, args.job)
    if getattr(args, "wait", False):
        wait(api, args.job)
