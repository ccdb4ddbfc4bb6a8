"""The NVIDIA cards of this machine, counted without torch: the workflow plans with them. Linux only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def visible_cards(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> int:
    """How many NVIDIA cards programs see here; 0 where the driver shows none. `root`: for tests."""
    found = len(list((root / "proc/driver/nvidia/gpus").glob("*")))
    found = found or len(list((root / "dev").glob("nvidia[0-9]*")))
    if "CUDA_VISIBLE_DEVICES" in environment:
        shown = [part for part in environment["CUDA_VISIBLE_DEVICES"].split(",") if part.strip()]
        found = min(found, len(shown))
    return found
