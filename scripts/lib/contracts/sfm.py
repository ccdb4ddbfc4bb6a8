"""sfm.json: how many photos were registered and how well, down to every photo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from scripts.lib.contracts.georef import Three
from scripts.lib.contracts.record import Measured, optional


@dataclass(frozen=True)
class Parallax:
    """How much better cameras that moved explain the photos than a camera that only turned."""

    tracks: int
    model_px: float  # residual of the model
    turned_px: float  # residual of a camera that only turned
    claimed_px: float  # the shift across a photo that the model's rays mean
    ratio: float  # of the residuals; near 1 where depth is invented


@dataclass(frozen=True)
class TrackLengths:
    """How many photos see a point."""

    mean: float
    median: float
    longest: int
    seen_twice_only: float  # share of the points


@dataclass(frozen=True)
class Camera:
    """A lens as COLMAP has it."""

    model: str
    width: int  # pixels
    height: int
    params: tuple[float, ...]  # in COLMAP's order
    focal_px: float
    prior: bool  # whether EXIF told a focal length


@dataclass(frozen=True)
class Component:
    """Photos that hang together."""

    registered: int
    points: int
    photos: tuple[str, ...]


@dataclass(frozen=True)
class Neighbour:
    """A photo that shows the same thing."""

    file: str
    matches: int


@dataclass(frozen=True)
class PhotoReport:
    """One photo: whether it is registered, what it sees and how well that fits, and whom it overlaps most."""

    file: str
    registered: bool
    component: int | None  # its number in `components`
    links: int  # verified pairs
    neighbours: tuple[Neighbour, ...]
    points: int | None = optional()  # that it sees
    residual_px: float | None = optional()  # mean reprojection error


@dataclass(frozen=True)
class Attempt:
    """What one mapper made of the matches."""

    strategy: str  # as matched, wider pairs, other mapper or more features
    mapper: str
    verified_pairs: int
    registered: int  # photos in the largest model
    models: tuple[int, ...]  # photos in each model
    points: int
    track_length: float
    reprojection_error_px: float | None
    parallax: Parallax | None
    turned: int  # photos in the largest model without parallax
    seconds: float


@dataclass(frozen=True)
class Lens:
    """A lens model and its parameters by name."""

    model: str
    params: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class TriedLens:
    """A richer lens that was tried for a camera."""

    lens: str
    held_out_gain: float  # share by which the cost of held-out tracks fell, of all cameras
    standard_errors: float  # how many of them that gain is
    own_gain: float  # of this camera's tracks
    significance: float | None = optional()  # standard deviations that its numbers are off nothing
    taken: bool
    reason: str


@dataclass(frozen=True)
class Calibrated:
    """A camera before and after the calibration."""

    camera: int  # COLMAP's number
    width: int  # pixels
    height: int
    before: Lens
    after: Lens
    principal_point: bool  # whether it has its own
    off_centre_px: tuple[float, float]  # of the principal point: right and down from the middle
    changed: bool
    held_out_gain: float | None  # share by which the cost of held-out tracks fell, of all cameras
    own_held_out_gain: float | None
    tried: tuple[TriedLens, ...]
    sigma: Mapping[str, float] | None = optional()  # standard deviations of the free parameters


@dataclass(frozen=True)
class Calibration:
    """What the calibration made of the lenses."""

    changed: bool
    reason: str
    cameras: tuple[Calibrated, ...]


@dataclass(frozen=True)
class CameraCertainty:
    """How certain the cameras' positions are, in the model's units."""

    sighting_sigma_px: float
    frame: Literal["positions", "fit", "photos"]  # what they are certain against
    extent: float  # of the capture, the diagonal of the cameras' box
    sigma_median: Three  # standard deviations x, y, z of the middle camera
    sigma_largest: Three
    # By photo xx, xy, xz, yy, yz, zz.
    covariance: Mapping[str, tuple[float, float, float, float, float, float]]


@dataclass(frozen=True)
class Motion:
    """A motion that the cameras do not know: how much of the held-out error it explains."""

    share: float
    standard_errors: float
    size_px: float | None = optional()
    size_percent: float | None = optional()  # of the focal length


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """What the residuals of the finished model still show; without numbers where too few photos tell."""

    judged: bool
    sightings: int | None = optional()
    noise_px: float | None = optional()
    rows: Motion | None = optional()  # a photo read row by row
    focal: Motion | None = optional()  # a focal length of each photo
    shift: Motion | None = optional()  # a picture centre of each photo
    radius: Motion | None = optional()  # a lens model that is too poor
    bend: Motion | None = optional()  # what no camera makes, to compare with
    finding: str | None
    findings: tuple[str, ...]  # in the order of their weight
    sentence: str
    corrected: tuple[str, ...] = ()  # findings that were taken into the lenses
    reprojection_before_px: float | None = optional()
    reprojection_after_px: float | None = optional()


@dataclass(frozen=True)
class Ground:
    """A part of the ground that a capture from above covers badly."""

    share: float  # of the photographed ground, 0 to 1
    side: str  # of the compass where most of it lies; empty when unknown or all round
    photos: tuple[str, ...]  # that show most of it


@dataclass(frozen=True)
class Coverage:
    """The ground below a capture that looks down."""

    photographed: float  # area, in the model's units squared
    thin: Ground  # seen by one or two photos
    bare: Ground  # seen by three or more, yet without a spot that could be placed


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """What speaks against a finished model, by evidence that mapping did not use.

    folded: `photos` and `others` are at one place and show different things. torn: they show the same, and
    the model has it at two places. shifted: the positions of `photos` are off together. unjoined: `photos`
    and `others` were mapped apart and do not fit together, so the model is without `others`.
    """

    kind: Literal["folded", "torn", "shifted", "unjoined"]
    photos: tuple[str, ...]
    others: tuple[str, ...] = ()
    pairs: int = 0  # of a photo and another one that say so
    share: float | None = (
        optional()
    )  # folded: of the parts of their pictures that show different things
    distance: float | None = optional()  # torn and shifted: in the model's unit, the median
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Sfm(Measured):
    """A reconstruction. The last six are of a finished one, None after a refusal."""

    file: ClassVar = "sfm.json"
    stage: ClassVar = "map_scene"
    format: ClassVar[int] = 2  # 2: `strategy` of an attempt, which was `rung`

    photos: int
    registered: int  # in the largest model
    models: tuple[int, ...]  # photos in each
    mapper: str
    reprojection_error_px: float | None
    points: int
    track_length: float  # photos that see a point, the mean
    tracks: TrackLengths | None = None
    triangulation_angle_deg: float | None  # of the median point
    parallax: Parallax | None
    turned: int = 0  # photos that a camera which only turned explains
    focal_px: float | None = None
    cameras: tuple[Camera, ...] = ()
    unregistered: tuple[str, ...]
    alone: tuple[str, ...] = ()  # photos without any verified pair
    components: tuple[Component, ...] = ()
    further: tuple[int, ...] = ()  # photos of each further model that can have a page of its own
    pair_kinds: Mapping[str, int] = field(default_factory=dict)  # verified pairs by their geometry
    per_photo: tuple[PhotoReport, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    seconds: float
    advice: tuple[str, ...] = ()
    verdict: Literal["", "passed", "forced", "refused"] = ""
    calibration: Calibration | None = None
    certainty: CameraCertainty | None = None
    residuals: Residuals | None = None
    coverage: Coverage | None = None
    suspicious: tuple[Suspicion, ...] | None = None  # None: written before it was looked for
