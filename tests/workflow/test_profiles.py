"""Every profile plans the whole sample; the cloud one looks its files up in a (fake) bucket."""

from __future__ import annotations

import shutil

import boto3

from tests.workflow.conftest import Checkout


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
