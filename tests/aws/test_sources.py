"""Photos that lie in the bucket as one archive, where the job API's callers upload them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from tests.aws.cloud import BUCKET, REGION, STACK, Cloud
from tests.aws.submitter import Submitter, under_git
from tests.workflow.conftest import copy_checkout


def test_an_archive_of_uploads(cloud: Cloud, tmp_path: Path, sample: Path) -> None:
    archive = tmp_path / "yard.zip"
    with zipfile.ZipFile(archive, "w") as photos:
        for photo in sorted((sample / "photos").glob("*.jpg"))[:4]:
            photos.write(photo, photo.name)
    cloud.client("s3").upload_file(str(archive), BUCKET, "uploads/77/yard.zip")
    checkout = copy_checkout(tmp_path / "checkout").path
    source = f"s3://{BUCKET}/uploads/77/yard.zip"
    (checkout / "scenes.tsv").write_text(f"scene\tsource\nyard\t{source}\n")
    (checkout / "config" / "config.yaml").write_text("scenes: scenes.tsv\npreset: draft\n")
    under_git(checkout)
    run = Submitter(checkout, cloud, "runs/archive")
    result = run.run("results/yard/photos.json")
    assert result.returncode == 0, result.stdout
    key = "runs/archive/results/yard/photos.json"
    body = cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    assert [photo["kept"] for photo in json.loads(body)["photos"]] == [True] * 4
    (job,) = cloud.executions
    definition = cloud.definition(job.job_id)
    # Of all jobs only this one may read uploads.
    assert definition["containerProperties"]["jobRoleArn"].endswith(
        f":role/{STACK}-{REGION}-import"
    )
