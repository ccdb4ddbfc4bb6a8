"""Machine code of the CPU kernels: copies of a version share it, that of others goes once nobody uses it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from numba.core.caching import IndexDataCacheFile

from scripts.lib.core.jit import UNUSED, _remove_unused

KERNEL = "from scripts.lib.core.jit import compiled\n@compiled\ndef twice(x):\n    return 2 * x\n"
KERNELS = Path("scripts", "lib", "train", "kernels")


def hits(project: Path, cache: Path) -> str:
    """Kernels that a process of this project finds compiled, and those it does not."""
    code = (
        "from scripts.lib.train.kernels.own import twice; twice(2); found = twice.stats;"
        "print(len(found.cache_hits), len(found.cache_misses))"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        check=True,
        text=True,
        capture_output=True,
    ).stdout.strip()


def test_copies_share_it_while_their_sources_are_the_same(root: Path, tmp_path: Path) -> None:
    projects = [tmp_path / "one", tmp_path / "a copy"]
    for project in projects:
        core = project / "scripts" / "lib" / "core"
        core.mkdir(parents=True)
        for name in ("caches.py", "jit.py"):
            shutil.copy(root / "scripts" / "lib" / "core" / name, core)
        kernels = project / KERNELS
        kernels.mkdir(parents=True)
        (kernels / "own.py").write_text(KERNEL)
    cache = tmp_path / "cache"
    assert [hits(project, cache) for project in projects] == ["0 1", "1 0"]
    (projects[1] / KERNELS / "helper.py").write_text("# a kernel may use it")
    assert [hits(project, cache) for project in projects[::-1]] == ["0 1", "1 0"]


def test_versions_of_a_kernel_added_at_once_keep_their_own_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes compile one kernel for other types, and both see an index without either."""
    meeting = threading.Barrier(2)
    load = IndexDataCacheFile._load_index

    def look_together(index: Any) -> Any:
        found = load(index)
        with suppress(threading.BrokenBarrierError):  # the other one waits for its turn
            meeting.wait(timeout=0.5)
        return found

    def add(version: str) -> None:
        IndexDataCacheFile(str(tmp_path), "kernel", "stamp").save(version, f"code of {version}")

    monkeypatch.setattr(IndexDataCacheFile, "_load_index", look_together)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(add, ["a", "b"]))
    monkeypatch.undo()
    cache = IndexDataCacheFile(str(tmp_path), "kernel", "stamp")
    assert [cache.load(version) for version in ("a", "b")] == ["code of a", "code of b"]


def test_other_versions_stay_while_their_jobs_may_run(tmp_path: Path) -> None:
    own, recent, old = (tmp_path / f"kernels-{name}" for name in ("own", "recent", "old"))
    for folder in (own, recent, old):
        folder.mkdir()
        (folder / "code.nbc").write_bytes(b"x")
    os.utime(own, (0, 0))  # this start makes it new again
    now = (tmp_path / "kernels-recent").stat().st_mtime
    os.utime(recent, (now - UNUSED / 2,) * 2)
    os.utime(old, (now - 2 * UNUSED,) * 2)
    _remove_unused(tmp_path, own)
    assert (own / "code.nbc").exists() and (recent / "code.nbc").exists() and not old.exists()
    assert own.stat().st_mtime >= now - 1


def test_what_cannot_be_removed_stays(tmp_path: Path) -> None:
    _remove_unused(tmp_path, tmp_path / "kernels-gone")  # by another job, just now
    assert tmp_path.exists()
