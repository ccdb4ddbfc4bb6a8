"""Real Slurm, one node: the profile's jobs, one of them requeued in training, with and without accounting."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engines.slurm import Slurm, missing, slurm_cluster
from tests.workflow.conftest import Checkout, copy_checkout
from tests.workflow.test_dag import PER_SCENE

# Looked at more often than on a cluster that others use too.
OFTEN = ("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "5")
CANCELLED_AFTER = 60  # steps, after the first of which it was requeued
pytestmark = pytest.mark.skipif(
    bool(missing(accounting=False)), reason=f"no Slurm here: {missing(accounting=False)}"
)


def start(cluster: Slurm, run: Checkout, *arguments: str) -> subprocess.Popen[str]:
    """The workflow with the real profile; stdout and stderr together."""
    path = f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--profile",
            "config/profiles/slurm",
            *OFTEN,
            *arguments,
        ],
        cwd=run.path,
        env={**run.environment, **cluster.environment, "PATH": path},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def training_after(
    cluster: Slurm, checkpoints: Path, running: subprocess.Popen[str], least: int
) -> str:
    """The id of the train_splat that runs, as soon as there is a checkpoint of a step after `least`."""

    def job() -> str | None:
        assert running.poll() is None, running.communicate()[0]
        steps = [int(path.stem.rpartition("-")[2]) for path in checkpoints.glob("[!.]*.pt")]
        if max(steps, default=0) <= least:
            return None
        jobs = cluster.ask("squeue", "-h", "-t", "RUNNING", "-o", "%i %k").splitlines()
        return next((line.split()[0] for line in jobs if "rule_train_splat" in line), None)

    return str(cluster.wait_for(job))


def trained(run: Checkout, scene: str) -> dict[str, Any]:
    return dict(json.loads((run.path / "results" / scene / "train.json").read_text()))


def ended(cluster: Slurm, running: subprocess.Popen[str]) -> str:
    """What a run said that ended well."""
    said = running.communicate(timeout=900)[0]
    assert running.returncode == 0, f"{said[-6000:]}\n{cluster.logs()}"
    return said


@pytest.mark.timeout(900)
def test_without_accounting_a_requeued_training_goes_on(finished: Checkout, tmp_path: Path) -> None:
    """The executor is made to ask squeue: for sacct it would wait for ever."""
    run = Checkout(shutil.copytree(finished.path, tmp_path / "run", symlinks=True))
    options = ("device=cpu", "train_splat={steps: 300, checkpoint_every: 0.2}")
    with slurm_cluster(accounting=False) as cluster:
        running = start(cluster, run, "results/cut/train.json", "--config", *options)
        checkpoints = run.path / "results" / "cut" / "checkpoints"
        cluster.ask("scontrol", "requeue", training_after(cluster, checkpoints, running, 0))
        said = ended(cluster, running)
    train = trained(run, "cut")
    assert 0 < train["resumed_from"] < train["steps"] == 300
    assert said.count("has been submitted with SLURM jobid") == 1, "the same job, put back by Slurm"


@pytest.mark.engines
def test_a_cluster_that_tells_of_no_end_is_refused(finished: Checkout, tmp_path: Path) -> None:
    """No accounting, and a queue that forgets at once."""
    run = Checkout(shutil.copytree(finished.path, tmp_path / "run", symlinks=True))
    with slurm_cluster(accounting=False, remembered=20) as cluster:
        arguments = ("results/cut/train.json", "--config", "train_splat={steps: 300}")
        running = start(cluster, run, *arguments)
        said = running.communicate(timeout=120)[0]
        assert cluster.ask("squeue", "-h", "--states=all") == ""
    assert running.returncode == 1
    assert (
        "squeue forgets a job 20 s after its end" in said
        and "accounting storage is disabled" in said
        and "Traceback" not in said
    )


@pytest.mark.engines
@pytest.mark.timeout(3600)
def test_the_sample_with_accounting(tmp_path: Path) -> None:
    """Photos to page, each job on the cluster; the training is requeued, and later cancelled."""
    if why := missing(accounting=True):
        pytest.skip(f"no Slurm with accounting here: {why}")
    run = copy_checkout(tmp_path / "run")
    (run.path / "scenes.tsv").write_text("scene\tsource\nyard\ttests/data/sample/photos\n")
    options = ["preset=draft", "device=cpu", "scenes=scenes.tsv"]
    options.append("train_splat={checkpoint_every: 0.5}")
    checkpoints = run.path / "results" / "yard" / "checkpoints"
    with slurm_cluster(accounting=True) as cluster:
        running = start(cluster, run, "--config", *options)
        training = training_after(cluster, checkpoints, running, 0)
        cluster.ask("scontrol", "requeue", training)
        assert training_after(cluster, checkpoints, running, CANCELLED_AFTER) == training
        cluster.ask("scancel", training)
        said = ended(cluster, running)
        print(said)
        states = cluster.ask("sacct", "-XnP", "--duplicates", "--format=JobID,State,ReqTRES")
        print(states)
    ends = [line.split("|")[:2] for line in states.splitlines()]
    assert [state for job, state in ends if job == training] == ["REQUEUED", "CANCELLED by 0"]
    assert {state for job, state in ends if job != training} == {"COMPLETED"}
    # With summarise and the training's second job, and without cost_scene.
    assert len({job for job, _ in ends}) == len(PER_SCENE) + 1
    assert trained(run, "yard")["resumed_from"] > CANCELLED_AFTER
    assert (run.path / "results/yard/web/index.html").is_file()
