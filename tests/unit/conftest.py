"""Shared by the unit tests."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.session
import pytest
from moto import mock_aws

from tests.buckets import remove_bucket


@pytest.fixture(scope="session")
def aws_models() -> Iterator[None]:
    """botocore's descriptions of the services, read once: each new session would read them again."""
    with pytest.MonkeyPatch.context() as patch:
        reading = functools.cache(botocore.session.create_loader)
        patch.setattr(botocore.session, "create_loader", reading)
        yield


@pytest.fixture
def s3(aws_models: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket `bkt` of moto, in this process; what else moto holds for other tests stays."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name, value in {
        "ACCESS_KEY_ID": "x",
        "SECRET_ACCESS_KEY": "x",
        "REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    mock = mock_aws()
    mock.start(reset=False)
    try:
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="bkt")
        yield client
        remove_bucket(client, "bkt")
    finally:
        mock.stop(remove_data=False)
