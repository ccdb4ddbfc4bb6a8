"""What callers of the job API send and get: these types check each request, and openapi.json shows them.

The comments behind the fields are their descriptions there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from scripts.lib.contracts.record import left_out, optional
from scripts.lib.core.json_type import Json, bounds

MOST_UPLOAD_BYTES = 100 * 10**9
MOST_SCENES = 20
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"  # of an uploaded file
ARCHIVES = ("zip", "mp4", "mov", "avi", "mkv", "webm")
ARCHIVE = rf"{NAME}\.({'|'.join((*ARCHIVES, *map(str.upper, ARCHIVES)))})"
OPTIONS = "#/$defs/Options"  # the sections of config.yaml, which have types of their own

Id = Annotated[str, bounds(pattern="^[0-9a-f]{16}$")]
SceneName = Annotated[str, bounds(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Email = Annotated[str, bounds(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", maxLength=254)]
Webhook = Annotated[str, bounds(pattern=r"^https://[^\s/@]+(/\S*)?$", maxLength=1000)]
Options = Annotated[Mapping[str, Json], bounds(**{"$ref": OPTIONS})]
Limit = Annotated[int, bounds(minimum=1, maximum=100)]
State = Literal["queued", "running", "done", "failed", "stopped"]


@dataclass(frozen=True, kw_only=True)
class NewUpload:
    """A file to upload: one archive of photos, or a video."""

    name: Annotated[str, bounds(pattern=f"^{ARCHIVE}$", maxLength=100)]
    # letters, digits, dot, - and _, ending in .zip, .mp4, .mov, .avi, .mkv or .webm
    bytes: Annotated[int, bounds(minimum=1, maximum=MOST_UPLOAD_BYTES)]  # its size


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a file that S3 waits for: PUT its bytes, and nothing else, to `url` within an hour."""

    number: int  # from 1; part n begins at byte (n - 1) * part_bytes
    bytes: int
    url: str


@dataclass(frozen=True, kw_only=True)
class UploadStatus:
    """How far an upload is."""

    id: Id
    state: Literal["open", "done"]  # done: jobs may name the source
    source: str  # for POST /jobs
    bytes: int
    part_bytes: int
    missing: int  # parts that are not there yet
    parts: tuple[Part, ...]  # the first of them; ask again for more


@dataclass(frozen=True, kw_only=True)
class NewScene:
    """One scene of a run."""

    scene: SceneName  # its name: letters, digits, - and _, at most 64
    source: Annotated[str, bounds(pattern=r"^s3://[a-z0-9.-]+/\S+$", maxLength=1024)]
    # s3://BUCKET/uploads/... as POST /uploads named it


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A run to start."""

    scenes: Annotated[tuple[NewScene, ...], bounds(minItems=1, maxItems=MOST_SCENES)]
    # each with a name of its own
    options: Options | None = left_out()  # sections of config.yaml, for all scenes
    email: Email | None = left_out()  # who is told when the run has ended
    webhook: Webhook | None = left_out()
    # an https:// address that gets a POST when the run has ended


@dataclass(frozen=True, kw_only=True)
class Retry:
    """What is to be different when an ended run goes on; what is left out stays as it was."""

    options: Options | None = left_out()  # sections of config.yaml, in place of all former ones
    email: Email | None = left_out()  # who is told when the run has ended
    webhook: Webhook | None = left_out()
    # an https:// address that gets a POST when the run has ended


@dataclass(frozen=True, kw_only=True)
class Started:
    """A run that was started."""

    id: Id
    status: str  # where it tells how far it is


@dataclass(frozen=True, kw_only=True)
class ListJobs:
    """Which runs to list."""

    state: State | None = left_out()  # only runs in this state
    limit: Limit = 20  # of runs on a page
    after: Id | None = left_out()  # `next` of the page before


@dataclass(frozen=True, kw_only=True)
class JobSummary:
    """A run in a list."""

    id: Id
    state: State
    asked: str  # when it was started, ISO 8601, UTC
    scenes: tuple[str, ...]
    title: str | None = optional()  # of its pages, as its options have it
    usd: float | None = optional()


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """A page of the caller's runs, newest first."""

    jobs: tuple[JobSummary, ...]
    next: str | None  # give it as `after` for the next page; null: this is the last one


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a scene in this run; what an earlier run has left is not done again, nor listed."""

    name: str  # of the workflow's rule, such as map_scene
    state: Literal["waiting", "running", "done", "failed"]
    seconds: float | None = optional()  # that it took
    eta_seconds: float | None = optional()  # until its end, where its own pace is known


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training that goes on."""

    step: int
    steps: int  # in all
    gaussians: int
    psnr: float | None = optional()  # dB on validation photos, when last measured
    picture: str | None = optional()  # address of a JPEG of the scene as it is so far


@dataclass(frozen=True, kw_only=True)
class SceneStatus:
    """How far a scene is."""

    scene: str
    state: State
    stage: str | None  # what runs now
    percent: float | None
    page: str | None  # address of the published page
    source: str | None = optional()  # the upload that it is made from
    stages: tuple[Stage, ...] | None = optional()  # of the run, in their order
    training: Training | None = optional()  # while it goes on, where it can be watched


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """How far a run is; numbers are those that the run itself computes, null before its first word."""

    id: Id
    state: State
    asked: str  # when it was started, ISO 8601, UTC
    scenes: tuple[SceneStatus, ...]
    percent: float | None
    eta_seconds: float | None  # until its end
    title: str | None = optional()  # of its pages, as its options have it
    options: Mapping[str, Json] | None = optional()  # as it was started with
    waiting: Mapping[str, str] | None = optional()  # jobs without a machine, and why
    cause: str | None = optional()  # of a failure
    trouble: tuple[str, ...] | None = optional()  # failures that left the models alone
    usd: float | None = optional()  # what it cost


@dataclass(frozen=True, kw_only=True)
class ListFiles:
    """Which files to list."""

    limit: Annotated[int, bounds(minimum=1, maximum=200)] = 100  # of files on a page
    after: Annotated[str, bounds(pattern="^[ -~]*$", maxLength=1024)] | None = left_out()
    # `next` of the page before


@dataclass(frozen=True, kw_only=True)
class File:
    """A result or a log of a run."""

    name: str  # SCENE/... for results, logs/SCENE/... for logs
    bytes: int
    type: str  # that the link tells a browser
    url: str  # to read it, for an hour


@dataclass(frozen=True, kw_only=True)
class Files:
    """A page of a run's files, by name. Those of the page itself lie in site.zip, and not here."""

    files: tuple[File, ...]
    next: str | None  # give it as `after` for the next page; null: this is the last one


@dataclass(frozen=True, kw_only=True)
class EndJob:
    """How to end a run."""

    data: bool = False
    # also delete its results, logs and published pages, once nothing runs any more


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of a run or an upload."""

    id: Id
    state: Literal["stopping", "stopped", "done", "failed", "deleted"]
    # stopping: its jobs are ending; with data=true ask again until it is deleted


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a request was not followed."""

    error: str  # one sentence
