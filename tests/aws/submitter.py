"""A submitter's machine: a checkout under git, and Snakemake with the real profile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.aws.cloud import BUCKET, Cloud, hear_interrupts
from tests.conftest import ROOT

PROFILE = ROOT / "config" / "profiles" / "aws-batch"

# Three stages and two scenes; what the middle one does is set by the config.
FAKE = """
configfile: "config.yaml"

wildcard_constraints:
    scene="[a-z]+",

rule all:
    input:
        collect("out/{scene}/last.txt", scene=config["scenes"]),

rule first:
    output:
        "out/{scene}/first.txt",
    container:
        "docker://registry/first:0123"
    resources:
        mem_mb=100,
    params:
        word=config["word"],
    shell:
        "echo {params.word} > {output}"

rule middle:
    input:
        "out/{scene}/first.txt",
    output:
        "out/{scene}/middle.txt",
    log:
        "out/logs/{scene}/middle.log",
    container:
        "docker://registry/middle@sha256:4567"
    threads: 4
    resources:
        gpu=1,
        mem_mb=60000,
    params:
        command=lambda wildcards: config.get("commands", {}).get(wildcards.scene, "true"),
    shell:
        "({params.command}) 2>&1 | tee {log}; cp {input} {output}"

rule last:
    input:
        "out/{scene}/middle.txt",
    output:
        "out/{scene}/last.txt",
    container:
        "docker://registry/first:0123"
    resources:
        mem_mb=100,
    shell:
        "cp {input} {output}"
"""


@dataclass(frozen=True)
class Submitter:
    """A folder to start Snakemake in, for the run under `prefix`."""

    folder: Path
    cloud: Cloud
    prefix: str

    def arguments(self, *arguments: str) -> list[str]:
        """The command line: the real profile, looked at more often than on AWS."""
        command = [sys.executable, "-m", "snakemake", "--profile", str(PROFILE)]
        return [*command, "--splatmake-batch-poll-seconds", "1", *arguments]

    def environment(self) -> dict[str, str]:
        """The submitter's own environment, with the three variables of the profile."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        prefix = {"SPLATMAKE_S3_PREFIX": f"s3://{BUCKET}/{self.prefix}", "PATH": path}
        return {**os.environ, **self.cloud.environment(), **prefix}

    def ledger(self) -> list[dict[str, Any]]:
        """What the executor noted of its jobs."""
        return [json.loads(p.read_text()) for p in self.folder.glob(".snakemake/ledger/*.json")]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a run; stdout and stderr together."""
        return subprocess.Popen(
            self.arguments(*arguments),
            cwd=self.folder,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=hear_interrupts,
        )

    def run(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """A run to its end."""
        process = self.start(*arguments)
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            raise AssertionError(f"no end within {timeout} s:\n{output[-6000:]}") from None
        return subprocess.CompletedProcess(process.args, process.returncode, output)


def under_git(folder: Path) -> None:
    """Jobs get what git tracks."""
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)


def fake_checkout(folder: Path, config: str = "") -> None:
    """A workflow of three small rules under git."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Snakefile").write_text(FAKE)
    (folder / "config.yaml").write_text(f"scenes: [yard, roof]\nword: one\n{config}")
    under_git(folder)
