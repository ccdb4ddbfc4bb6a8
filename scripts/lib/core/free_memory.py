"""How much main memory this process may still take: the machine's, within the limits of its cgroups.

Containers, Slurm and systemd limit memory by cgroups (Linux kernel: admin-guide/cgroup-v1/memory.rst,
admin-guide/cgroup-v2.rst). What a cgroup "uses" holds the page cache too, which the kernel gives up as soon
as a program asks for memory, so that is not counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class _Names:
    """Where one version of cgroups keeps its numbers, in a folder for each group."""

    mount: str
    limits: tuple[str, ...]
    usage: str
    cache: tuple[str, ...]  # lines of memory.stat: pages of files, which can be read again
    mapped: str  # the part of them that programs run from


V1 = _Names(
    "sys/fs/cgroup/memory",
    ("memory.limit_in_bytes",),
    "memory.usage_in_bytes",
    ("total_inactive_file", "total_active_file"),
    "total_mapped_file",
)
V2 = _Names(
    "sys/fs/cgroup",
    ("memory.max", "memory.high"),
    "memory.current",
    ("inactive_file", "active_file"),
    "file_mapped",
)


def free_memory(root: Path = Path("/")) -> int:
    """Bytes that this process may still take. `root`: of the file system, for tests.

    The smallest of what the machine has available and what each group above this process leaves.
    """
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    for names, folder in _groups(root):
        limits = [_number(folder / name) for name in names.limits]
        used = _number(folder / names.usage)
        known = [limit for limit in limits if limit is not None]
        if known and used is not None:
            free = min(free, min(known) - used + _cache(folder / "memory.stat", names))
    return max(0, free)


def _groups(root: Path) -> Iterator[tuple[_Names, Path]]:
    """The folders of this process's own cgroups and of all above them.

    A container may see its own group as the root, under whatever path the machine knows it: folders that are
    not there are passed over.
    """
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        names = V1 if controllers else V2
        own = PurePosixPath(path.lstrip("/"))
        for group in (own, *own.parents):
            yield names, root / names.mount / group


def _cache(stat: Path, names: _Names) -> int:
    """Bytes of files that a group has in memory only because there was room."""
    found = dict(line.split()[:2] for line in _lines(stat) if len(line.split()) > 1)
    cache = sum(int(found.get(name, 0)) for name in names.cache)
    return max(0, cache - int(found.get(names.mapped, 0)))


def _number(path: Path) -> int | None:
    """The number in a file; None when there is none ("max": no limit)."""
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
