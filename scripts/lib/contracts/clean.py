"""clean.json: which Gaussians were left out of a splat, and what that did to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from scripts.lib.contracts.record import Measured, optional
from scripts.lib.contracts.split import SplitCounts


@dataclass(frozen=True)
class Filter:
    """One reason to leave Gaussians out."""

    count: int  # Gaussians that it would leave out
    applied: bool
    psnr: float | None = optional()  # dB without them; None where there are none


@dataclass(frozen=True, kw_only=True)
class Clean(Measured):
    """What stays. Figures are None where nothing was measured, because cleaning was switched off."""

    file: ClassVar = "clean.json"
    stage: ClassVar = "clean_splat"

    gaussians_before: int
    gaussians_after: int
    cropped: int | None = optional()  # outside of the crop
    psnr_before: float | None = optional()  # dB
    psnr_after: float | None = optional()
    filters: Mapping[str, Filter]
    held_out: bool | None = optional()  # False when training has seen the views
    measured_on: str | None = optional()  # steering (the validation photos) or trained
    views: tuple[str, ...] | None = optional()
    split_counts: SplitCounts | None = optional()
    device: str | None = optional()
    device_reason: str | None = optional()
    enabled: bool = True
    seconds: float = 0.0
