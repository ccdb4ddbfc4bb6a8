"""Paths that a user gives for this machine: `~` is the home folder, an address is none."""

from __future__ import annotations

import os
from pathlib import Path

from scripts.lib.core.console import UserError, printable

PROFILE = "config/profiles/aws-batch"


def local_path(key: str, path: str) -> str:
    """`path` with `~` written out. Raises UserError on an address, and on a home of nobody."""
    if "://" in path:
        hint = {
            "results": "results go to a folder here; for a bucket, start with"
            f" --profile {PROFILE}, which puts them where SPLATMAKE_S3_PREFIX says (config/aws/README.md)",
            "scenes": "the sheet must be a local file; download it",
        }
        raise UserError(f"{key} is {path!r}: {hint[key]}")
    if printable(path) != path:
        raise UserError(f"{key} is {printable(path)!r}, which is not UTF-8; rename the folder")
    return expanded(key, path)


def file_in_the_way(folder: Path) -> Path | None:
    """The file that stands where `folder` or one above it should be; None when there is none."""
    for path in (folder, *folder.parents):
        try:
            if path.exists() and not path.is_dir():
                return path
        except OSError:  # a folder that may not be entered; writing into it says so
            continue
    return None


def expanded(key: str, path: str) -> str:
    """`path` with `~` or `~name` in front written out. Raises UserError when there is no such home."""
    full = os.path.expanduser(path)  # noqa: PTH111 (a Path would lose a final slash)
    if full.startswith("~") and not Path(path).exists():
        raise UserError(
            f"{key} is {path!r}, but there is no such user; write the path out, or ./{path} for a folder here"
        )
    return full
