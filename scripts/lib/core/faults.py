"""Faults of the machine, not of the data: a full disk, missing rights, a disk or network share that fails.

They must never be told as a damaged file, because the advice for one ("delete it") is wrong for the other.
Only the standard library is imported here.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT}
READ_ONLY = {errno.EROFS}
RIGHTS = {errno.EACCES, errno.EPERM}
TOO_LARGE = {errno.EFBIG}
TOO_MANY = {errno.EMFILE, errno.ENFILE}
# A bad sector, a stick pulled out, or a network share that went away: `soft` NFS mounts say EIO.
DEVICE = {
    *(errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.EREMOTEIO, errno.ETIMEDOUT),
    *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET),
    *(errno.ENOTCONN, errno.ECONNABORTED, errno.ECONNRESET, errno.ECONNREFUSED, errno.ESHUTDOWN),
}
FAULTS = FULL | READ_ONLY | RIGHTS | TOO_LARGE | TOO_MANY | DEVICE
# Below this a disk counts as full, when a library reports a failed write in words of its own.
ALMOST_NOTHING = 1 << 20


def is_fault(error: BaseException) -> bool:
    """Whether the operating system reported a fault of disk, rights or network.

    Libraries raise OSError for damaged content too, without a number (Pillow, gzip) or with EINVAL
    (a zip whose offsets lead nowhere); those are no faults.
    """
    return isinstance(error, OSError) and error.errno in FAULTS


def is_broken_device(error: BaseException) -> bool:
    """Whether reading failed because of the disk or the network, so that other files will fail too."""
    return isinstance(error, OSError) and error.errno in DEVICE


def naming(error: Exception, path: Path) -> Exception:
    """`error`, which ended the writing of `path` (a file, or what a folder holds), as one that says so.

    A failed write does not name its file, and libraries report a full disk in words of their own (torch:
    RuntimeError; numpy: OSError without a number): both become an OSError of that kind with the file's name.
    """
    if isinstance(error, OSError) and is_fault(error):
        given = os.fsdecode(error.filename or "")
        if not given or any(".part" in Path(part).suffixes for part in Path(given).parts):
            error.filename = str(path)  # not the temporary name
        return error
    if _free(path) < ALMOST_NOTHING:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    return error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory did not suffice, the GPU's included.

    numpy raises a MemoryError, torch a RuntimeError of its CPU allocator, or an OutOfMemoryError for the GPU.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _memory_sentence(error: BaseException) -> str:
    """What to do when memory did not suffice."""
    if type(error).__name__ == "OutOfMemoryError":
        return (
            "out of GPU memory; close what else uses the GPU, set train_splat.max_gaussians or"
            " train_splat.resolution lower, or set device: cpu"
        )
    text = " ".join(str(error).split())
    return (
        f"out of memory{f' ({text})' if text else ''}; give the job more memory (mem_mb where a "
        "scheduler limits it), or close other programs"
    )


def sentence(error: BaseException) -> str | None:
    """What happened, where and what to do, in one sentence; None when `error` is no fault of the machine."""
    if is_out_of_memory(error):
        return _memory_sentence(error)
    if not isinstance(error, OSError) or not is_fault(error):
        return None
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    what, reason = name or "a file", (error.strerror or str(error)).lower()
    if error.errno in FULL:
        return (
            f"no space left for {name or 'what was being written'} ({_room(name)}); free some space "
            "or use another disk (`results` in the configuration, TMPDIR for temporary files), then "
            "run the same command again: finished results are kept"
        )
    if error.errno in READ_ONLY:
        return f"{what} cannot be written: its file system is read-only; choose another folder"
    if error.errno in RIGHTS:
        return f"{what} cannot be used: {reason}; check its owner and permissions, and those of its folder"
    if error.errno in TOO_LARGE:
        return (
            f"{what} is larger than its file system or this account's limit allows ({reason}); use "
            "another disk, or raise the limit (ulimit -f)"
        )
    if error.errno in TOO_MANY:
        return f"too many files are open ({reason}); raise the limit (ulimit -n) and run it again"
    return (
        f"{what} could not be read or written: the disk or network share failed ({reason}); check it, "
        "then run the same command again"
    )


def _free(folder: Path) -> int:
    """Free bytes of the disk with `folder` (or a file) or with the nearest folder above it that exists."""
    for place in (folder, *folder.absolute().parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return ALMOST_NOTHING


def _room(name: str) -> str:
    """How much is free where `name` lies, and in the temporary folder when that is another disk."""
    path = Path(name)
    places = [path if path.is_dir() else path.parent]
    with suppress(OSError):  # raised when no folder for temporary files can be written
        places.append(Path(tempfile.gettempdir()))
    told = {place.absolute(): _free(place) for place in places}
    return ", ".join(f"{free / 1e6:.1f} MB are free in {place}" for place, free in told.items())
