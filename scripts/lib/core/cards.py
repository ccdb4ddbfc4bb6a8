"""The NVIDIA cards of this machine, counted and hidden without torch. Linux only."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from scripts.lib.core.console import UserError

CHOICES = ("auto", "cuda", "cpu")  # what the configuration's `device` may be


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--device` of a program that uses a GPU where one is free, and gets the same result without."""
    parser.add_argument("--device", default="auto", help="auto, cuda or cpu; cpu leaves GPUs alone")


def use_device(wanted: str, environment: MutableMapping[str, str] = os.environ) -> None:
    """Hide the cards from this process, and from torch and COLMAP in it, where the CPU is asked for.

    Call it before anything looks for a GPU: CUDA asks only once. Raises UserError on an unknown name.
    """
    if wanted not in CHOICES:
        raise UserError(f"device is {wanted!r}; choose {', '.join(CHOICES)}")
    if wanted == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""


def visible_cards(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> int:
    """How many NVIDIA cards programs see here; 0 where the driver shows none. `root`: for tests."""
    found = len(list((root / "proc/driver/nvidia/gpus").glob("*")))
    found = found or len(list((root / "dev").glob("nvidia[0-9]*")))
    if "CUDA_VISIBLE_DEVICES" in environment:
        shown = [part for part in environment["CUDA_VISIBLE_DEVICES"].split(",") if part.strip()]
        found = min(found, len(shown))
    return found
