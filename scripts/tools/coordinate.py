"""The job that runs a run: on AWS Batch, in the runner's image, started by the job API.

Reads runs/CALLER/ID/request.json from the bucket, starts Snakemake with the AWS profile, and leaves
outcome.json, mails and a call of the webhook. What happens to these or to the publication never fails a run
whose model is there, nor repeats it. When it is killed, Batch starts it again, and Snakemake takes over the
jobs that it left.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType

from scripts.lib.cloud.aws import Account, run_folder
from scripts.lib.cloud.outcome import is_unfinished, letter, notice, outcome_of, scene_outcome
from scripts.lib.cloud.runs import page_name
from scripts.lib.cloud.webhook import post
from scripts.lib.contracts.cost import Cost
from scripts.lib.contracts.manifest import Manifest
from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.progress import Progress
from scripts.lib.contracts.published import Published
from scripts.lib.contracts.request import RunRequest
from scripts.lib.contracts.stop import Stop
from scripts.lib.core.console import run_main, say
from scripts.lib.core.files import write_bytes, write_json
from scripts.lib.workflow.cost import PRICES, coordinator_usd, read_prices

PROFILE = "config/profiles/aws-batch"
SHEET, CONFIG = Path("job.tsv"), Path("job.yaml")
OUTPUT_KEPT = 400  # lines
NO_MAIL = "a mail could not be sent"
STOP_SECONDS = 30  # between two looks whether the run is to stop


def prepare(request: RunRequest, environment: Mapping[str, str]) -> None:
    """Write the run's sheet and configuration, and put all sources under git: jobs get what git tracks."""
    rows = ["scene\tsource\tpublish_web.name"]
    for scene in request.scenes:
        rows.append(f"{scene.scene}\t{scene.source}\t{page_name(scene.scene, request.page)}")
    write_bytes(SHEET, "".join(f"{row}\n" for row in rows).encode())
    web, bucket = environment.get("SPLATMAKE_WEB", ""), environment["SPLATMAKE_BUCKET"]
    publish = {"publish_web": {"to": f"s3://{bucket}/web", "url": web}} if web else {}
    write_json(CONFIG, {**request.options, "scenes": str(SHEET)} | publish)
    for command in (["git", "init", "-q"], ["git", "add", "-A"]):
        subprocess.run(command, check=True)


