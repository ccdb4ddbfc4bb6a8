"""deliver.json: the files for other programs, each read back and measured; and the same of each export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from scripts.lib.contracts.record import HandedOn, Measured, optional

Fact = str | bool | int | float | None


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """One file."""

    name: str  # as the option `deliver` calls it
    file: str  # in the scene's folder
    bytes: int
    sha256: str  # hex
    seconds: float  # to make it and to check it
    frame: str  # its axes, units and coordinate system, in words
    placed: bool  # whether it says where on the Earth the scene is
    gaussians: int | None = optional()
    sh_degree: int | None = optional()
    psnr: float | None = optional()  # dB, of the decoded file on test photos
    ssim: float | None = optional()
    delta_psnr: float | None = optional()  # dB against the PLY, negative is worse
    views: int | None = optional()  # photos that these were measured on
    checked: tuple[str, ...] = ()  # what read the file back, and what it found, a sentence each
    notes: tuple[str, ...] = ()  # sentences for who opens it
    facts: Mapping[str, Fact] = field(default_factory=dict)  # numbers of its own kind


@dataclass(frozen=True, kw_only=True)
class Exported(Measured):
    """What one export rule made: `deliver/tiles.json` of export_tiles, and so on."""

    file: ClassVar = "export.json"
    stage: ClassVar = "the export rule that wrote it"

    files: tuple[Delivered, ...]
    held_out: bool | None = optional()  # False when training has seen the views, or may have
    device: str = ""


@dataclass(frozen=True, kw_only=True)
class Deliver(HandedOn):
    """All files of a scene for other programs."""

    file: ClassVar = "deliver.json"
    stage: ClassVar = "deliver_scene"

    files: tuple[Delivered, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)  # {name: why, in a sentence}
