"""Links to a run's results and logs, with the type by which a browser shows each."""

from __future__ import annotations

import mimetypes
from pathlib import PurePosixPath

from scripts.lib.cloud.aws import Account
from scripts.lib.cloud.messages import File

OCTETS = "application/octet-stream"
# What the machine's own table may lack, or call otherwise.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".log": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".tsv": "text/tab-separated-values; charset=utf-8",
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".zip": "application/zip",
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ply": OCTETS,
    ".sog": OCTETS,
    ".spz": OCTETS,
    ".db": OCTETS,
    ".bin": OCTETS,
}


def content_type(name: str) -> str:
    """What a browser is told of a file: Snakemake's plugin stores all as octets, which it only saves."""
    suffix = PurePosixPath(name).suffix.lower()
    return TYPES.get(suffix) or mimetypes.guess_type(name)[0] or OCTETS


def link(account: Account, prefix: str, name: str, size: int) -> File:
    """The file `name` under a prefix of the bucket."""
    kind = content_type(name)
    return File(name=name, bytes=size, type=kind, url=account.link(prefix + name, kind))
