"""How far a run is, over all scenes: a line after each job, and progress.json for others to poll.

A logging handler: the workflow hands it the jobs that will run and lets it listen to the runner's own
events. Nothing here imports the runner.
"""

from __future__ import annotations

import csv
import hashlib
import logging
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TextIO

from scripts.lib.contracts import progress as told
from scripts.lib.contracts.record import write
from scripts.lib.core.console import UserError, duration
from scripts.lib.workflow.background import Background
from scripts.lib.workflow.closing import Closing

NOTHING = "Nothing to be done"  # what the runner says when every file is there


def progress_file(results: str, run: str) -> Path:
    """Where progress.json lies on this machine: with the results, unless these go to the bucket prefix `run`.

    Runs in different prefixes, started in one folder, must not send each other's.
    """
    if not run:
        return Path(results) / "progress.json"
    name = hashlib.sha256(run.encode()).hexdigest()[:12]
    return Path(".snakemake") / "progress" / name / "progress.json"


class NumberedJob(Protocol):
    """A job as the runner's own events name it."""

    jobid: int


@dataclass
class Job:
    """One job: its rule, its scene (empty for those over all scenes), and what has become of it."""

    rule: str
    scene: str
    state: str = "waiting"  # waiting, running, done, failed
    began: float = 0.0
    seconds: float | None = None
    blamed: bool = False  # by a job of several rules that failed, of which this is the one


