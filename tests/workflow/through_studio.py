"""The cut-down run as a person starts it: photos dropped onto the studio's page, watched in Chromium.

In training the power fails: the studio, its keeper, Snakemake and the training are killed at once. Later the
training alone is killed, which stops the run by a problem, and "Try again" lets it go on.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from scripts.lib.workflow.settings import read_yaml
from tests.web import browser
from tests.web.studio_page import drop, fill_and_start

SCENE = "cut"
MILLISECONDS = browser.SECONDS * 1000
LONGEST = 5 * MILLISECONDS  # until a run has ended, on a machine that is busy with other work
REACHED = "reached.txt"  # step of a checkpoint that was there before training was killed for the last time
HOME = "studio"  # of the studio, in the checkout that it runs from
OWN = {"train_splat": {"checkpoint_every": 0.2}}  # what this machine's own configuration says


def studio(root: Path, port: int = 0) -> tuple[subprocess.Popen[str], str]:
    """(process, address) of a studio of the checkout `root`."""
    command = [sys.executable, "-m", "scripts.studio", "--no-browser", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--home", str(root / HOME), "--cores", "2"],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = re.search(r"http://\S+:\d+/", process.stdout.readline())
    assert address
    return process, address[0]


def kill(processes: list[psutil.Process]) -> None:
    """SIGKILL to all at once, and wait until they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=60)


def with_children(server: subprocess.Popen[str]) -> list[psutil.Process]:
    """A studio and all that it has started: the keeper, Snakemake, the program of a stage."""
    process = psutil.Process(server.pid)
    return [process, *process.children(recursive=True)]


def newest(checkpoints: Path, after: int) -> int:
    """Step of a checkpoint behind step `after`, once there is one."""
    for _ in range(browser.SECONDS * 50):
        steps = [int(path.stem.rpartition("-")[2]) for path in checkpoints.glob("[!.]*.pt")]
        if steps and max(steps) > after:
            return max(steps)
        time.sleep(0.02)
    raise AssertionError(f"no checkpoint behind step {after}")


@contextlib.contextmanager
def watched(chromium: Any, address: str) -> Iterator[Any]:
    """A page of the studio, whose scripts must not complain."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 860}, locale="en-US", reduced_motion="reduce"
    )
    context.set_default_timeout(MILLISECONDS)
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    page.wait_for_selector(":root[data-state=ready]")
    yield page
    context.close()
    assert not complaints


def ask_for_a_scene(page: Any, photos: list[Path], unusable: int) -> None:
    """From the empty page to the run: photos dropped, verdicts seen, what was left out taken in, started."""
    page.get_by_role("link", name="Make your first scene").click()
    drop(page, photos)
    for flag, count in (("Blurred", 1), ("Copy", 1), ("Good", len(photos) - unusable)):
        page.locator(".photo .flags", has_text=flag).nth(count - 1).wait_for()
    # The workflow's own verdicts are wanted too.
    for left in range(unusable, 0, -1):
        page.locator(".photo.out label").nth(left - 1).click()
    page.get_by_text(f"{len(photos)} photos will be used").wait_for()
    page.get_by_text("Draft").click()
    fill_and_start(page, SCENE)
    page.wait_for_url("**/#/job/*")


def through_studio(root: Path, photos: list[Path], unusable: int, chromium: Any) -> None:
    """Make the scene `cut` of `photos` in the checkout `root`, by its studio.

    It stays in the studio's folder, and in `results` of the checkout as if Snakemake had been started there.
    """
    own = read_yaml(root / "config" / "config.yaml") | OWN
    (root / "config" / "config.yaml").write_text(json.dumps(own))
    server, address = studio(root)
    try:
        with watched(chromium, address) as page:
            ask_for_a_scene(page, photos, unusable)
            (job,) = (root / HOME / "jobs").iterdir()
            checkpoints = job / "results" / SCENE / "checkpoints"
            page.locator("li.running", has_text="Training the scene").wait_for(timeout=LONGEST)
            page.locator(".preview img[src*='live.jpg']").wait_for(timeout=LONGEST)
            reached = newest(checkpoints, 20)
            kill(with_children(server))
            page.get_by_text("The studio does not answer").wait_for()
            server.wait()
            server, _ = studio(root, int(address.rstrip("/").rpartition(":")[2]))
            page.get_by_text("The studio does not answer").wait_for(state="hidden")
            reached = newest(checkpoints, reached + 20)
            kill([process for process in with_children(server) if trains(process)])
            page.get_by_text("This needs you").wait_for()
            page.get_by_text("train_splat ended without a word").wait_for()
            page.get_by_role("button", name="Try again").click()
            scene = page.frame_locator("iframe.scene")
            scene.locator(":root[data-state=ready]").wait_for(state="attached", timeout=LONGEST)
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            kill(with_children(server))
    (root / REACHED).write_text(str(reached))
    for name in ("results", ".snakemake"):
        shutil.copytree(job / name, root / name, copy_function=os.link)
    told = json.loads((job / "job.json").read_text())
    (root / "scenes.tsv").write_text((job / "job.tsv").read_text())
    (root / "config" / "config.yaml").write_text(json.dumps(own | told | {"scenes": "scenes.tsv"}))


def trains(process: psutil.Process) -> bool:
    """Whether a process is the program of the training, and not the shell that has started it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.name().startswith("python") and "scripts.train_splat" in process.cmdline()
    return False
