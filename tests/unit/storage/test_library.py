"""What is said where the packages for AWS are not installed."""

from __future__ import annotations

import importlib.util
import re
import sys
from urllib.parse import parse_qs, urlsplit

import pytest

from scripts.lib.cloud.aws import Account
from scripts.lib.cloud.multipart import part_url
from scripts.lib.core.console import UserError
from scripts.lib.storage.library import client, region
from scripts.lib.storage.places import Bucket
from scripts.lib.storage.remote import check_uri
from tests.conftest import ROOT

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


@pytest.fixture
def no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of AWS: credentials, and no region that boto3 would look for."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")


@pytest.mark.usefixtures("no_region")
def test_the_region_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no AWS region is set; set AWS_REGION"):
        region()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert region() == "us-west-2"
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    for service in ("s3", "batch", "sns", "ses", "sts", "ecr", "ec2"):
        assert client(service).meta.region_name == "eu-central-1"
        assert Account("stack", "bkt").client(service).meta.region_name == "eu-central-1"
    assert Bucket("s3://bkt/run").client().meta.region_name == "eu-central-1"


# Of the three first boto3 alone would sign as before 2020, and all it would send to the global address.
@pytest.mark.usefixtures("no_region")
def test_who_is_waited_for_does_not_ask_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API's function ends after 20 seconds, and would leave its caller without a word."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")

    def tries(account: Account) -> int:
        return int(account.client("batch").meta.config.retries["total_max_attempts"])

    assert tries(Account("stack", "bkt", 3)) == 3 < tries(Account("stack", "bkt")) == 10


REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-south-2")


@pytest.mark.usefixtures("no_region")
@pytest.mark.parametrize("name", REGIONS)
def test_links_go_to_the_buckets_own_region(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new bucket answers elsewhere with 307, which browsers do not follow, and takes no other signature.

    S3's pages: "Virtual hosting of general purpose buckets", "AWS Signature Version 2 turned off".
    """
    monkeypatch.setenv("AWS_REGION", name)
    account = Account("stack", "bkt")
    host = f"bkt.s3.{name}.amazonaws.com"
    link = urlsplit(account.link("runs/1/results/yard/report.html", "text/html"))
    assert link.netloc == host and parse_qs(link.query)["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    part = urlsplit(part_url(account, "uploads/1/yard.zip", "id", 1, 10))
    assert part.netloc == host and parse_qs(part.query)["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]


def test_there_is_one_way_to_a_client() -> None:
    """Whoever makes a client by hand forgets the region."""
    made = re.compile(r"boto3(\(\))?\.(client|resource)\(")
    found = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "scripts").rglob("*.py")
        if made.search(path.read_text())
    ]
    assert found == ["scripts/lib/storage/library.py"]
    template = (ROOT / "config" / "aws" / "stack.yaml").read_text()
    executor = (ROOT / "envs" / "executor").rglob("*.py")
    for text in [template, *(path.read_text() for path in executor)]:
        for call in made.finditer(text):
            rest = text[call.end() : text.index("\n", call.end())]
            # Lambda sets both names of the region for its own function.
            assert "region_name" in rest or "**client" in rest or '"KEEP"' in rest, rest