def run_snakemake(
    arguments: list[str], environment: Mapping[str, str], stopped: Callable[[], bool]
) -> tuple[int, list[str]]:
    """Run Snakemake, its output shown as it comes; (exit code, the last lines).

    SIGTERM, by which Batch stops this job, becomes the SIGINT on which Snakemake stops the jobs it started;
    so does `stopped`, asked every STOP_SECONDS: who asked for the stop may not have known this job.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--profile", PROFILE, *arguments],
        env=dict(environment),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )

    def pass_on(_: int, __: FrameType | None) -> None:
        process.send_signal(signal.SIGINT)

    ended = threading.Event()

    def look_for_stop() -> None:
        while not ended.wait(STOP_SECONDS):
            try:
                if stopped():
                    process.send_signal(signal.SIGINT)
                    return
            except Exception as error:  # whatever AWS says; it is asked again
                say(f"whether this run is to stop is not known: {error}")

    before = signal.signal(signal.SIGTERM, pass_on)
    threading.Thread(target=look_for_stop, daemon=True).start()
    lines: list[str] = []
    try:
        for line in process.stdout or []:
            say(line.rstrip("\n"))
            lines = [*lines[-OUTPUT_KEPT + 1 :], line.rstrip("\n")]
    finally:
        ended.set()
        signal.signal(signal.SIGTERM, before)
    return process.wait(), lines


def tell(
    account: Account, request: RunRequest, outcome: Outcome, environment: Mapping[str, str]
) -> list[str]:
    """Tell the topic, and whoever asked, by mail and webhook; one sentence for each that could not be told.

    Only the operator gets the log: its lines quote what lies in the caller's archive.
    """
    job, scenes = environment["SPLATMAKE_JOB"].rpartition("/")[2], [s.scene for s in request.scenes]
    topic, sender = environment.get("SPLATMAKE_TOPIC"), environment.get("SPLATMAKE_SENDER")
    ways: list[tuple[str, Callable[[], object]]] = []
    if topic:
        subject, text = letter(job, scenes, outcome, log=True)
        ways.append((NO_MAIL, lambda: account.announce(topic, subject, text)))
    if sender and request.email:
        said, short = letter(job, scenes, outcome, log=False)
        ways.append((NO_MAIL, lambda: account.mail(sender, request.email, said, short)))
    if request.webhook:
        ways.append(
            ("the webhook was not told", lambda: post(request.webhook, notice(job, outcome)))
        )
    trouble = []
    for what, send in ways:
        try:
            send()
        except Exception as error:  # whatever is said, the run is over and stays as it is
            trouble.append(f"{what}: {error}")
    return trouble


def own_usd(account: Account, batch_job: str, now: float) -> float | None:
    """What the coordinator with this Batch id has cost by `now` (seconds), lost attempts included.

    None when Batch does not tell.
    """
    try:
        job = account.describe(batch_job) if batch_job else {}
        return coordinator_usd(job, now, read_prices(PRICES))
    except Exception as error:  # no bill is a reason to fail a run
        say(f"what the coordinator cost is not known: {error}")
        return None


def run(account: Account, job: str, request: RunRequest, arguments: list[str]) -> Outcome:
    """Run one request to its end; what became of it."""
    folder = run_folder(job)
    prepare(request, os.environ)

    def stopped() -> bool:
        return account.read(Stop, f"{folder}/{Stop.file}") is not None

    environment = {**os.environ, "SPLATMAKE_S3_PREFIX": f"s3://{account.bucket}/{folder}"}
    code, lines = run_snakemake(["--configfile", str(CONFIG), *arguments], environment, stopped)
    progress = account.read(Progress, f"{folder}/{Progress.file}")
    scenes = {}
    for scene in request.scenes:
        results = f"{folder}/results/{scene.scene}"
        there = account.exists(f"{results}/web/{Manifest.file}")
        scenes[scene.scene] = scene_outcome(
            there and not is_unfinished(progress, scene.scene),
            account.read(Published, f"{results}/{Published.file}"),
            account.read(Cost, f"{results}/{Cost.file}"),
        )
    return outcome_of(code, lines, scenes, stopped=stopped())


def coordinate(environment: Mapping[str, str], arguments: list[str]) -> int:
    """Run one request to its end and tell of it; the exit code: 0 when the model and its page are there."""
    job, bucket = environment["SPLATMAKE_JOB"], environment["SPLATMAKE_BUCKET"]
    account = Account(environment["SPLATMAKE_STACK"], bucket)
    folder = run_folder(job)
    request = account.read(RunRequest, f"{folder}/{RunRequest.file}")
    if request is None:
        say(f"there is no s3://{bucket}/{folder}/{RunRequest.file}")
        return 1
    if account.read(Stop, f"{folder}/{Stop.file}"):
        say("this run was stopped before it began")
        return 0
    if before := account.read(Outcome, f"{folder}/{Outcome.file}"):
        say(f"this run has ended before: {before.state}")
        return 0 if before.state == "done" else 1
    try:
        outcome = run(account, job, request, arguments)
    except Exception as error:  # a full disk, S3 that refuses: whoever waits must hear of it
        traceback.print_exc()
        outcome = Outcome(state="failed", cause=f"the coordinator: {error}")
    own = own_usd(account, environment.get("AWS_BATCH_JOB_ID", ""), time.time())
    outcome = replace(outcome, coordinator_usd=own)
    # Before the mails: a coordinator that is killed between starts again, and must not send them twice.
    account.write(folder, outcome)
    if trouble := tell(account, request, outcome, environment):
        account.write(folder, replace(outcome, trouble=(*outcome.trouble, *trouble)))
    return 0 if outcome.state == "done" else 1


def main(argv: list[str] | None = None) -> None:
    """Command line: further arguments go to Snakemake. The rest comes from the environment (stack.yaml)."""
    parser = argparse.ArgumentParser(prog="python -m scripts.tools.coordinate", description=__doc__)
    _, arguments = parser.parse_known_args(argv)
    raise SystemExit(coordinate(os.environ, arguments))


if __name__ == "__main__":
    run_main(main)
