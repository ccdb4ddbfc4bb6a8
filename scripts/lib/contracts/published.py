"""published.json: where a page was published, and with which headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from scripts.lib.contracts.record import HandedOn


@dataclass(frozen=True)
class PublishedFile:
    """A file of the page on its host."""

    file: str
    bytes: int
    headers: Mapping[str, str]  # of HTTP


@dataclass(frozen=True, kw_only=True)
class Published(HandedOn):
    """A page on its host."""

    file: ClassVar = "published.json"
    stage: ClassVar = "publish_web"

    scene: str
    url: str  # under which visitors see it
    place: str  # s3://BUCKET/PREFIX or a folder
    files: tuple[PublishedFile, ...]
