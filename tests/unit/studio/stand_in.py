"""The keeper with a stand-in for Snakemake: what that does is said by the title of the run's page.

count       writes a line into counted.txt every tenth of a second, and goes on where it was; 20 lines
fail        ends as a run whose mapping failed
die         kills its keeper and itself
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from scripts.lib.contracts.progress import Progress, SceneProgress, StageProgress
from scripts.lib.contracts.record import write
from scripts.lib.studio import keeper

LINES = 20


def count(folder: Path) -> None:
    path = folder / "counted.txt"
    for number in range(len(path.read_text()) if path.exists() else 0, LINES):
        with path.open("a") as handle:
            handle.write("x")
        told(folder, "running", 100 * number / LINES, "train_splat")
        time.sleep(0.1)
    gate = os.environ.get("SPLATMAKE_TEST_GATE")  # a file: the run does not end before it is there
    while gate and not Path(gate).exists():
        time.sleep(0.05)
    told(folder, "done", 100.0, "train_splat")
    scene = next(iter((folder / "job.tsv").read_text().splitlines()[1:])).split("\t")[0]
    if bundle := os.environ.get("SPLATMAKE_TEST_BUNDLE"):
        for name in ("web", "splat.html", "site.zip", "poster.jpg"):
            copy = shutil.copytree if name == "web" else shutil.copy
            copy(Path(bundle) / name, folder / "results" / scene / name)
        (folder / "results" / scene / "report.html").write_text("<title>Report</title>Quality")
        return
    (folder / "results" / "yard" / "web").mkdir(parents=True, exist_ok=True)
    (folder / "results" / "yard" / "web" / "manifest.json").write_text("{}")
    (folder / "results" / "yard" / "web" / "index.html").write_text("<title>The yard</title>")
    (folder / "results" / "yard" / "report.html").write_text("<title>Report</title>")


def told(folder: Path, state: str, percent: float, rule: str) -> None:
    scene = (folder / "job.tsv").read_text().splitlines()[1].split("\t")[0]
    (folder / "results" / scene).mkdir(parents=True, exist_ok=True)
    stages = (StageProgress("map_scene", "done", 2.0), StageProgress(rule, state, None))
    record = Progress(
        state=state,
        updated="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        eta_seconds=5.0,
        percent=percent,
        jobs={},
        scenes={scene: SceneProgress(percent, stages)},
    )
    (folder / "results").mkdir(exist_ok=True)
    write(folder / "results" / "progress.json", record)


def run(folder: Path) -> int:
    wish = json.loads((folder / "job.json").read_text())["bundle_web"]["title"]
    if wish == "die":
        (folder / "died.txt").open("a").write("x")
        os.kill(os.getppid(), signal.SIGKILL)
        return 1
    if wish == "fail":
        told(folder, "failed", 40.0, "undistort")
        log = folder / "results" / "logs" / "yard" / "undistort.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("Error: too few photos fit together; photograph with more overlap\n")
        return 1
    count(folder)
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "snakemake":
        raise SystemExit(run(Path.cwd()))
    keeper.command = lambda cores: [sys.executable, __file__, "snakemake"]
    keeper.keep(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
