"""undistort.json: how the photos were straightened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scripts.lib.contracts.record import Measured


@dataclass(frozen=True, kw_only=True)
class Undistort(Measured):
    """What undistorted.zip holds."""

    file: ClassVar = "undistort.json"
    stage: ClassVar = "undistort"

    photos: int
