"""The last lines on the terminal: where pages and reports are and how to open them, or what failed."""

from __future__ import annotations

import atexit
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scripts.lib.core.console import printable

HANDFUL = 5  # scenes told one by one
PAGE, SINGLE, REPORT, INDEX = Path("web", "index.html"), "splat.html", "report.html", "index.html"
ERROR = "Error: "  # how console.run_main begins the one sentence of a script that stops
TAIL_BYTES = 65536


class Job(Protocol):
    """One job of the run, as progress.Job: what has become of which rule of which scene."""

    rule: str
    scene: str
    state: str


@dataclass(frozen=True)
class Closing:
    """What is told at the end of a run.

    `results` as the user gave it, `scenes` of the sheet, `root` of the checkout; `run` is the storage that
    results go to, or empty where that is this machine.
    """

    results: str
    scenes: Sequence[str]
    root: Path
    run: str = ""

    def lines(self, state: str, jobs: Iterable[Job]) -> list[str]:
        """Lines for a run that ended as `state`: done, failed, or waiting when nothing was to be done."""
        jobs = list(jobs)
        failed = [(job.rule, job.scene) for job in jobs if job.state == "failed"]
        lines = failure_lines(failed, Path(self.results) / "logs") if state == "failed" else []
        if self.run:
            done = [(job.rule, job.scene) for job in jobs if job.state == "done"]
            return bucket_lines(self.run, self.results, done) + lines
        worked_on = {job.scene for job in jobs} - {""}
        scenes = [scene for scene in self.scenes if not worked_on or scene in worked_on]
        broken = {scene for _, scene in failed}
        return (
            closing_lines(Path(self.results), [s for s in scenes if s not in broken], self.root)
            + lines
        )

    def tell_last(self, state: str, jobs: Iterable[Job]) -> None:
        """Print the lines below whatever the runner still has to say."""
        lines = self.lines(state, jobs)
        if lines:
            atexit.register(print, printable("\n".join(["", *lines])), file=sys.stderr)


def closing_lines(results: Path, scenes: Sequence[str], root: Path) -> list[str]:
    """What a person can open now, of the files that are there; [] when nothing is."""
    told = [line for scene in scenes if (line := _scene_line(results, scene))]
    if not told:
        return []
    lines = told[:HANDFUL]
    if len(told) > HANDFUL:
        lines.append(f"... and {len(told) - HANDFUL} more scenes")
    if (results / INDEX).is_file():
        lines.append(f"All scenes: {results / INDEX}")
    lines.append("These files open with a double click.")
    page = next((results / scene for scene in scenes if (results / scene / PAGE).is_file()), None)
    if page is not None:
        lines.append(
            f"To see the page as on a web server: {serve_command(page / PAGE.parent, root)}"
        )
    return lines


def _scene_line(results: Path, scene: str) -> str:
    """The one-file page and the report of a scene, as far as they are there."""
    parts = {"page": results / scene / SINGLE, "report": results / scene / REPORT}
    found = [f"{what} {path}" for what, path in parts.items() if path.is_file()]
    return f"{scene}: {', '.join(found)}" if found else ""


def serve_command(folder: Path, root: Path) -> str:
    """What to type, here, to see a scene's `web` folder in a browser."""
    elsewhere = "" if Path.cwd() == root.resolve() else f"PYTHONPATH={shlex.quote(str(root))} "
    return f"{elsewhere}python -m scripts.serve {shlex.quote(str(folder))}"


def bucket_lines(run: str, results: str, finished: Iterable[tuple[str, str]]) -> list[str]:
    """The same for a run in the bucket prefix `run`: what this run's jobs, as (rule, scene), put there."""
    there = {"bundle_web": SINGLE, "report_scene": REPORT, "summarise": INDEX}
    place = f"{run.rstrip('/')}/{results}"
    lines = []
    for rule, scene in finished:
        if rule in there:
            address = "/".join(part for part in (place, scene, there[rule]) if part)
            lines.append(f"{scene or 'all scenes'}: {address}")
    lines.sort()
    if len(lines) > 2 * HANDFUL:
        lines = [*lines[: 2 * HANDFUL], f"... and {len(lines) - 2 * HANDFUL} more files in {place}"]
    hint = f"They open with a double click after downloading: aws s3 cp {place}/FILE ."
    return [*lines, hint] if lines else []


def failure_lines(failed: Iterable[tuple[str, str]], logs: Path) -> list[str]:
    """For each failed job, as (rule, scene): the sentence it ended with and its log; then what to do."""
    lines = []
    for rule, scene in failed:
        log = logs / scene / f"{rule}.log" if scene else logs / f"{rule}.log"
        name = f"{scene}: {rule}" if scene else rule
        why = last_error(log)
        lines.append(f"{name} failed{': ' + why if why else ''}")
        if log.is_file():
            lines.append(f"  log: {log}")
    if lines:
        lines.append("Fix this and run the same command again; finished results are kept.")
    return lines or [
        "Stopped before the end. Run the same command again; finished results are kept."
    ]


def last_error(log: Path) -> str:
    """The sentence with which a script stopped, out of its log; empty when there is none."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, handle.seek(0, os.SEEK_END) - TAIL_BYTES))
            text = handle.read().decode("utf-8", "replace")
    except OSError:
        return ""
    found = [line for line in text.splitlines() if line.startswith(ERROR)]
    return found[-1].removeprefix(ERROR) if found else ""
