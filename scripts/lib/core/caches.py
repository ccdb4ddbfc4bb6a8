"""Folders for what can be made again: compiled kernels, npm packages. HOME may be read-only, or not exist."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

OWN = "splatmake"


def user_cache() -> Path | None:
    """This project's folder in the user's cache (XDG_CACHE_HOME, else HOME/.cache); None without a home."""
    base = os.environ.get("XDG_CACHE_HOME")
    with suppress(RuntimeError):  # an account without an entry, as in many containers
        return (Path(base) if base else Path.home() / ".cache") / OWN
    return None


def writable(folders: Iterable[Path]) -> Path | None:
    """The first of `folders` that is there, or can be made, and may be written to."""
    for folder in folders:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder
    return None


def temporary_cache() -> Path:
    """A folder of this user alone among the temporary files, the same each time.

    Another's would hold code that this process runs, so one that is not ours is not taken.
    """
    folder = Path(tempfile.gettempdir()) / f"{OWN}-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o022:
        return folder
    return Path(tempfile.mkdtemp(prefix=f"{OWN}-"))
