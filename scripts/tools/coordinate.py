"""The job that runs a run: on AWS Batch, in the runner's image, started by the job API.

Reads runs/ID/request.json from the bucket, starts Snakemake with the AWS profile, and leaves outcome.json and
mails. What happens to a mail or to the publication never fails a run whose model is there, nor repeats it.
When it is killed, Batch starts it again, and Snakemake takes over the jobs that it left.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from scripts.lib.cloud.aws import Account, run_folder
from scripts.lib.cloud.outcome import Outcome, letter, outcome_of
from scripts.lib.contracts.cost import Cost
from scripts.lib.contracts.published import Published
from scripts.lib.core.console import run_main, say
from scripts.lib.core.files import write_bytes, write_json

PROFILE = "config/profiles/aws-batch"
SHEET, CONFIG = Path("job.tsv"), Path("job.yaml")
OUTPUT_KEPT = 400  # lines


def prepare(request: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """Write the run's sheet and configuration, and put all sources under git: jobs get what git tracks."""
    write_bytes(SHEET, f"scene\tsource\n{request['scene']}\t{request['source']}\n".encode())
    web, bucket = environment.get("SPLATMAKE_WEB", ""), environment["SPLATMAKE_BUCKET"]
    publish = {"to": f"s3://{bucket}/web", "url": web} if web else {}
    name = f"{request['scene']}-{environment['SPLATMAKE_JOB'][:6]}"
    config = {**request["options"], "scenes": str(SHEET)}
    write_json(CONFIG, config | ({"publish_web": publish | {"name": name}} if publish else {}))
    for command in (["git", "init", "-q"], ["git", "add", "-A"]):
        subprocess.run(command, check=True)


def run_snakemake(arguments: list[str], environment: Mapping[str, str]) -> tuple[int, list[str]]:
    """Run Snakemake, its output shown as it comes; (exit code, the last lines).

    SIGTERM, by which Batch stops this job, becomes the SIGINT on which Snakemake stops the jobs it started.
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

    before = signal.signal(signal.SIGTERM, pass_on)
    lines: list[str] = []
    try:
        for line in process.stdout or []:
            say(line.rstrip("\n"))
            lines = [*lines[-OUTPUT_KEPT + 1 :], line.rstrip("\n")]
    finally:
        signal.signal(signal.SIGTERM, before)
    return process.wait(), lines


def tell(
    account: Account,
    request: Mapping[str, Any],
    outcome: Outcome,
    environment: Mapping[str, str],
) -> list[str]:
    """Mail to the topic and to whoever asked; one sentence for each that could not be sent."""
    subject, text = letter(environment["SPLATMAKE_JOB"], request["scene"], outcome)
    trouble = []
    topic, sender = environment.get("SPLATMAKE_TOPIC"), environment.get("SPLATMAKE_SENDER")
    ways: list[Callable[[], object]] = []
    if topic:
        ways.append(lambda: account.announce(topic, subject, text))
    if sender and request.get("email"):
        ways.append(lambda: account.mail(sender, request["email"], subject, text))
    for send in ways:
        try:
            send()
        except Exception as error:  # whatever AWS says, the run is over and stays as it is
            trouble.append(f"a mail could not be sent: {error}")
    return trouble


def coordinate(environment: Mapping[str, str], arguments: list[str]) -> int:
    """Run one request to its end; the exit code: 0 when the model and its page are there."""
    job, bucket = environment["SPLATMAKE_JOB"], environment["SPLATMAKE_BUCKET"]
    account = Account(environment["SPLATMAKE_STACK"], bucket)
    folder = run_folder(job)
    request = account.read(f"{folder}/request.json")
    if request is None:
        say(f"there is no s3://{bucket}/{folder}/request.json")
        return 1
    if account.read(f"{folder}/stop.json"):
        say("this run was stopped before it began")
        return 0
    prepare(request, environment)
    run = {**environment, "SPLATMAKE_S3_PREFIX": f"s3://{bucket}/{folder}"}
    code, lines = run_snakemake(["--configfile", str(CONFIG), *arguments], run)
    results = f"{folder}/results/{request['scene']}"
    outcome = outcome_of(
        code,
        lines,
        manifest=account.read(f"{results}/web/manifest.json"),
        published=account.read_file(Published, f"{results}/published.json"),
        cost=account.read_file(Cost, f"{results}/cost.json"),
        stopped=account.read(f"{folder}/stop.json") is not None,
    )
    trouble = tell(account, request, outcome, environment)
    account.write(f"{folder}/outcome.json", outcome.as_json(trouble))
    return 0 if outcome.state == "done" else 1


def main(argv: list[str] | None = None) -> None:
    """Command line: further arguments go to Snakemake. The rest comes from the environment (stack.yaml)."""
    parser = argparse.ArgumentParser(prog="python -m scripts.tools.coordinate", description=__doc__)
    _, arguments = parser.parse_known_args(argv)
    raise SystemExit(coordinate(os.environ, arguments))


if __name__ == "__main__":
    run_main(main)
