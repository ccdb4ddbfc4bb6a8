"""compress.json: the files that a splat was compressed into, and what was tried for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from scripts.lib.contracts.record import Measured, optional
from scripts.lib.contracts.split import SplitCounts


@dataclass(frozen=True)
class Encoded:
    """A file that was encoded, decoded again and held against the source."""

    bytes: int
    bytes_per_gaussian: float
    seconds: float
    errors: Mapping[str, float]  # of the decoded numbers, by their kind
    clipped: Mapping[str, int]  # values outside of what the format holds, by their kind


@dataclass(frozen=True)
class Levels:
    """The levels of detail as a zip."""

    files: int
    bytes: int


@dataclass(frozen=True)
class Tried:
    """A SOG that was written, decoded and measured; losses against the whole splat, negative is worse."""

    sh_degree: int
    keep: float  # share of the Gaussians
    effort: float  # share of the usual palette
    rounding: int  # of the other numbers, 0 to 2
    gaussians: int
    bytes: int
    seconds: float
    psnr: float  # dB, on the validation views
    delta_psnr: float
    delta_psnr_trained: float  # on views that were trained on
    loss_db: float  # the larger of both losses, positive is worse


@dataclass(frozen=True, kw_only=True)
class Target:
    """The file that was chosen for a purpose; None where a number is not one of its format."""

    files: int | None = optional()
    sh_degree: int
    keep: float | None = optional()
    effort: float | None = optional()
    rounding: int | None = optional()
    gaussians: int
    bytes: int
    seconds: float | None = optional()
    sh_bits: tuple[int, int] | None = optional()  # kept of an SPZ's harmonics: degree 1, above
    psnr: float | None = optional()
    delta_psnr: float | None = optional()
    delta_psnr_trained: float | None = optional()
    loss_db: float
    limit_db: float
    within_limit: bool
    max_bytes: int | None = optional()  # a budget; the limit on the loss counts less than it
    within_bytes: bool | None = optional()
    overview: bool | None = (
        optional()
    )  # neighbours as one: stands in for a stream, whatever it loses


@dataclass(frozen=True, kw_only=True)
class Compress(Measured):
    """What was written. The figures are None where no scene was given to measure on."""

    file: ClassVar = "compress.json"
    stage: ClassVar = "compress_splat"

    gaussians: int
    sh_degree: int
    source_sh_degree: int
    source_bytes: int | None  # None: the source is a folder
    formats: Mapping[str, Encoded]  # files without a limit on their loss
    targets: Mapping[str, Target] | None = optional()  # desktop, mobile, archive, stream
    rate: tuple[Tried, ...] | None = optional()  # lightest first
    psnr: float | None = optional()  # dB of the whole splat, on the validation views
    held_out: bool | None = optional()
    measured_on: str | None = optional()
    views: tuple[str, ...] | None = optional()
    views_compared: tuple[str, ...] | None = optional()  # on which attempts were compared
    views_trained: tuple[str, ...] | None = optional()
    split_counts: SplitCounts | None = optional()
    device: str | None = optional()
    device_reason: str | None = optional()
    lod: Levels | None = optional()
    seconds: float
