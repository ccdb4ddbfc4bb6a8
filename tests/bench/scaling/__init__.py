"""Stages that `tests.bench.scale` measures over the size of a scene.

Each module of this folder has `STAGES`, a tuple of `Stage`; a new module is found by itself. `make` and `run`
are module-level functions, because each runs in a process of its own: so a stage's peak memory is its own.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Stage:
    """One stage of the workflow, or a part of one.

    name: as of the rule, where it is one. unit: what the size counts.
    make(size, made): writes the input of a scene of `size` to the folder `made`. It is not measured, and what
    stages of equal `input` made is used again.
    run(size, made, out): does the work, writes its results to the folder `out`, whose bytes are counted, and
    returns further numbers worth telling (pairs, points, errors). What it imports at the top of its module
    counts as the interpreter's, not as growth.
    """

    name: str
    make: Callable[[int, Path], None]
    run: Callable[[int, Path, Path], Facts]
    input: str = ""  # name of what `make` makes; empty: the stage's own
    unit: str = "photos"
    sizes: tuple[int, ...] = (75, 150, 300)
    gpu: bool = False  # whether it is paid by the hours of a GPU machine


def modules() -> list[str]:
    """Names of the modules of this folder, in order."""
    return sorted(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__))


def stages_of(module: str) -> tuple[Stage, ...]:
    """The stages of a module."""
    return getattr(importlib.import_module(module), "STAGES", ())


def stages() -> dict[str, tuple[str, Stage]]:
    """All stages by name, each with its module."""
    found: dict[str, tuple[str, Stage]] = {}
    for module in modules():
        for stage in stages_of(module):
            assert stage.name not in found, f"two stages are called {stage.name}"
            found[stage.name] = module, stage
    return found
