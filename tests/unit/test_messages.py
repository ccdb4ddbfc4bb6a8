"""Messages advise what can help: no other credentials for who is offline, no network for who lacks rights."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.lib.cloud.checks import images
from scripts.lib.cloud.preflight import cost_lines
from scripts.lib.core.console import UserError
from scripts.lib.storage.remote import remote_digest
from scripts.lib.web import node
from scripts.lib.web.server import make_server
from scripts.lib.workflow.cost import PRICES, read_prices


class Refused:
    """A stored object that S3 does not give."""

    query, bucket, key = "s3://bucket/yard", "bucket", "yard"

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def get_subkeys(self) -> Any:
        raise RuntimeError(self.reason)


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ('Could not connect to the endpoint URL: "https://x"', "check the network connection"),
        ("Read timeout on endpoint URL", "check the network connection"),
        ("An error occurred (NoSuchBucket) when calling", "check the bucket's name"),
        ("An error occurred (403) when calling: Forbidden", "AWS_PROFILE"),
        ("Unable to locate credentials", "AWS_PROFILE"),
    ],
)
def test_s3_refuses(reason: str, advice: str) -> None:
    with pytest.raises(UserError, match="s3://bucket/yard cannot be read") as caught:
        remote_digest(Refused(reason))  # type: ignore[arg-type]
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    ("printed", "blamed"),
    [
        ("npm error code ENOTFOUND\n", True),
        ("npm error code EAI_AGAIN\n", True),
        ("npm error code EACCES\n", False),
        ("npm error code ENOSPC\n", False),
    ],
)
def test_npm_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str, blamed: bool
) -> None:
    """The network is named only where npm did not get through it."""
    failed = SimpleNamespace(returncode=1, stdout="v24.0.0", stderr=printed)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(UserError, match="npm could not install") as caught:
        node.install(node.PACKAGES, tmp_path)
    assert ("network" in str(caught.value)) == blamed
    assert node.NODE_MODULES_VARIABLE in str(caught.value)


def test_a_read_only_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's packages go to the folder one works in."""
    asked: list[Path] = []
    monkeypatch.delenv(node.NODE_MODULES_VARIABLE, raising=False)
    monkeypatch.setattr(node, "install", lambda _, folder: asked.append(folder))
    monkeypatch.setattr(node, "ROOT", tmp_path / "checkout")
    (tmp_path / "checkout").mkdir()
    monkeypatch.chdir(tmp_path)
    node.node_modules()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path / "checkout")
    node.node_modules()
    assert asked == [tmp_path / "checkout" / "build" / "node", tmp_path / ".snakemake" / "node"]


@pytest.mark.parametrize(
    ("code", "missing"), [("ImageNotFoundException", True), ("AccessDenied", False)]
)
def test_who_may_not_look_is_not_told_to_push(code: str, missing: bool) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeImages")

    account: Any = SimpleNamespace(client=lambda _: SimpleNamespace(describe_images=refuse))
    registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/splats"
    if missing:
        assert "sfm:abc not in" in images(account, registry, {"sfm": "abc"}).said
    else:
        with pytest.raises(ClientError):  # which becomes a finding of its own
            images(account, registry, {"sfm": "abc"})


def test_a_prediction_speaks_of_this_system_only() -> None:
    text = "\n".join(cost_lines(read_prices(PRICES), 200, 2))
    assert "Predicted for 2 scenes of 200 photos" in text and "before" not in text


def test_serving_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="such as results/yard/web"):
        make_server(tmp_path, "127.0.0.1", 0)
    (tmp_path / "index.html").write_text("")
    with make_server(tmp_path, "127.0.0.1", 0) as server:
        port = server.server_address[1]
        with pytest.raises(UserError, match="try another --port"):
            make_server(tmp_path, "127.0.0.1", port)
    with pytest.raises(UserError, match="try another --host"):
        make_server(tmp_path, "192.0.2.1", 0)
