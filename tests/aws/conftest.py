"""One account for all tests of this folder; each test has a prefix and a checkout of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.aws.cloud import Cloud, Faults, running_cloud
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
