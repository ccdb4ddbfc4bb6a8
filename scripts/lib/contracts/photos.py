"""photos.json: one line for every file of the source, kept or not, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from scripts.lib.contracts.record import Measured, optional


@dataclass(frozen=True)
class RigView:
    """Which view of which frame of a rig a photo is: cameras that stand together and never move apart."""

    rig: str  # rigs of one name have the same cameras
    frame: str  # the views of one moment; of a panorama its name in the source
    sensor: str  # which camera of the rig: of a panorama front, right, back, left, up or down
    panorama: bool  # cut from a panorama: an ideal pinhole camera that spans 90 degrees
    # Rotation (quaternion w, x, y, z) and translation (metres) from the rig's axes to the camera's; the
    # rig's are the camera's of a panorama's middle. None where mapping has to find it.
    sensor_from_rig: tuple[float, float, float, float, float, float, float] | None = None


@dataclass(frozen=True)
class BroughtPose:
    """A photo's pose and lens as another program computed them."""

    # Rotation (quaternion w, x, y, z) and translation from the file's world, in its units, to the camera:
    # x right, y down, z forward.
    world_to_camera: tuple[float, float, float, float, float, float, float]
    model: str  # of the lens, COLMAP's name
    params: tuple[float, ...]  # in COLMAP's order, for the picture in photos.zip


@dataclass(frozen=True)
class BroughtFrame:
    """The world of the camera poses that came with the photos."""

    file: str  # in the source
    metres: float | None = None  # in one of its units; None where nothing tells it
    metres_from: str | None = None  # what tells it
    points: tuple[tuple[float, float, float], ...] = ()  # some of those that came with the poses


@dataclass(frozen=True)
class Photo:
    """One file of the source; None where something is not known."""

    file: str  # name in photos.zip when kept, else the source's own name
    original: str  # name in the source, of a frame with its number
    kept: bool
    reason: str  # why it was left out, or "usable"
    kind: str = "photo"  # photo, frame (of a video) or other
    cause: str | None = None  # what a file that was left out is counted as
    sha256: str | None = None  # of the picture in photos.zip, or of the file when it was not kept
    bytes: int | None = None
    source_sha256: str | None = None
    width: int | None = None  # pixels
    height: int | None = None
    changed: str | None = None  # what was done to the pixels: rotated, reduced, converted
    mask: str | None = None  # name of the mask in photos.zip; black there is ignored
    mask_source: str | None = None  # "alpha", or the file it came from
    mask_note: str | None = None  # why a mask file was not used
    masked: float | None = None  # share of the photo that is ignored
    camera: str | None = None
    body: str | None = None  # tells two cameras of one model apart without their serial number
    focal_px: float | None = None  # pixels of the picture in photos.zip
    focal_mm: float | None = None
    focal_35mm: float | None = None  # mm on 35 mm film
    focal_source: str | None = None  # what `focal_px` was worked out from
    time: str | None = None  # ISO 8601, the camera's own clock
    latitude: float | None = None  # degrees, WGS84
    longitude: float | None = None  # degrees, WGS84
    altitude: float | None = None  # metres, as the source has it
    position_source: str | None = None  # EXIF, XMP, or the file of positions
    accuracy_horizontal_m: float | None = None  # one standard deviation, as the receiver told it
    accuracy_vertical_m: float | None = None
    relative_altitude: float | None = None  # metres above the place of take-off
    yaw: float | None = None  # camera, degrees: from north to east
    pitch: float | None = None  # degrees, 0 looks at the horizon, -90 straight down
    roll: float | None = None  # degrees
    sharpness: float | None = None  # variance of the Laplacian; compare within one set
    blur: float | None = None  # 0 (crisp) to 1, hardly depends on the subject
    clipped: float | None = None  # share of the pixels that are white
    dark: float | None = None  # share of the pixels that are black
    twin: str | None = None  # the file that shows the same picture
    rig: RigView | None = optional()  # of photos that rigs took
    brought: BroughtPose | None = optional()  # where the source came with camera poses

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, 0 where they are not known: of kept photos they are."""
        return self.width or 0, self.height or 0


@dataclass(frozen=True)
class Beside:
    """A file of the source that is no photo, and what became of it."""

    file: str
    kind: str  # video, mask, positions, control points or cameras
    note: str


@dataclass(frozen=True)
class Sighting:
    """A surveyed point where a kept photo shows it."""

    label: str
    latitude: float  # degrees, WGS84
    longitude: float  # degrees, WGS84
    altitude: float | None  # metres; None where the survey does not know it
    file: str  # name in photos.zip
    x: float  # pixels of the picture in photos.zip, from its left edge
    y: float  # from its upper edge


@dataclass(frozen=True, kw_only=True)
class Photos(Measured):
    """What import_photos made of its source."""

    file: ClassVar = "photos.json"
    stage: ClassVar = "import_photos"

    source: str
    kept: int
    dropped: int
    unusable: int = 0  # of the dropped ones those that somebody may take for a photo
    left_out: Mapping[str, int] = field(default_factory=dict)  # files by what they are
    others: tuple[Beside, ...] = ()
    gcps: tuple[Sighting, ...] = ()
    photos: tuple[Photo, ...]
    brought: BroughtFrame | None = optional()  # where the source came with camera poses

    @property
    def used(self) -> list[Photo]:
        """The kept photos, in the order of photos.zip."""
        return [photo for photo in self.photos if photo.kept]
