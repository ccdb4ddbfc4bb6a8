"""One account for all tests of this folder; each test has a prefix and a checkout of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.cloud import runs
from scripts.lib.cloud.aws import Account, coordinator_name
from tests.aws import gateway
from tests.aws.cloud import BUCKET, Cloud, Faults, running_cloud
from tests.aws.submitter import Submitter, fake_checkout


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The account, its Batch running."""
    with running_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture
def cloud(account: Cloud) -> Cloud:
    """The account, with nothing counted yet."""
    account.executions.clear()
    account.requests.clear()
    account.photo_requests = account.checkpoint_requests = 0
    account.faults = Faults()
    return account


@pytest.fixture
def submitter(
    cloud: Cloud, tmp_path: Path, request: pytest.FixtureRequest
) -> Callable[..., Submitter]:
    """`submitter(config)` is a new checkout of the small workflow, its run named after the test."""

    def make(config: str = "", prefix: str = "") -> Submitter:
        folder = tmp_path / f"checkout-{len(list(tmp_path.iterdir()))}"
        fake_checkout(folder, config)
        return Submitter(folder, cloud, f"runs/{prefix or request.node.name}")

    return make


@pytest.fixture
def call(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, dict[str, Any]]]:
    """`gateway.call`, with the account around it and an upload of its caller's in the bucket."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SPLATMAKE_BUCKET", BUCKET)
    monkeypatch.setenv("SPLATMAKE_MOST_RUNS", "50")
    cloud.client("s3").put_object(Bucket=BUCKET, Key=gateway.KEY, Body=b"PK")
    return gateway.call


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """{name at Batch: its summary} of the coordinators that were started, none of which really runs."""
    found: dict[str, dict[str, Any]] = {}

    def submit(_: Account, caller: str, job: str) -> str:
        name = coordinator_name(caller, job)
        assert found.get(name, {}).get("status") != "RUNNING"
        found[name] = {
            "jobId": f"batch-{job}",
            "jobName": name,
            "createdAt": len(found),
            "status": "RUNNING",
        }
        return f"batch-{job}"

    def listed(_: Account, wanted: str) -> list[dict[str, Any]]:
        begins = wanted.endswith("*")
        return [
            entry
            for name, entry in found.items()
            if name == wanted or (begins and name.startswith(wanted[:-1]))
        ]

    def terminate(_: Account, batch_job: str, reason: str) -> None:
        for entry in found.values():
            if entry["jobId"] == batch_job:
                entry["status"] = "FAILED"

    monkeypatch.setattr(Account, "_submit_coordinator", submit)
    monkeypatch.setattr(Account, "_coordinators", listed)
    monkeypatch.setattr(
        Account,
        "describe",
        lambda _, job: next((e for e in found.values() if e["jobId"] == job), {}),
    )
    monkeypatch.setattr(Account, "terminate", terminate)
    monkeypatch.setattr(runs, "UNLISTED", 0.0)  # this one knows at once what it took
    return found
