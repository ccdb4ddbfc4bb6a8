"""georef.json: where on the Earth the scene is, in which frame, and how exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from scripts.lib.contracts.record import HandedOn, optional

Row = tuple[float, float, float, float]
Matrix = tuple[Row, Row, Row, Row]  # of a similarity, on columns
Three = tuple[float, float, float]
Miss = tuple[float, float, float | None]  # east, north, up in metres; None: height not known


@dataclass(frozen=True)
class Origin:
    """Where on the Earth the frame's zero is."""

    latitude: float  # degrees, WGS84
    longitude: float  # degrees, WGS84
    altitude: float  # metres, on the ground below the scene; the vertical datum is the camera's own


@dataclass(frozen=True)
class Projected:
    """The origin in the UTM zone it lies in."""

    epsg: int
    easting: float  # metres
    northing: float  # metres


@dataclass(frozen=True)
class Control:
    """Surveyed points: how well they fit, and how well each is met without itself."""

    points: tuple[str, ...]
    rmse_horizontal_m: float | None
    rmse_vertical_m: float | None
    check_rmse_horizontal_m: float | None  # of each point left out in turn; None below four points
    check_rmse_vertical_m: float | None
    check_residuals_m: Mapping[str, Miss] | None
    left_out: Mapping[str, Miss] = field(default_factory=dict)  # those that contradict the others


@dataclass(frozen=True)
class PositionAdjustment:
    """The last bundle adjustment, in which positions take part."""

    used: bool
    positions: int
    reprojection_before_px: float
    reprojection_after_px: float


@dataclass(frozen=True)
class PlaceCertainty:
    """How certain the scene's place, turn and scale are; an error that all positions share cannot be seen."""

    sigma_m: Three  # standard deviations east, north, up
    within_95_m: Three  # half widths inside which 95 % of the errors lie
    turn_within_95_deg: Three
    scale_within_95_percent: float
    degrees_of_freedom: int | None  # None where positions pulled in the adjustment
    covariance: tuple[tuple[float, ...], ...]  # 7 x 7: shift in metres, turn in radians, log scale


@dataclass(frozen=True, kw_only=True)
class Georef(HandedOn):
    """The frame of a scene: metres, east, north, up where it is placed, else Z up in units of its own."""

    file: ClassVar = "georef.json"
    stage: ClassVar = "map_scene"

    georeferenced: bool
    reason: str  # why, or why not, in words
    epsg: int | None = None
    crs: str | None = None
    origin: Origin | None = None
    projected: Projected | None = None
    units: str = "arbitrary"  # or metres
    frame: str = "Z up"  # or east, north, up
    gravity: str = "cameras"  # what told which way is up
    scale: float  # of the mapper's model to this frame
    rmse_horizontal_m: float | None = None  # of the photos' GPS that agrees
    rmse_vertical_m: float | None = None
    residuals_m: Mapping[str, Miss] = field(
        default_factory=dict
    )  # GPS of each photo against the model
    gps_photos: int = 0  # registered photos with a position
    upright_only: bool | None = optional()  # whether GPS told scale and north only, not the tilt
    heights_used: bool | None = optional()  # whether the heights of GPS agree with the poses
    inliers: tuple[str, ...] = ()  # photos whose GPS agrees
    outliers: tuple[str, ...] = ()
    world_from_sfm: Matrix  # 4 x 4, from the mapper's frame into this one
    sfm_from_world: Matrix | None = None
    gcp: Control | None = None  # surveyed points, where these placed the scene
    adjustment: PositionAdjustment | None = None
    notes: tuple[str, ...] = ()  # sentences for the user
    certainty: PlaceCertainty | None = None
    scale_from: str | None = optional()  # without georeference: what told the metres

    @property
    def metric(self) -> bool:
        """Whether the frame is in metres, on the Earth or not."""
        return self.georeferenced or self.units == "metres"
