"""tour.json: the film of the tour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scripts.lib.contracts.record import Measured


@dataclass(frozen=True, kw_only=True)
class Film(Measured):
    """What tour.mp4 holds."""

    file: ClassVar = "tour.json"
    stage: ClassVar = "render_tour"

    frames: int
    bytes: int
