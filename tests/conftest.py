"""What starts first, and fixtures of all tests: the repository, the sample scene, optional real photos."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import zlib  # noqa: F401  (before a test imports pycolmap: see scripts/lib/sfm/__init__.py)
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# As `use_threads` does for the scripts, and here before a test imports torch or numba: each has threads of
# its own, and those that wait by spinning take the cores from those that work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).resolve().parents[1]

# A file stays with one process, so these would be the last to end if they did not start first.
LONGEST = ("tests/aws/test_main_run.py", "tests/workflow/test_end_to_end.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(LONGEST)))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`made_once(name, make)` is a folder that `make(folder)` filled, once for all workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder_of(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def sample() -> Path:
    """The committed sample scene: photos/, heldback/, truth.json."""
    return ROOT / "tests" / "data" / "sample"


@pytest.fixture(scope="session")
def lens() -> Path:
    """The same scene as a phone takes it, with a real lens and noise: photos/, truth.json."""
    return ROOT / "tests" / "data" / "lens"


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """`real_data("banana")` is a folder of real input; the test skips, saying so, when it is absent."""
    base = Path(os.environ.get("SPLATMAKE_DATA", ROOT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = base / name
        if not path.exists():
            pytest.skip(f"real data {name!r} is not under {base}; set SPLATMAKE_DATA to run this")
        return path

    return find


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One headless browser for all tests: Playwright runs once in a process."""
    from tests.web import browser

    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        running = browser.launch(playwright)
        yield running
        running.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte. Skips where this account may not mount one."""
    folder = tmp_path / "small disk ü"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root; the tests that pretend one still run")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
