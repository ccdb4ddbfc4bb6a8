"""Which photos match_photos compared, and which show the same thing: pairs.json, and that of parts of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from scripts.lib.contracts.record import Measured


@dataclass(frozen=True, kw_only=True)
class Pairs(Measured):
    """Compared and verified pairs of photos."""

    file: ClassVar = "pairs.json"
    stage: ClassVar = "match_photos"

    strategy: str  # exhaustive, spatial, sequential or retrieval
    device: str = ""  # cpu or cuda
    exhaustive_limit: int | None = None  # photos up to which all pairs are compared
    reason: str  # why this strategy, in words
    photos: int
    pairs: int  # that were compared
    chosen_by: Mapping[str, int] = field(default_factory=dict)  # pairs by what chose them
    verified: int  # pairs that show the same thing
    median_inliers: float | None = None  # matches of a verified pair
    kinds: Mapping[str, int] = field(default_factory=dict)  # verified pairs by their geometry
    alone: tuple[str, ...]  # photos without any verified pair
    links: tuple[tuple[str, str, int], ...] = ()  # verified pairs and their matches


@dataclass(frozen=True, kw_only=True)
class ChosenPairs(Measured):
    """chosen.json, in the scene's folder `parts`: the pairs of a large scene, divided for matching."""

    file: ClassVar = "chosen.json"
    stage: ClassVar = "plan_pairs"

    strategy: str  # as in pairs.json
    reason: str
    chosen_by: Mapping[str, int] = field(default_factory=dict)
    parts: tuple[tuple[tuple[str, str], ...], ...]  # names of the photos of each pair


@dataclass(frozen=True, kw_only=True)
class MatchedPart(Measured):
    """matches.1.json and so on, in the scene's folder `parts`: what one part of the matching found."""

    file: ClassVar = "matched.json"
    stage: ClassVar = "match_part"

    part: int  # its number, from 1
    pairs: int  # that were compared
    verified: int  # pairs that show the same thing
    device: str  # cpu or cuda
