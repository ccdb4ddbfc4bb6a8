"""upload.json: a file that a caller of the job API uploads in parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scripts.lib.contracts.record import HandedOn


@dataclass(frozen=True, kw_only=True)
class Upload(HandedOn):
    """Lies beside the file, uploads/CALLER/TOKEN/NAME."""

    file: ClassVar = "upload.json"
    stage: ClassVar = "the job API"

    name: str
    bytes: int
    part_bytes: int  # of every part but the last
    multipart: str  # S3's id of the upload
