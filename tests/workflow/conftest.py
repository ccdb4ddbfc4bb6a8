"""A private copy of the checkout to run Snakemake in, and one finished cut-down run for all tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.buckets import remove_bucket

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Checkout:
    """A copy of the project's tracked and new files."""

    path: Path

    @property
    def environment(self) -> dict[str, str]:
        """Python's own programs are found, and kernels that the checkout itself compiled."""
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "NUMBA_CACHE_DIR": str(ROOT / "scripts" / "lib" / "core" / "__pycache__"),
        }

    def command(self, *arguments: str) -> list[str]:
        """Snakemake's command line."""
        return [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]

    def snakemake(self, *arguments: str, timeout: float = 540) -> subprocess.CompletedProcess[str]:
        """Run snakemake in the copy, stdout and stderr together; the timeout only ends what hangs."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.path,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )

    def planned(self, *arguments: str) -> dict[str, int]:
        """Jobs per rule that a dry-run plans; {} for nothing to be done."""
        result = self.snakemake("-n", *arguments)
        assert result.returncode == 0, result.stdout
        if "Nothing to be done" in result.stdout:
            return {}
        table = result.stdout.split("Job stats:")[1].split("total")[0].splitlines()[3:]
        return {row.split()[0]: int(row.split()[1]) for row in table if row.strip()}


def copy_checkout(target: Path) -> Checkout:
    """Copy what git tracks or would track to `target`."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        text=True,
        capture_output=True,
    ).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return Checkout(target)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A fresh copy, for dry-runs that change nothing."""
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


# The first files of the phone's capture (tests/data/lens): a real lens, noise, portraits, exposures.
CUT_DOWN_FILES = 16
CUT_DOWN_UNUSABLE = ("phone_04_copy.jpg", "phone_06_soft.jpg")
CUT_DOWN_PHOTOS = CUT_DOWN_FILES - len(CUT_DOWN_UNUSABLE)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy in which the cut-down capture really ran, photos to page: tests look, and dry-run in it."""
    run = copy_checkout(tmp_path_factory.mktemp("finished"))
    photos = run.path / "photos"
    photos.mkdir()
    every = sorted((run.path / "tests" / "data" / "lens" / "photos").glob("*.jpg"))
    for photo in every[:CUT_DOWN_FILES]:
        shutil.copy(photo, photos)
    (run.path / "scenes.tsv").write_text("scene\tsource\ncut\tphotos\n")
    config = (run.path / "config" / "config.yaml").read_text()
    config = config.replace("config/scenes.tsv", "scenes.tsv").replace("standard", "draft")
    (run.path / "config" / "config.yaml").write_text(config)
    result = run.snakemake(timeout=900)
    assert result.returncode == 0, result.stdout[-8000:]
    return run


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 bucket of moto's server, found through the environment as on a real machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-1",
        "SPLATMAKE_STACK": "splats",
        "SPLATMAKE_S3_PREFIX": "s3://splats/run",
    }.items():
        monkeypatch.setenv(name, value)
    s3 = boto3.client("s3", region_name="eu-west-1")
    s3.create_bucket(
        Bucket="splats", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    yield "splats"
    remove_bucket(s3, "splats")
    server.stop()
