"""manifest.json: what a page was made from, how, how good it is, and the hash of every file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from scripts.lib.contracts.georef import Three
from scripts.lib.contracts.record import HandedOn, optional
from scripts.lib.core.json_type import Json

Part = Mapping[str, Json]


@dataclass(frozen=True)
class Entry:
    """A file."""

    bytes: int
    sha256: str  # hex


@dataclass(frozen=True, kw_only=True)
class UsedPhoto:
    """A photo that the scene was made from."""

    file: str  # its number in photos.json, counted from 1
    sha256: str | None = optional()  # of the picture in photos.zip


@dataclass(frozen=True)
class UsedPhotos:
    """The photos that the scene was made from."""

    given: int
    kept: int
    files: tuple[UsedPhoto, ...]


@dataclass(frozen=True)
class Decoded:
    """What the page's splat holds once decoded."""

    gaussians: int
    sh_degree: int
    low: Three  # corners of the box around the means, world units
    high: Three


@dataclass(frozen=True, kw_only=True)
class StageNote:
    """How a stage was run, and the hash of its own JSON."""

    sha256: str
    device: str | None = optional()
    options: Part | None = optional()
    versions: Mapping[str, str] | None = optional()
    machine: Mapping[str, str | int | None] | None = optional()
    ran: Mapping[str, str] | None = optional()


@dataclass(frozen=True, kw_only=True)
class Manifest(HandedOn):
    """A page. `sfm` to `start_view` are excerpts of the stages' files, without places and photos' names."""

    file: ClassVar = "manifest.json"
    stage: ClassVar = "bundle_web"

    scene: str
    title: str
    created: str  # ISO 8601, UTC
    versions: Mapping[str, str]
    git_commit: str  # with -dirty where tracked files differ
    images: Mapping[str, str]  # the pinned containers
    machine: Mapping[str, str | int | None]
    options: Part  # of bundle_web
    photos: UsedPhotos
    sfm: Part
    georef: Part
    train: Part
    eval: Part
    pairs: Part
    clean: Part
    codecs: Part
    start_view: Part
    deliver: Part = field(default_factory=dict)  # files for other programs, beside the web folder
    stages: Mapping[str, StageNote]
    decoded: Decoded
    shipped: Mapping[str, Entry] = field(default_factory=dict)  # beside the web folder
    site: Mapping[str, Entry] = field(default_factory=dict)  # in the zip for hosts
    files: Mapping[str, Entry]  # of the web folder
    manifest_sha256: str  # of this file with zeros in this place
