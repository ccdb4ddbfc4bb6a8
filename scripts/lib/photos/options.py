"""The config section `import_photos`, and why a file is left out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from scripts.lib.core.options import Options, option

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "ft": 0.3048}  # in units of `camera_units`
MOST_SECONDS = 86_400  # a day
MOST_PIXELS = 65_500  # of a side: what JPEG can hold
CLOCK = r"^([0-9]{1,2}:[0-5][0-9]|[0-9]{1,4}):[0-5][0-9](\.[0-9]{1,3})?$"


@dataclass(frozen=True)
class ImportOptions(Options):
    """Which photos are used, and at which size."""

    max_side: Literal[0] | int = option(
        3200,
        "Longest side of a photo; larger photos are scaled down to it. 0 keeps the original size.",
        64,
        65_500,
        unit="pixels",
    )
    min_side: int = option(
        200,
        "A photo whose shorter side is smaller than this counts as a thumbnail and is left out.",
        16,
        65_500,
        unit="pixels",
    )
    min_photos: int = option(
        3,
        "The run stops when there are fewer usable photos than this. Depth needs at least two views.",
        1,
        100_000,
    )
    jpeg_quality: int = option(
        95,
        """JPEG quality of photos that had to be rotated, scaled down or converted; all others are copied
        unchanged.""",
        50,
        100,
    )
    drop_blurred: bool = option(
        True,
        "Leave out photos that are much less sharp than their neighbours and than the whole set.",
    )
    drop_duplicates: bool = option(
        True,
        """Leave out copies (also re-encoded ones), repeated photos from the same position, and all but the
        sharpest of the photos of a burst that show the same picture.""",
    )
    drop_overexposed: bool = option(
        True, "Leave out photos that are mostly white or black when the rest of the set is not."
    )
    keep_metadata: bool = option(
        False,
        """Keep EXIF data (position, serial numbers) inside the photos of photos.zip. The stages do not need
        it: they read photos.json.""",
    )
    video_max_frames: int = option(200, "Maximum number of frames taken from one video.", 3, 10_000)
    video_per_second: float = option(
        3.0,
        "Candidate frames per second of video: of each interval the sharpest frame is considered.",
        most=60,
        above=0,
    )
    video_motion: float = option(
        0.03,
        """Minimum movement of the picture between two selected frames, as a fraction of its width. A camera
        that stands still gives one frame.""",
        0,
        0.5,
    )
    video_min_frames: int = option(
        60,
        """If a video gives fewer frames than this, the camera moved slowly, and less movement than
        video_motion is accepted: down to 1 %, or to 0.2 % where near objects move against far ones.""",
        0,
        10_000,
    )
    video_start: float | str = option(
        0.0,
        """Start of the part of each video that is used, in seconds or as minutes and seconds.""",
        0,
        MOST_SECONDS,
        unit="seconds",
        pattern=CLOCK,
        form="mm:ss or h:mm:ss",
    )
    video_end: float | str = option(
        0.0,
        """End of the part of each video that is used, in the same form; 0 means the end of the video.""",
        0,
        MOST_SECONDS,
        unit="seconds",
        pattern=CLOCK,
        form="mm:ss or h:mm:ss",
    )
    panoramas: Literal["cut", "leave out"] = option(
        "cut",
        """What becomes of 360 degree photos and videos (equirectangular, twice as wide as high): each is cut
        into six flat views whose positions to each other stay fixed, or they are left out.""",
    )
    panorama_nadir: float = option(
        30.0,
        """What lies less than this from straight below the camera of a panorama is ignored: there are the
        tripod, the pole, the drone or the photographer. 0 ignores nothing.""",
        0,
        80,
        unit="degrees",
    )
    rig: Literal["auto", "folders", "numbers", "none"] = option(
        "auto",
        """Photos that several cameras of one rig took at a time: in `folders` each camera has a folder,
        with the same file names; in `numbers` the names end with _1, _2 and so on, for each camera; `auto`
        knows XMP tags of rigs (MicaSense, DJI, Pix4D), folders called cam0, cam1 and the like, numbers where
        the times agree, and the names of multispectral drones. How the cameras
        stand to each other is then the same in all photos.""",
    )
    focal_length: str = option(
        "",
        """Focal length of all photos of the scene, used instead of EXIF. A number with its unit: `28mm` is
        the 35 mm equivalent, `2900px` is in pixels of the original photo or video, before max_side scales
        it down. Empty means EXIF. It is only the start value; calibration refines it.""",
        pattern=r"^([0-9]{1,6}(\.[0-9]{1,3})? ?(mm|px))?$",
        form="empty, or a number with mm or px",
    )
    cameras: str = option(
        "auto",
        """Camera poses that another program computed. `auto` uses those of a COLMAP model, transforms.json,
        Metashape cameras.xml, OpenSfM reconstruction.json, OpenDroneMap shots.geojson, Record3D
        metadata.json, Polycam's raw data, or RealityCapture's or RealityScan's CSV or XMP files; `ignore`
        computes them from the photos; else the name of the file, or of the model's folder, in the
        source. With OpenDroneMap's cameras.json alone, the calibration starts from its focal lengths.""",
    )
    camera_units: Literal["auto", "unknown", "m", "cm", "mm", "ft"] = option(
        "auto",
        """Unit of the positions of such poses. `auto` takes metres where the file says so (Metashape with
        references, phones' scanners, OpenSfM and OpenDroneMap with GPS). Without GPS, the scene then is in
        metres too; GPS or surveyed points, where they agree, decide in any case.""",
    )
    positions: str = option(
        "",
        """Name of the geo.txt (OpenDroneMap) or table in the source that holds the positions; the run stops
        if it cannot be used. Empty uses geo.txt and every table that names photos; other tables are ignored
        with a message.""",
    )
    position_columns: str = option(
        "",
        """Names of the table's columns if they are not recognised, for example "file=name, latitude=lat,
        longitude=lon, altitude=alt".""",
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
    BURST = "repetitions in bursts"
    BLURRED = "blurred photos"
    EXPOSURE = "badly exposed photos"
    OTHER = "other files"


class RejectedError(Exception):
    """This file cannot be used; the message is the reason for photos.json."""

    def __init__(self, reason: str, cause: Cause = Cause.DAMAGED) -> None:
        super().__init__(reason)
        self.cause = cause
