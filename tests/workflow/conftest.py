"""A private copy of the checkout to run Snakemake in, and one finished cut-down run for all tests."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.buckets import remove_bucket
from tests.workflow.forking import Forking
from tests.workflow.through_studio import through_studio

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

    def dry_run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A dry-run, stdout and stderr together, by the process of this worker that has Snakemake loaded."""
        command = ["--cores", "2", "-n", *arguments]
        return _forking().run(self.path, self.environment, command)

    def planned(self, *arguments: str) -> dict[str, int]:
        """Jobs per rule that a dry-run plans; {} for nothing to be done."""
        result = self.dry_run(*arguments)
        assert result.returncode == 0, result.stdout
        return jobs_per_rule(result.stdout)


def jobs_per_rule(plan: str) -> dict[str, int]:
    """What a dry-run that said `plan` would run; {} for nothing to be done."""
    if "Nothing to be done" in plan:
        return {}
    table = plan.split("Job stats:")[1].split("total")[0].splitlines()[3:]
    return {row.split()[0]: int(row.split()[1]) for row in table if row.strip()}


@functools.cache
def _forking() -> Forking:
    return Forking(ROOT, Path(tempfile.mkdtemp(prefix="splatmake-runs-")) / "said.txt")


@pytest.fixture(scope="session", autouse=True)
def forking_ends() -> Iterator[None]:
    """The process that has Snakemake loaded ends with the tests."""
    yield
    if _forking.cache_info().currsize:
        _forking().close()


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


def run_cut_down(folder: Path, chromium: Any | None) -> None:
    """Run the cut-down capture in a copy of the checkout, photos to page; through the studio in a browser."""
    run = copy_checkout(folder)
    every = sorted((run.path / "tests" / "data" / "lens" / "photos").glob("*.jpg"))[:CUT_DOWN_FILES]
    if chromium:
        through_studio(run.path, every, len(CUT_DOWN_UNUSABLE), chromium)
        return
    photos = run.path / "photos"
    photos.mkdir()
    for photo in every:
        shutil.copy(photo, photos)
    (run.path / "scenes.tsv").write_text("scene\tsource\ncut\tphotos\n")
    config = (run.path / "config" / "config.yaml").read_text()
    config = config.replace("config/scenes.tsv", "scenes.tsv").replace("standard", "draft")
    (run.path / "config" / "config.yaml").write_text(config)
    result = run.snakemake(timeout=900)
    assert result.returncode == 0, result.stdout[-8000:]


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and date of every file but Snakemake's own and compiled ones."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not {".snakemake", "__pycache__"} & set(path.parts)
    }


@pytest.fixture(scope="session")
def finished(
    made_once: Callable[[str, Callable[[Path], None]], Path], request: pytest.FixtureRequest
) -> Iterator[Checkout]:
    """A copy in which the cut-down capture really ran: tests look and dry-run, and change only copies."""
    try:
        chromium = request.getfixturevalue("chromium")
    except pytest.skip.Exception:
        chromium = None
    folder = made_once("finished", functools.partial(run_cut_down, chromium=chromium))
    before = state(folder)
    yield Checkout(folder)
    assert state(folder) == before, "a test has changed what others look at"


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
    s3.create_bucket(Bucket="splats", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    yield "splats"
    remove_bucket(s3, "splats")
    server.stop()
