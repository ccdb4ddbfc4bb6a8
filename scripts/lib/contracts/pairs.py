"""pairs.json: which photos match_photos compared, and which show the same thing."""

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
