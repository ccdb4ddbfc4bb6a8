"""The config section `import_photos`, and why a file is left out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from scripts.lib.core.options import Options, option

MOST_SECONDS = 86_400  # a day
CLOCK = r"^([0-9]{1,2}:[0-5][0-9]|[0-9]{1,4}):[0-5][0-9](\.[0-9]{1,3})?$"


@dataclass(frozen=True)
class ImportOptions(Options):
    """Which photos are taken in, and how large."""

    max_side: Literal[0] | int = option(
        3200,
        "Longer side; larger photos are reduced to it, 0 keeps every size.",
        64,
        65_500,
        unit="pixels",
    )
    min_side: int = option(
        200,
        "Shorter side under which a file is a thumbnail and left out.",
        16,
        65_500,
        unit="pixels",
    )
    min_photos: int = option(
        3,
        "Fewer usable photos than this stop the run; two views are the least that have depth.",
        1,
        100_000,
    )
    jpeg_quality: int = option(
        95,
        """Quality of photos that had to be rotated, reduced or converted; others keep their pixels'
        bytes.""",
        50,
        100,
    )
    drop_blurred: bool = option(
        True, "Leave out photos that are far less sharp than those around them and than the set."
    )
    drop_duplicates: bool = option(
        True, "Leave out copies, also re-encoded ones, and second shots from the same spot."
    )
    drop_overexposed: bool = option(
        True, "Leave out photos that are mostly white or black while the set is not."
    )
    keep_metadata: bool = option(
        False,
        """Keep EXIF (position, serial numbers) inside the archived photos; photos.json has what the stages
        need.""",
    )
    video_max_frames: int = option(200, "Frames taken from one video at most.", 3, 10_000)
    video_per_second: float = option(
        3.0,
        "The sharpest frame of every such part of a second is a candidate.",
        most=60,
        above=0,
    )
    video_motion: float = option(
        0.03,
        """Share of its width by which the picture must move between two frames taken: a standing camera
        gives one.""",
        0,
        0.5,
    )
    video_min_frames: int = option(
        60,
        """Where a video gives fewer frames than this, the camera moved slowly: less than video_motion is
        enough then, down to 1 %, or to 0.2 % where near things move against far ones.""",
        0,
        10_000,
    )
    video_start: float | str = option(
        0.0,
        """Where a video begins to be used, from its beginning, as seconds or as minutes and seconds.""",
        0,
        MOST_SECONDS,
        unit="seconds",
        pattern=CLOCK,
        form="mm:ss or h:mm:ss",
    )
    video_end: float | str = option(
        0.0,
        """Where a video ends to be used, likewise; 0 is its end. For every video of the source.""",
        0,
        MOST_SECONDS,
        unit="seconds",
        pattern=CLOCK,
        form="mm:ss or h:mm:ss",
    )
    focal_length: str = option(
        "",
        """Focal length of all photos of the scene, which then counts instead of what their EXIF says; a
        number with its unit: `28mm` is the 35 mm equivalent, `2900px` pixels of the photo or film as it is,
        before max_side reduces it. Empty goes by EXIF. It is where the solution begins, not where it
        ends.""",
        pattern=r"^([0-9]{1,6}(\.[0-9]{1,3})? ?(mm|px))?$",
        form="empty, or a number with mm or px",
    )
    positions: str = option(
        "",
        """Name of the geo.txt (OpenDroneMap) or table inside the source that tells positions, which must
        then be of use; empty uses geo.txt and every table that names photos, and leaves other tables aside
        with a sentence.""",
    )
    position_columns: str = option(
        "",
        """Columns of the table where their names are unusual, as "file=name, latitude=lat, longitude=lon,
        altitude=alt".""",
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