class RunProgress(logging.Handler):
    """Listens to a run. `begin` says which jobs there are; `end` how it ended.

    The time left is computed: jobs count by the seconds that their rule took in this run, or else in an
    earlier one (`benchmarks`/<scene>/<rule>.tsv), or else by the mean of what is known.
    """

    def __init__(
        self,
        path: Path,
        benchmarks: Path,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        after: Callable[[Path], None] | None = None,
        closing: Closing | None = None,
    ) -> None:
        super().__init__()
        self.closing = closing
        self.after = after  # what else to do with each new progress.json
        self.path, self.benchmarks, self.clock = Path(path), Path(benchmarks), clock
        self.stream = stream or sys.stderr
        self.jobs: dict[int, Job] = {}
        self.state = "waiting"
        self.waiting: dict[str, str] = {}  # jobs of the cloud that have no machine, and why
        self.groups: dict[int, list[int]] = {}  # of jobs that one machine runs one after another
        self.began = 0.0

    def begin(self, jobs: Iterable[tuple[int, str, str]]) -> None:
        """The run starts: jobs as (number, rule, scene), in an order in which they can run.

        Raises UserError when nothing can be written.
        """
        self.jobs = {number: Job(rule, scene) for number, rule, scene in jobs if rule != "all"}
        self.state, self.began = "running", self.clock()
        self.earlier = earlier_seconds(self.benchmarks)
        try:
            self.write()
        except OSError as error:
            raise UserError(
                f"{self.path.parent} cannot be written ({error.strerror}); choose another folder with"
                " --config results=FOLDER"
            ) from None

    def end(self, state: str) -> None:
        """The run is over: `done` or `failed`."""
        if self.state == "running":
            self.state = state
            self._write_if_possible()
            if isinstance(self.after, Background) and not self.after.close():
                told = (
                    "The bucket does not answer: the last records of the run were not saved there"
                )
                print(told, file=self.stream, flush=True)
            if self.closing:
                self.closing.tell_last(state, self.jobs.values())

    def _write_if_possible(self) -> None:
        """A full disk must not stop the run for want of a progress bar."""
        try:
            self.write()
        except OSError as error:
            print(f"{self.path} could not be written: {error}", file=self.stream)

    def emit(self, record: logging.LogRecord) -> None:
        """Take in one event of the runner; whatever is not about a known job is not ours."""
        if self.closing and self.state == "waiting" and record.getMessage().startswith(NOTHING):
            self.closing.tell_last(self.state, [])
        if waits := getattr(record, "waits", None):  # of the executor plugin for AWS Batch
            self._note_waiting(str(waits["job"]), str(waits["reason"]))
            return
        event = str(getattr(record, "event", "") or "")
        if event == "group_info":
            self._note_group(getattr(record, "jobs", ()))
        if member := getattr(record, "member", None):  # of the same plugin
            job, event = self._member(member["rule"], member["scene"]), str(member["event"])
        else:
            number = getattr(record, "jobid", getattr(record, "job_id", None))
            job = self.jobs.get(number) if isinstance(number, int) else None
        if job is None or self.state != "running":
            return
        if self._changes(job, event):
            self._write_if_possible()
            if job.state == "done":
                print(self.line(job), file=self.stream, flush=True)

    def _changes(self, job: Job, event: str) -> bool:
        """Take in what became of a job; whether that was news."""
        now, together = self.clock(), self._together(job)
        before = job.state
        if event == "job_info" and job.state == "waiting" and self._next(together) is job:
            job.state, job.began = "running", now
        elif event == "job_finished" and job.state != "done":
            # Of several rules that are over at once it is not known when which of them began.
            last = sum(other.state != "done" for other in together) == 1
            known = len(together) == 1 or (last and job.began > 0)
            job.state, job.seconds = "done", now - (job.began or now) if known else None
        elif event == "member_finished" and job.state != "done":
            job.state, job.seconds = "done", now - (job.began or now)
            if following := self._next(together):
                following.state, following.began = "running", now
        elif event in ("job_error", "member_error") and job.state != "done":
            job.blamed = job.blamed or event == "member_error"
            others = any(other.blamed for other in together if other is not job)
            job.state = "waiting" if others else "failed"
        return job.state != before

    def _note_group(self, jobs: Iterable[NumberedJob]) -> None:
        """Several rules are one job of the cloud."""
        numbers = {job.jobid for job in jobs}
        order = [number for number in self.jobs if number in numbers]
        self.groups.update(dict.fromkeys(order, order))

    def _together(self, job: Job) -> list[Job]:
        """The jobs that one machine runs with this one, itself too, in their order."""
        number = next(number for number, other in self.jobs.items() if other is job)
        return [self.jobs[other] for other in self.groups.get(number, [number])]

    @staticmethod
    def _next(together: list[Job]) -> Job | None:
        """The first that is not done."""
        return next((job for job in together if job.state != "done"), None)

    def _member(self, rule: str, scene: str) -> Job | None:
        """The job of a rule that is part of a group."""
        return next(
            (
                self.jobs[number]
                for number in self.groups
                if (self.jobs[number].rule, self.jobs[number].scene) == (rule, scene)
            ),
            None,
        )

    def _note_waiting(self, job: str, reason: str) -> None:
        """A job of the cloud waits for a machine, or (no reason) does so no longer."""
        self.waiting.pop(job, None)
        if reason:
            self.waiting[job] = reason
        if self.state == "running":
            self._write_if_possible()

    def expected(self, job: Job) -> float:
        """Seconds that a job took or will take, as far as anything is known; 1 when nothing is."""
        if (own := self._pace(job)) is not None:
            return own
        measured = [other.seconds for other in self.jobs.values() if other.seconds is not None]
        every = [*measured, *self.earlier.values()]
        return max(sum(every) / len(every), 0.1) if every else 1.0

    def _pace(self, job: Job) -> float | None:
        """Seconds by the job's own rule: in this run, else in an earlier one; None when it never ran."""
        if job.seconds is not None:
            return max(job.seconds, 0.1)
        here = [other.seconds for other in self.jobs.values() if other.rule == job.rule]
        known = [seconds for seconds in here if seconds is not None]
        if known:
            return max(sum(known) / len(known), 0.1)
        return max(self.earlier[job.rule], 0.1) if job.rule in self.earlier else None

    def fraction(self, jobs: Iterable[Job]) -> float:
        """Share of the work of some jobs that is done, 0 to 1; a running job counts with its time so far."""
        total = done = 0.0
        for job in jobs:
            length = self.expected(job)
            total += length
            if job.state == "done":
                done += length
            elif job.state == "running":
                done += min(0.95 * length, self.clock() - job.began)
        return done / total if total else 1.0

    def seconds_left(self) -> float | None:
        """Seconds until the end at the pace so far; None before anything is done."""
        share = self.fraction(self.jobs.values())
        if share <= 0 or not any(job.state == "done" for job in self.jobs.values()):
            return None
        return (self.clock() - self.began) * (1 - share) / share

    def line(self, job: Job) -> str:
        """One line for the terminal."""
        done = sum(other.state == "done" for other in self.jobs.values())
        percent = 100 * self.fraction(self.jobs.values())
        left = self.seconds_left()
        what = f"{job.scene}: {job.rule}" if job.scene else job.rule
        tail = f", about {duration(left)} left" if left and done < len(self.jobs) else ""
        return f"[{done}/{len(self.jobs)} jobs, {percent:.0f} %{tail}] {what} done"

    def picture(self) -> told.Progress:
        """The whole picture."""
        scenes: dict[str, list[Job]] = {}
        for job in self.jobs.values():
            scenes.setdefault(job.scene, []).append(job)
        left = self.seconds_left()
        return told.Progress(
            state=self.state,
            updated=datetime.now(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z"),
            seconds=round(self.clock() - self.began, 1),
            eta_seconds=None if left is None else round(left, 1),
            percent=round(100 * self.fraction(self.jobs.values()), 1),
            jobs={
                state: sum(job.state == state for job in self.jobs.values())
                for state in ("waiting", "running", "done", "failed")
            },
            scenes={scene or "all": self._scene(jobs) for scene, jobs in scenes.items()},
            waiting=dict(self.waiting),
        )

    def _scene(self, jobs: list[Job]) -> told.SceneProgress:
        return told.SceneProgress(
            round(100 * self.fraction(jobs), 1), tuple(self._stage(job) for job in jobs)
        )

    def _stage(self, job: Job) -> told.StageProgress:
        running = job.state == "running"
        return told.StageProgress(
            job.rule,
            job.state,
            None if job.seconds is None else round(job.seconds, 1),
            expected=round(self.expected(job), 1),
            known=self._pace(job) is not None,
            elapsed=round(self.clock() - job.began, 1) if running else None,
        )

    def write(self) -> None:
        """Write progress.json, whole at any moment."""
        write(self.path, self.picture())
        if self.after:
            self.after(self.path)


def earlier_seconds(benchmarks: Path) -> dict[str, float]:
    """Mean seconds of each rule over the benchmark tables that an earlier run left."""
    found: dict[str, list[float]] = {}
    for path in sorted(Path(benchmarks).glob("**/*.tsv")):
        try:
            with path.open(encoding="utf-8", newline="") as handle:
                rows = list(csv.DictReader(handle, delimiter="\t"))
            found.setdefault(path.name.partition(".")[0], []).extend(
                float(row["s"]) for row in rows
            )
        except (OSError, KeyError, ValueError, UnicodeDecodeError):
            continue  # a table of another kind tells nothing
    return {rule: sum(values) / len(values) for rule, values in found.items() if values}
