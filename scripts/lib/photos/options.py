"""The config section `import_photos`, and why a file is left out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class ImportOptions:
    """Config section `import_photos`."""

    max_side: int = 3200  # pixels; larger photos are reduced, 0 keeps every size
    min_side: int = 200  # pixels; smaller ones are thumbnails
    min_photos: int = 3
    jpeg_quality: int = 95
    drop_blurred: bool = True
    drop_duplicates: bool = True
    drop_overexposed: bool = True
    keep_metadata: bool = False  # GPS and serial numbers stay in the archived photos
    video_frames: int = 200  # frames taken from one video at most
    video_per_second: float = 3.0  # the sharpest frame of each 1/3 s is a candidate
    video_motion: float = 0.03  # share of the width that the picture moves between chosen frames
    video_least: int = 60  # with fewer frames than this the distance is reduced: a slow film
    positions: str = ""  # name of the geo.txt or table in the source, empty: found by itself
    position_columns: str = (
        ""  # its columns: "file=name, latitude=lat, longitude=lon, altitude=alt"
    )


class Cause(StrEnum):
    """What a file that is left out is, in the words that photos.json and the console count it by."""

    LIVE = "films of Live Photos"
    EDIT = "edited copies"
    DEPTH = "depth maps"
    PREVIEW = "thumbnails and previews"
    DELETED = "deleted files"
    HIDDEN = "hidden files"
    SIDE = "side files"
    RAW = "camera raw files"
    SPHERE = "360 degree pictures"
    MASK = "masks not used"
    MASKED = "photos hidden by their masks"
    DAMAGED = "damaged files"
    SMALL = "small pictures"
    LARGE = "pictures too large to be read"
    COPY = "copies"
    BLURRED = "blurred photos"
    EXPOSURE = "badly exposed photos"
    OTHER = "other files"


class RejectedError(Exception):
    """This file cannot be used; the message is the reason for photos.json."""

    def __init__(self, reason: str, cause: Cause = Cause.DAMAGED) -> None:
        super().__init__(reason)
        self.cause = cause
