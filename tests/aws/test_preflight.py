"""What preflight finds on an account as it should be, and on one where something is missing."""

from __future__ import annotations

import json

import pytest

from scripts import preflight
from scripts.lib.cloud.checks import all_findings
from scripts.lib.cloud.preflight import STAGE_IMAGES
from scripts.lib.core.console import UserError
from scripts.lib.workflow.container_images import read_lock
from tests.aws.cloud import ACCOUNT, BUCKET, REGION, STACK, Cloud
from tests.conftest import ROOT

PREFIX = f"s3://{BUCKET}/runs/new"
TAGS = {name: image.tag for name, image in read_lock(ROOT).items() if name in STAGE_IMAGES}
SPOT = {"g6.xlarge": 0.36}
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{STACK}"


@pytest.fixture
def ready(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The account with every stage's image pushed, reached through the environment."""
    ecr = cloud.client("ecr")
    there = {item["repositoryName"] for item in ecr.describe_repositories()["repositories"]}
    for name, tag in TAGS.items():
        if f"{STACK}/{name}" not in there:
            ecr.create_repository(repositoryName=f"{STACK}/{name}")
            media = "application/vnd.oci.image.manifest.v1+json"
            manifest = {"schemaVersion": 2, "mediaType": media, "config": {"digest": name}}
            manifest |= {"layers": []}
            ecr.put_image(
                repositoryName=f"{STACK}/{name}", imageManifest=json.dumps(manifest), imageTag=tag
            )
    for name, value in (cloud.environment() | {"SPLATMAKE_S3_PREFIX": PREFIX}).items():
        monkeypatch.setenv(name, value)
    return cloud


def test_all_is_well(ready: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    preflight.main(["--photos", "200", "--scenes", "3", "--registry", REGISTRY])
    told = capsys.readouterr().out
    assert "FAIL" not in told
    for what in ("credentials", "bucket", "queues", "images", "quota gpu-spot", "spot prices"):
        assert f"ok   {what}:" in told
    assert f"{PREFIX} is new" in told
    assert "Predicted for 3 scenes of 200 photos" in told
    assert "g6.xlarge" in told and "spot," in told


def test_what_is_missing_is_named(ready: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    registry = REGISTRY.replace(STACK, "nostack")
    looked = all_findings("nostack", "s3://nobucket/run", registry, TAGS, SPOT)
    findings = {finding.what: finding for finding in looked}
    assert findings["credentials"].good
    assert not findings["bucket"].good
    assert "nostack-gpu-spot" in findings["queues"].said and not findings["queues"].good
    assert f"sfm:{TAGS['sfm']}" in findings["images"].said and not findings["images"].good
    (elsewhere,) = [
        f for f in all_findings(STACK, PREFIX, "ghcr.io/x", TAGS, SPOT) if f.what == "images"
    ]
    assert elsewhere.good and "ghcr.io/x" in elsewhere.said


def test_a_run_that_cannot_start_is_an_error(
    ready: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPLATMAKE_STACK", "nostack")
    with pytest.raises(SystemExit):
        preflight.main([])
    told = capsys.readouterr().out
    assert "FAIL queues" in told and "Predicted for 1 scene of 200" in told


def test_a_missing_variable_is_a_sentence(ready: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPLATMAKE_STACK")
    with pytest.raises(UserError, match="SPLATMAKE_STACK is not set"):
        preflight.main([])


def test_costs_need_no_account(capsys: pytest.CaptureFixture[str]) -> None:
    preflight.main(["--cost-only", "--photos", "50"])
    assert "of 50 photos" in capsys.readouterr().out
