"""Into how many blocks for training, and parts before it, each scene is divided: before the first job."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import read
from scripts.lib.core.console import UserError
from scripts.lib.photos.source import PHOTO_SUFFIXES, list_source
from scripts.lib.workflow import parts
from scripts.lib.workflow.options import NAME

UNDIVIDED = 600  # photos up to which a scene is one block
PHOTOS_A_BLOCK = 400
MOST = 100  # as the bound of train_splat.blocks
KEY = "divided_scenes"  # of the configuration of jobs, which cannot count photos themselves
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
    """Blocks of a scene, its photos (0: not known), and the parts of its features and matches."""

    blocks: int = 1
    photos: int = 0
    parts: int = 1


def divisions(
    options: Mapping[str, Mapping[str, Mapping[str, Any]]],
    scenes: Mapping[str, Mapping[str, str]],
    results: Path,
    counted: Mapping[str, int],
    told: Mapping[str, Sequence[int]] | None,
) -> dict[str, Division]:
    """How each scene is divided, from its options and, where they say "auto", the number of its photos.

    `counted`: photos of scenes whose sources are in a bucket (0: not known). `told`: what the run has told
    its job, which then looks at nothing.
    """
    found = {}
    for scene, row in scenes.items():
        wanted = options[scene]["train_splat"]["blocks"]
        asked = options[scene]["extract_features"]["parts"]
        if told is not None:
            count, number = told.get(scene, (1, 1))
            found[scene] = Division(int(count), 0, int(number))
            continue
        photos = counted.get(scene, 0)
        if not photos and "://" not in row["source"]:
            photos = count_photos(row["source"], results / scene)
        found[scene] = Division(
            automatic(photos) if wanted == "auto" else int(wanted),
            photos,
            parts.automatic(photos) if asked == "auto" else int(asked),
        )
    return found


def told_to_jobs(found: Mapping[str, Division]) -> list[str]:
    """What to add to the configuration of a run's jobs, as words behind `--config`."""
    several = {
        scene: (one.blocks, one.parts)
        for scene, one in found.items()
        if one.blocks > 1 or one.parts > 1
    }
    return [f"{KEY}={json.dumps(several)}"]


def divided(counts: Mapping[str, int]) -> dict[str, int]:
    """The scenes of several blocks, or parts."""
    return {scene: count for scene, count in counts.items() if count > 1}


def only(scenes: Iterable[str]) -> str:
    """A pattern for the wildcard of a rule that is for these scenes alone."""
    return "|".join(map(re.escape, scenes)) or "(?!)"


def all_but(scenes: Iterable[str]) -> str:
    """A pattern for the wildcard of a rule that is for all others; also for those that are in no sheet, so
    that the rule can tell so."""
    names = "|".join(map(re.escape, scenes))
    return (f"(?!(?:{names})/)" if names else "") + NAME.strip("^$")


def rules_for(rules: Iterable[str], division: Division) -> list[str]:
    """Of all rules those that a scene of so many blocks and parts needs, in order."""
    left_out = {WHOLE} if division.blocks > 1 else {*DIVIDED}
    left_out |= {*parts.WHOLE} if division.parts > 1 else {*parts.IN_PARTS}
    return [rule for rule in rules if rule not in left_out]


def times(rule: str, division: Division) -> int:
    """How many jobs of a rule a scene has."""
    return {EACH: division.blocks, **dict.fromkeys(parts.EACH, division.parts)}.get(rule, 1)


def tables(rules: Iterable[str], division: Division) -> list[str]:
    """Names of the tables that the benchmarks of these rules leave for a scene divided like this."""
    found: list[str] = []
    for rule in rules_for(rules, division):
        numbers = range(1, times(rule, division) + 1) if rule in (EACH, *parts.EACH) else ()
        found += [f"{rule}.{number}.tsv" for number in numbers] or [f"{rule}.tsv"]
    return found
