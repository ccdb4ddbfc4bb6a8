"""Profiles with S3 plan the whole sample, looked up in a (fake) bucket. That of Slurm: test_wiring.py."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from scripts.lib.workflow.cost import PRICES, read_prices
from scripts.lib.workflow.limits import seconds_allowed
from tests.workflow.conftest import copy_checkout, jobs_per_rule
from tests.workflow.test_dag import PER_SCENE


@pytest.mark.parametrize("profile", ["aws-batch", "kubernetes"])
def test_photos_lie_in_the_bucket_too(tmp_path: Path, bucket: str, profile: str) -> None:
    run = copy_checkout(tmp_path)
    s3 = boto3.client("s3")
    for photo in sorted((run.path / "tests/data/sample/photos").glob("*.jpg"))[:3]:
        s3.upload_file(str(photo), bucket, f"run/{photo.relative_to(run.path).as_posix()}")
    plan = run.dry_run("--profile", f"config/profiles/{profile}")
    assert plan.returncode == 0, plan.stdout
    assert "1 scene of 3 photos on g6.xlarge: $" in plan.stdout
    limit = seconds_allowed(read_prices(PRICES), "map_scene", 3, "standard")
    assert f"aws_batch_task_timeout={limit}" in plan.stdout  # by the photos that were counted there
    assert jobs_per_rule(plan.stdout) == dict.fromkeys(PER_SCENE | {"summarise", "all"}, 1)
