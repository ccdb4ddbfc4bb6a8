"""codecs.json: the published files, decoded again and measured on the test photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from scripts.lib.contracts.compress import Target, Tried
from scripts.lib.contracts.record import Measured, optional
from scripts.lib.contracts.split import SplitCounts


@dataclass(frozen=True)
class WorstView:
    """The view that came out worst."""

    name: str
    psnr: float
    ssim: float


@dataclass(frozen=True, kw_only=True)
class Level:
    """One of the levels of detail, the finest first."""

    bytes: int
    gaussians: int
    sh_degree: int
    psnr: float  # dB
    ssim: float
    flip: float
    psnr_to_ply: float  # dB against renders of the PLY
    worst_view: WorstView
    delta_psnr: float  # dB against the PLY, negative is worse


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """A file that ships; of the levels of detail the finest."""

    file: str
    bytes: int
    gaussians: int
    sh_degree: int
    psnr: float  # dB
    ssim: float
    flip: float
    psnr_to_ply: float  # dB against renders of the PLY
    worst_view: WorstView
    levels: tuple[Level, ...] | None = optional()
    delta_psnr: float  # dB against the PLY, negative is worse


@dataclass(frozen=True, kw_only=True)
class Codecs(Measured):
    """Every file that ships, and what compress_splat had tried."""

    file: ClassVar = "codecs.json"
    stage: ClassVar = "check_codecs"

    formats: Mapping[str, Shipped]
    max_loss_db: float
    max_mobile_loss_db: float
    passed: bool
    held_out: bool  # False when training has seen the views, or may have
    split_counts: SplitCounts | None = None
    views: tuple[str, ...]
    flip_views: int | None = optional()  # of `views`, spread over them, FLIP is the mean of
    resolution: int  # pixels of the longer side
    device: str = ""
    device_reason: str = ""
    targets: Mapping[str, Target] = field(default_factory=dict)  # as in compress.json
    rate: tuple[Tried, ...] = ()
