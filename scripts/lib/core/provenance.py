"""How a stage was run: its options, the versions of what it used, the machine, and when.

Every stage writes these under the same four keys into its JSON, where manifest, report and crate find them.
Versions are read from the packages' metadata: importing torch or pycolmap only to ask for a number would
take seconds, in images that need not even have them. Needs the standard library alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import platform
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, TypedDict

from scripts.lib.core.checkout import ROOT
from scripts.lib.core.json_type import Json

KEYS = ("options", "versions", "machine", "ran")
STARTED = time.time()  # of this program: every stage imports this module before its work begins
IMAGE_VARIABLE = "SPLATMAKE_IMAGE"  # each of this project's images says here which one it is
# What each kind of stage computes with; those that are not installed are left out.
PHOTOS = ("pillow", "pillow-heif", "av", "numpy", "scipy")
SFM = ("pycolmap", "numba", "numpy", "scipy", "pillow")
TRAINING = ("torch", "cuda-core", "nvidia-cuda-nvrtc", "gsplat", "numba", "numpy", "scipy")
WAIT = 20  # seconds for nvidia-smi


class Provenance(TypedDict):
    """How a stage was run."""

    options: Mapping[str, Json]
    versions: Mapping[str, str]
    machine: Mapping[str, str | int | None]
    ran: Mapping[str, str]


def provenance(options: Any, *packages: str) -> Provenance:
    """The four keys for a stage's JSON.

    options: a frozen dataclass or a mapping, as they took effect; packages: names as pip knows them.
    """
    values = dataclasses.asdict(options) if dataclasses.is_dataclass(options) else dict(options)  # type: ignore[arg-type]
    return {"options": values, "versions": versions(*packages), "machine": machine(), "ran": ran()}


def ran() -> dict[str, str]:
    """When this program started and ended (now), and which of this project's images it ran in, if in one."""
    image = os.environ.get(IMAGE_VARIABLE)
    times = {"started": moment(STARTED), "ended": moment(time.time())}
    return times | ({"image": image} if image else {})


def moment(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, such as 2031-05-04T10:00:00+00:00.

    SOURCE_DATE_EPOCH, where it is set, stands for every moment, so that a build repeats byte for byte.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.fromtimestamp(int(epoch or seconds), UTC).isoformat()


def of(stage: Mapping[str, Json]) -> dict[str, Json]:
    """What a stage's JSON tells of how it was run; {} from versions that did not write it."""
    return {key: stage[key] for key in KEYS if isinstance(stage.get(key), Mapping)}


def without(stage: Mapping[str, Json]) -> dict[str, Json]:
    """A stage's JSON without how it was run."""
    return {key: value for key, value in stage.items() if key not in KEYS}


def versions(*packages: str) -> dict[str, str]:
    """Of this project and of those of `packages` that are installed; CUDA's where torch runs."""
    found = {"splatmake": project_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    cuda = getattr(getattr(sys.modules.get("torch"), "version", None), "cuda", None)
    return found | ({"cuda": str(cuda)} if cuda else {})


@functools.cache
def project_version() -> str:
    """This project's version, from pyproject.toml beside the scripts."""
    try:
        return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return "unknown"


def machine() -> dict[str, str | int | None]:
    """This machine: no names of it, only what explains timings and roundings."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        **gpu(),
    }


def gpu() -> dict[str, str]:
    """Name of the NVIDIA GPU and its driver's version; {} on a machine without one.

    Of several cards the one that torch uses, where torch is loaded, else all kinds that there are.
    """
    found = dict(_from_driver())
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        # The stage's work is done by now, and is not lost for a name: a driver may fail in many ways.
        with contextlib.suppress(Exception):
            found["gpu"] = torch.cuda.get_device_name()
    return found


@functools.cache
def _from_driver() -> tuple[tuple[str, str], ...]:
    """Name and driver as nvidia-smi tells them, which comes with every driver and into every container."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = [line.rpartition(", ") for line in run.stdout.splitlines() if ", " in line]
    if not rows:
        return ()
    names = ", ".join(dict.fromkeys(name.strip() for name, _, _ in rows))
    return (("gpu", names), ("driver", rows[0][2].strip()))
