"""Locks of envs/: that each was made from the requirements as they stand, and that all agree."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement

STAMP = re.compile(r"# Locked from (.+) \(sha256 ([0-9a-f]{16})\) by envs/lock\.sh")
BUILT_WITH_CUDA = {"pycolmap-cuda12": "pycolmap"}  # another name on PyPI for the same package
IMAGE_PYTHON = {"python_version": "3.11", "python_full_version": "3.11.14"}
IMAGE_MACHINE = {
    "platform_machine": "x86_64",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
}


def requirements(lock: Path) -> list[Requirement]:
    """The pinned requirements of a lock, in its order; hashes and comments left out."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    kept = [line.removesuffix("\\").strip() for line in lines if re.match(r"[A-Za-z0-9]", line)]
    return [Requirement(line) for line in kept]


def applies(requirement: Requirement) -> bool:
    """Whether the images (linux/amd64, Python 3.11) need `requirement`."""
    marker: Marker | None = requirement.marker
    return marker is None or marker.evaluate({**IMAGE_PYTHON, **IMAGE_MACHINE})


def versions(lock: Path) -> dict[str, str]:
    """{package: version} of what a lock installs on linux/amd64 with Python 3.11, local labels left out."""
    return {
        requirement.name: str(requirement.specifier).removeprefix("==").split("+")[0]
        for requirement in requirements(lock)
        if applies(requirement)
    }


def stale(envs: Path) -> list[str]:
    """One sentence for every lock that was not made from the requirements beside it."""
    problems: list[str] = []
    for lock in sorted([*envs.glob("*.txt"), *envs.glob("images/*.txt")]):
        name = lock.relative_to(envs.parent).as_posix()
        stamp = STAMP.fullmatch(lock.read_text(encoding="utf-8").partition("\n")[0])
        if stamp is None:
            problems.append(f"{name} does not say what it was locked from; run envs/lock.sh")
            continue
        digest = hashlib.sha256()
        for source in stamp[1].split():
            path = envs / source
            digest.update(path.read_bytes() if path.is_file() else b"missing")
        if digest.hexdigest()[:16] != stamp[2]:
            problems.append(
                f"{name} was locked from another {stamp[1].replace(' ', ', ')}; run envs/lock.sh"
            )
    return problems


def disagreements(envs: Path) -> list[str]:
    """One sentence for every package whose version is not dev.txt's, or that an image's lock lacks.

    An image's lock holds at least what its stage's lock and the worker's do.
    """
    problems: list[str] = []
    everywhere = versions(envs / "dev.txt")
    for lock in sorted([*envs.glob("*.txt"), *envs.glob("images/*.txt")]):
        problems += [
            f"{package} is {everywhere[package]} in envs/dev.txt but {version} in"
            f" {lock.relative_to(envs.parent).as_posix()}; run envs/lock.sh"
            for package, version in versions(lock).items()
            if everywhere.get(package, version) != version
        ]
    for lock in sorted(envs.glob("images/*.txt")):
        stage = envs / f"{lock.stem.removesuffix('-cpu')}.txt"
        if not stage.exists():
            continue  # what only a build needs
        held = {BUILT_WITH_CUDA.get(package, package) for package in versions(lock)}
        for part in (stage, envs / "worker.txt"):
            problems += [
                f"{package} is in envs/{part.name} but not in envs/images/{lock.name}; run envs/lock.sh"
                for package in sorted(set(versions(part)) - held)
            ]
    return problems
