"""The Kubernetes profile on the small cluster of this folder, with its real executor and files in S3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from scripts.lib.web.node import node_modules
from scripts.lib.web.verify import problems
from scripts.lib.workflow.container_images import read_lock
from tests.aws.submitter import fake_checkout, under_git
from tests.aws.test_main_run import CONFIG, EARLY, FILES, STEPS
from tests.buckets import remove_bucket
from tests.conftest import ROOT
from tests.engines.kubernetes import GPU, Cluster, Pod
from tests.engines.kubernetes_api import running_kubernetes
from tests.workflow.conftest import copy_checkout
from tests.workflow.test_dag import PER_SCENE

PROFILE = ROOT / "config" / "profiles" / "kubernetes"
BUCKET = "kubernetes-bucket"
# What jobs need of the submitter's, beside the profile's AWS_REGION, for a storage that is not Amazon's.
STORAGE = ("AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclass(frozen=True)
class Submitter:
    """A folder to start Snakemake in, for the run under `prefix` of the bucket."""

    folder: Path
    cluster: Cluster
    prefix: str

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a run with the real profile, looked at more often; stdout and stderr together."""
        command = [sys.executable, "-m", "snakemake", "--profile", str(PROFILE)]
        command += ["--seconds-between-status-checks", "1", *arguments, "--envvars", *STORAGE]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"SPLATMAKE_S3_PREFIX": f"s3://{BUCKET}/{self.prefix}", "PATH": path}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "KUBECONFIG": str(self.cluster.folder / "kubeconfig"), **own},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def objects(self, under: str) -> Iterator[tuple[str, bytes]]:
        """Names below `under` and contents of the run's files there."""
        s3 = boto3.client("s3")
        start = f"{self.prefix}/{under}"
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=start):
            for item in page.get("Contents", []):
                body = s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
                yield item["Key"].removeprefix(start), body


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A bucket of moto's server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    values = ("eu-west-1", f"http://{host}:{port}", "test", "test")
    for name, value in zip(STORAGE, values, strict=True):
        monkeypatch.setenv(name, value)
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=BUCKET, Key="KEEP", Body=b"")
    yield
    remove_bucket(s3, BUCKET)
    server.stop()


@pytest.fixture
def cluster(storage: None, tmp_path: Path) -> Iterator[Cluster]:
    with running_kubernetes(tmp_path / "cluster") as cluster:
        yield cluster


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    """What a run said that ended with this code."""
    said = process.communicate(timeout=900)[0]
    assert process.returncode == code, said[-8000:]
    return said


def test_jobs_get_image_gpu_and_secrets_and_survive_their_node(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Two rules; the node of the second is taken away, and the server is away for a moment."""
    commands = (
        'commands: {yard: "if [ -e $MARK ]; then echo again; else touch $MARK; sleep 600; fi"}'
    )
    fake_checkout(tmp_path / "run", f"{commands}\n")
    mark = tmp_path / "mark"
    cluster.pod_environment["MARK"] = str(mark)
    run = Submitter(tmp_path / "run", cluster, "runs/small")
    process = run.start("out/yard/middle.txt")
    middle: Pod = cluster.wait_for(lambda: mark.exists() and cluster.running("middle"), process)
    cluster.unavailable = 2
    cluster.take_node_away(middle)
    said = ended(process)
    assert [pod.rule for pod in cluster.pods] == ["first", "middle", "middle"]
    assert middle.exit_code == 137 and middle.disrupted
    assert "Error in rule" not in said, "replaced by Kubernetes, no failure of a job"
    assert "Kubernetes does not answer: 503" in said
    for pod in cluster.pods:
        is_middle = pod.rule == "middle"
        image = "registry/middle@sha256:4567" if is_middle else "registry/first:0123"
        assert pod.container["image"] == image
        assert (pod.gpus, pod.node) == ((1, "gpu") if is_middle else (0, "cpu"))
        assert pod.manifest["spec"]["serviceAccountName"] == "splatmake-job"
        assert "test" not in json.dumps(pod.container["env"]), "credentials only by reference"
    assert middle.container["resources"] == {
        "requests": {"cpu": "3800m", "memory": "60000M", "ephemeral-storage": "1000M", GPU: "1"},
        "limits": {"memory": "60000M", "ephemeral-storage": "1000M", GPU: "1"},
    }
    assert dict(run.objects("out/logs/"))["yard/middle.log"] == b"again\n"
    assert not cluster.secrets and not cluster.jobs and not cluster.present, (
        "nothing is left behind"
    )


@pytest.mark.engines
@pytest.mark.timeout(1800)
def test_the_cut_down_sample(cluster: Cluster, tmp_path: Path, lens: Path) -> None:
    """Photos to page. The training's node is taken away; what follows it runs out of memory once."""
    cluster.pod_environment["SPLATMAKE_NODE_MODULES"] = str(node_modules())
    run = Submitter(tmp_path / "run", cluster, "runs/main")
    copy_checkout(run.folder)
    (run.folder / "config" / "config.yaml").write_text(CONFIG)
    (run.folder / "scenes.tsv").write_text("scene\tsource\ncut\tphotos\n")
    under_git(run.folder)
    s3 = boto3.client("s3")
    for photo in sorted((lens / "photos").glob("*.jpg"))[:FILES]:
        s3.upload_file(str(photo), BUCKET, f"{run.prefix}/photos/{photo.name}")
    process = run.start()

    def checkpoint() -> Pod | None:
        listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"checkpoints/{run.prefix}/cut/")
        names = [item["Key"] for item in listed.get("Contents", [])]
        steps = [int(name.removesuffix(".pt").rpartition("-")[2]) for name in names]
        return cluster.running("train_splat") if max(steps, default=0) >= EARLY else None

    cluster.take_node_away(cluster.wait_for(checkpoint, process))
    cluster.out_of_memory(cluster.wait_for(lambda: cluster.running("clean_splat"), process))
    said = ended(process)
    print(said)
    rules = [pod.rule for pod in cluster.pods]
    assert set(rules) == PER_SCENE - {"cost_scene"} | {"summarise"}
    assert len(rules) == len(set(rules)) + 2 and rules.count("train_splat") == 2
    assert "Cause: OOMKilled, exit code 137" in said
    first, second = (pod for pod in cluster.pods if pod.rule == "clean_splat")
    assert [pod.container["resources"]["limits"]["memory"] for pod in (first, second)] == [
        "8000M",
        "12000M",
    ]
    images = {name: image.pinned("ghcr.io/splatmake") for name, image in read_lock(ROOT).items()}
    assert {pod.container["image"] for pod in cluster.pods} == {
        images[name] for name in ("sfm", "train-cpu", "web")
    }
    results: dict[str, Any] = dict(run.objects("results/cut/"))
    train = json.loads(results["train.json"])
    assert EARLY <= train["resumed_from"] < STEPS == train["steps"]
    for name, data in results.items():
        path = tmp_path / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert problems(tmp_path / "results" / "web") == []
    assert not cluster.secrets and not cluster.jobs and not cluster.present
