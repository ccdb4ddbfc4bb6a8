"""Every profile plans the whole sample; the cloud one looks its files up in a (fake) bucket."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.workflow.conftest import Checkout


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 bucket of moto's server, found through the environment as on a real machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "SNAKEMAKE_AWS_BATCH_JOB_QUEUE": "arn:aws:batch:eu-west-1:123456789012:job-queue/q",
        "SNAKEMAKE_AWS_BATCH_JOB_ROLE": "arn:aws:iam::123456789012:role/r",
        "SPLATMAKE_S3_PREFIX": "s3://splats/run",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(
        Bucket="splats", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    yield "splats"
    server.stop()


def test_slurm(checkout: Checkout) -> None:
    plan = checkout.planned("--workflow-profile", "config/profiles/slurm")
    assert plan["train_splat"] == 1 and plan["bundle_web"] == 1


def test_aws_batch(checkout: Checkout, bucket: str) -> None:
    """With S3 as default storage the photos lie in the bucket too."""
    s3 = boto3.client("s3")
    for photo in sorted((checkout.path / "tests/data/sample/photos").glob("*.jpg"))[:3]:
        key = f"run/{photo.relative_to(checkout.path).as_posix()}"
        s3.upload_file(str(photo), bucket, key)
    plan = checkout.planned("--profile", "config/profiles/aws-batch")
    assert plan["train_splat"] == 1 and plan["bundle_web"] == 1
    shutil.rmtree(checkout.path / ".snakemake", ignore_errors=True)
