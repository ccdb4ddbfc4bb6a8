"""What is said where the packages for AWS are not installed."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from scripts.lib.cloud.aws import Account
from scripts.lib.core.console import UserError
from scripts.lib.storage.places import Bucket
from scripts.lib.storage.remote import check_uri

HINT = r"run `pip install -r envs/cloud\.txt`"


def test_without_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("boto3", "botocore.config"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=HINT):
        Bucket("s3://bucket/run").client()
    with pytest.raises(UserError, match=HINT):
        Account("stack", "bucket").client("batch")


def test_a_source_in_s3_without_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    check_uri("s3://bucket/photos")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"s3://bucket/photos needs packages .* {HINT}"):
        check_uri("s3://bucket/photos")
