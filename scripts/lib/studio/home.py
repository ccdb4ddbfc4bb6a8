"""The studio's folder: what lies where in it, how full its disk is, and that one studio alone uses it.

studio.db                  uploads and runs (`store`)
uploads/ID/NAME            what was uploaded, or as much of it as has come
jobs/ID/request.json       what was asked for; outcome.json and stop.json as in the cloud
jobs/ID/results/SCENE/     what the workflow made; its logs in results/logs
jobs/ID/run.log            what Snakemake said
jobs/ID/lock               held by whoever runs the job
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.cloud.request import upload_of
from scripts.lib.core.console import UserError

# In the place of the bucket and the caller in an upload's address, which callers only hand on.
BUCKET, CALLER = "this-machine", "0000000000000000"
SPARE_BYTES = 2 * 10**9  # what is left free, so that a run can still end and say so


@dataclass(frozen=True)
class Home:
    """A folder of the studio."""

    path: Path

    @property
    def database(self) -> Path:
        """Where uploads and runs are kept."""
        return self.path / "studio.db"

    def upload(self, token: str) -> Path:
        """The folder of an upload, by its id (16 hex digits)."""
        return self.path / "uploads" / token

    def job(self, job: str) -> Path:
        """The folder of a run, by its id (16 hex digits)."""
        return self.path / "jobs" / job

    def results(self, job: str) -> Path:
        """What the workflow makes of a run."""
        return self.job(job) / "results"

    def must_be_there(self) -> None:
        """Raises OSError when the folder is gone, as with a disk that was pulled out."""
        if not (self.path / "jobs").is_dir():
            raise OSError(errno.ENODEV, f"{self.path} is gone; connect its disk again")

    def free_bytes(self) -> int:
        """What may still be written on the disk."""
        return max(0, shutil.disk_usage(self.path).free - SPARE_BYTES)

    def source(self, address: str) -> Path | None:
        """The file behind an address that `address_of` made; None for anything else."""
        found = upload_of(address, BUCKET, CALLER)
        return self.upload(found[0]) / found[1] if found else None


def address_of(token: str, name: str) -> str:
    """How callers name an upload, in the form that the API prescribes."""
    return f"s3://{BUCKET}/uploads/{CALLER}/{token}/{name}"


def used_bytes(folder: Path) -> int:
    """What the files of a folder take on the disk; files that vanish meanwhile count as nothing."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(base, name).lstat().st_blocks * 512
            except OSError:
                continue
    return total


@contextmanager
def opened(path: Path) -> Iterator[Home]:
    """The studio's folder, made where it is missing, and held against other studios.

    Raises UserError when it cannot be written, or another studio has it.
    """
    try:
        for part in ("uploads", "jobs"):
            (path / part).mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}); choose another folder with --home"
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"a studio is running in {path} already; open its page, or choose another folder with --home"
            ) from None
        yield Home(path.resolve())
    finally:
        os.close(lock)
