"""features.json: how many details extract_features found in each photo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from scripts.lib.contracts.record import Measured


@dataclass(frozen=True, kw_only=True)
class Features(Measured):
    """SIFT features by photo."""

    file: ClassVar = "features.json"
    stage: ClassVar = "extract_features"

    photos: int
    features: Mapping[str, int]  # by the photo's name in photos.zip
    device: str = ""  # cpu or cuda
