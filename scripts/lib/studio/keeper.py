"""The program that runs one run: it starts Snakemake in the run's folder and says how that ended.

python -m scripts.lib.studio.keeper FOLDER CORES LOCK

The studio starts it, and may end or be killed meanwhile: the run goes on, and the next studio finds it.
With stop.json in the folder it stops the run for good; SIGTERM interrupts it, and the next start goes on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from scripts.lib.cloud.outcome import is_unfinished, notice, outcome_of, scene_outcome
from scripts.lib.cloud.webhook import post
from scripts.lib.contracts.cost import Cost
from scripts.lib.contracts.manifest import Manifest
from scripts.lib.contracts.outcome import Outcome, SceneOutcome
from scripts.lib.contracts.progress import Progress
from scripts.lib.contracts.published import Published
from scripts.lib.contracts.record import read, write
from scripts.lib.contracts.request import RunRequest
from scripts.lib.contracts.stop import Stop
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.files import write_bytes, write_json
from scripts.lib.studio.home import Home
from scripts.lib.studio.records import found
from scripts.lib.workflow.closing import last_error

LOG, SHEET, CONFIG, RESULTS = "run.log", "job.tsv", "job.json", "results"
LOOK_SECONDS = 0.5  # between two looks whether the run is to stop
PATIENCE_SECONDS = 20  # from the interrupt until the programs are ended by force
TAIL_BYTES = 100_000


def prepare(folder: Path, home: Home, request: RunRequest) -> None:
    """Write the sheet and the configuration of a run."""
    rows = [f"{s.scene}\t{home.source(s.source)}\n" for s in request.scenes]
    write_bytes(folder / SHEET, "".join(["scene\tsource\n", *rows]).encode())
    write_json(folder / CONFIG, {**request.options, "scenes": SHEET, "results": RESULTS})


def command(cores: str) -> list[str]:
    """Snakemake as it is started in a run's folder; the lock of that is ours."""
    return [
        *(sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile")),
        *("--cores", cores, "--nolock", "--rerun-incomplete", "--configfile", CONFIG),
    ]


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """As ours, with the programs of this Python found first, as in an activated environment."""
    folder = str(Path(sys.executable).parent)
    return {**given, "PATH": f"{folder}{os.pathsep}{given.get('PATH', '')}"}


def run(folder: Path, cores: str, lock: int) -> tuple[int, bool]:
    """Run Snakemake to its end; (exit code, whether we were interrupted)."""
    interrupted = False

    def note(*_: object) -> None:
        nonlocal interrupted
        interrupted = True

    signal.signal(signal.SIGTERM, note)
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            command(cores),
            cwd=folder,
            env=environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock],
        )
    asked: float | None = None
    while (code := process.poll()) is None:
        if asked is None and (interrupted or (folder / Stop.file).exists()):
            asked = time.monotonic()
            _signal(process, signal.SIGINT)
        elif asked is not None and time.monotonic() - asked > PATIENCE_SECONDS:
            _signal(process, signal.SIGKILL)
        time.sleep(LOOK_SECONDS)
    _signal(process, signal.SIGKILL)  # what it has left behind
    return code, interrupted


def _signal(process: subprocess.Popen[bytes], what: signal.Signals) -> None:
    """To Snakemake and all that it started, which are one process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, what)


def judge(folder: Path, request: RunRequest, code: int) -> Outcome:
    """What became of a run whose Snakemake ended with `code`."""
    results = folder / RESULTS
    progress = found(Progress, results)
    scenes: dict[str, SceneOutcome] = {}
    for scene in request.scenes:
        own = results / scene.scene
        page = (own / "web" / Manifest.file).is_file()
        scenes[scene.scene] = scene_outcome(
            page and not is_unfinished(progress, scene.scene),
            found(Published, own),
            found(Cost, own),
        )
    lines = _last_lines(folder / LOG)
    if cause := failure(progress, results):
        # People know the name of what they gave, not where it lies here.
        home = Home(folder.parent.parent)
        for source in filter(None, (home.source(scene.source) for scene in request.scenes)):
            cause = cause.replace(str(source), source.name)
        lines = [*lines, f"Cause: {cause}"]
    return outcome_of(code, lines, scenes, stopped=(folder / Stop.file).exists())


def failure(progress: Progress | None, results: Path) -> str:
    """The sentence with which the first failed stage ended; empty when there is none."""
    for scene, own in (progress.scenes if progress else {}).items():
        for stage in own.stages:
            if stage.state == "failed":
                said = last_error(results / "logs" / scene / f"{stage.rule}.log")
                return said or f"{stage.rule} ended without a word; its log may tell"
    return ""


def _last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, handle.seek(0, os.SEEK_END) - TAIL_BYTES))
            return handle.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def keep(folder: Path, cores: str, lock: int) -> None:
    """Run the run of a folder, and leave outcome.json; nothing where it was interrupted."""
    home = Home(folder.parent.parent)
    request = read(RunRequest, folder / RunRequest.file)
    write_bytes(folder / "pid", str(os.getpid()).encode())
    (folder / LOG).unlink(missing_ok=True)
    try:
        prepare(folder, home, request)
        code, interrupted = run(folder, cores, lock)
        if interrupted and not (folder / Stop.file).exists():
            return
        outcome = judge(folder, request, code)
    except OSError as error:  # a full disk: whoever waits must hear of it
        outcome = Outcome(state="failed", cause=f"the run could not be kept ({error})")
    write(folder / Outcome.file, outcome)
    if request.webhook:
        try:
            post(request.webhook, notice(folder.name, outcome))
        except Exception as error:  # whatever is said, the run is over and stays as it is
            trouble = (*outcome.trouble, f"the webhook was not told: {error}")
            write(folder / Outcome.file, Outcome(**{**vars(outcome), "trouble": trouble}))


if __name__ == "__main__":
    keep(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
