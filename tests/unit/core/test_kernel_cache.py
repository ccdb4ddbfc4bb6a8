"""Machine code of the CPU kernels: that of other versions goes once nobody uses it, never before."""

from __future__ import annotations

import os
from pathlib import Path

from scripts.lib.core.jit import UNUSED, _remove_unused


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
