"""Into how many blocks each scene is divided for training. It must be known before the first job."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import read
from scripts.lib.core.console import UserError
from scripts.lib.photos.source import PHOTO_SUFFIXES, list_source
from scripts.lib.workflow.options import NAME

UNDIVIDED = 600  # photos up to which a scene is one block
PHOTOS_A_BLOCK = 400
MOST = 100  # as the bound of train_splat.blocks
KEY = "blocks_of_scenes"  # of the configuration of jobs, which cannot count photos themselves
WHOLE, EACH = "train_splat", "train_block"
DIVIDED = ("plan_blocks", "train_coarse", EACH, "merge_blocks")


def automatic(photos: int) -> int:
    """Blocks of a scene of so many photos; 0 photos: not known."""
    return 1 if photos <= UNDIVIDED else min(MOST, round(photos / PHOTOS_A_BLOCK))


def count_photos(source: str, results: Path) -> int:
    """Photos of a source on this machine, or else of the import in `results`, the scene's folder; 0 where
    neither is there. Films count as none. Reads no photo."""
    try:
        return sum(file.suffix in PHOTO_SUFFIXES for file in list_source(source, lambda _: None))
    except (UserError, OSError):
        pass
    try:
        return len(read(Photos, results / "photos.json").photos)
    except (UserError, OSError):
        return 0


@dataclass(frozen=True)
class Division:
    """Blocks of a scene, and its photos; 0: not known."""

    blocks: int
    photos: int


def divisions(
    options: Mapping[str, Mapping[str, Mapping[str, Any]]],
    scenes: Mapping[str, Mapping[str, str]],
    results: Path,
    counted: Mapping[str, int],
    told: Mapping[str, int] | None,
) -> dict[str, Division]:
    """How each scene is divided, from its options and, where they say "auto", the number of its photos.

    `counted`: photos of scenes whose sources are in a bucket (0: not known). `told`: what the run has told
    its job, which then looks at nothing.
    """
    found = {}
    for scene, row in scenes.items():
        wanted = options[scene]["train_splat"]["blocks"]
        if told is not None:
            found[scene] = Division(int(told.get(scene, 1)), 0)
            continue
        photos = counted.get(scene, 0)
        if not photos and "://" not in row["source"]:
            photos = count_photos(row["source"], results / scene)
        found[scene] = Division(automatic(photos) if wanted == "auto" else int(wanted), photos)
    return found


def told_to_jobs(blocks: Mapping[str, int]) -> list[str]:
    """What to add to the configuration of a run's jobs, as words behind `--config`."""
    return [f"{KEY}={json.dumps(divided(blocks))}"]


def divided(blocks: Mapping[str, int]) -> dict[str, int]:
    """The scenes of several blocks."""
    return {scene: count for scene, count in blocks.items() if count > 1}


def only(scenes: Iterable[str]) -> str:
    """A pattern for the wildcard of a rule that is for these scenes alone."""
    return "|".join(map(re.escape, scenes)) or "(?!)"


def all_but(scenes: Iterable[str]) -> str:
    """A pattern for the wildcard of a rule that is for all others; also for those that are in no sheet, so
    that the rule can tell so."""
    names = "|".join(map(re.escape, scenes))
    return (f"(?!(?:{names})/)" if names else "") + NAME.strip("^$")


def rules_for(rules: Iterable[str], blocks: int) -> list[str]:
    """Of all rules those that a scene of so many blocks needs, in order."""
    left_out = (WHOLE,) if blocks > 1 else DIVIDED
    return [rule for rule in rules if rule not in left_out]


def tables(rules: Iterable[str], blocks: int) -> list[str]:
    """Names of the tables that the benchmarks of these rules leave for a scene of so many blocks."""
    found: list[str] = []
    for rule in rules_for(rules, blocks):
        numbers = range(1, blocks + 1) if rule == EACH else ()
        found += [f"{rule}.{number}.tsv" for number in numbers] or [f"{rule}.tsv"]
    return found
