"""Every profile plans the whole sample; the cloud one looks its files up in a (fake) bucket."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import boto3

from tests.workflow.conftest import Checkout, copy_checkout


def test_slurm(checkout: Checkout) -> None:
    plan = checkout.planned("--workflow-profile", "config/profiles/slurm")
    assert plan["train_splat"] == 1 and plan["bundle_web"] == 1


def test_slurm_is_asked_for_a_gpu(tmp_path: Path) -> None:
    """What the executor gives to sbatch, as far as that goes without a cluster."""
    run = copy_checkout(tmp_path / "run")
    commands, calls = tmp_path / "bin", tmp_path / "calls"
    commands.mkdir()
    for name in ("sbatch", "sacct", "squeue", "scancel", "sinfo", "scontrol", "sacctmgr", "sshare"):
        shim = commands / name
        shim.write_text(f'#!/bin/sh\necho "{name} $*" >> "{calls}"\necho a\n')
        shim.chmod(0o755)
    scene = run.path / "results" / "courtyard"
    scene.mkdir(parents=True)
    (scene / "undistorted.zip").write_bytes(b"PK")
    command = [sys.executable, "-m", "snakemake", "--profile", "config/profiles/slurm"]
    command += ["--allowed-rules", "train_splat", "--default-resources", "slurm_account=a"]
    command += ["slurm_partition=p", "mem_mb=4000", "--", "results/courtyard/splat.ply"]
    process = subprocess.Popen(
        command,
        cwd=run.path,
        env={**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    submitted: list[str] = []
    for _ in range(600):
        lines = calls.read_text().splitlines() if calls.exists() else []
        submitted = [line for line in lines if line.startswith("sbatch ")]
        if submitted or process.poll() is not None:
            break
        time.sleep(0.1)
    process.kill()  # nobody would ever tell it that the job has ended
    output, _ = process.communicate()
    assert submitted, output
    assert "--gpus=1" in submitted[0] and "-t 240" in submitted[0] and "--mem 14000" in submitted[0]


def test_aws_batch(checkout: Checkout, bucket: str) -> None:
    """With S3 as default storage the photos lie in the bucket too."""
    s3 = boto3.client("s3")
    for photo in sorted((checkout.path / "tests/data/sample/photos").glob("*.jpg"))[:3]:
        key = f"run/{photo.relative_to(checkout.path).as_posix()}"
        s3.upload_file(str(photo), bucket, key)
    result = checkout.snakemake("-n", "--profile", "config/profiles/aws-batch")
    assert "1 scene of 3 photos on g6.xlarge: $" in result.stdout
    plan = checkout.planned("--profile", "config/profiles/aws-batch")
    assert plan["train_splat"] == 1 and plan["bundle_web"] == 1
    shutil.rmtree(checkout.path / ".snakemake", ignore_errors=True)
