"""eval.json: quality of a splat on its test photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from scripts.lib.contracts.record import Measured, optional
from scripts.lib.contracts.split import SplitCounts


@dataclass(frozen=True)
class ViewFigures:
    """Figures of one view."""

    name: str  # of the photo
    psnr: float  # dB, at most 100
    ssim: float
    flip: float | None = None  # 0 (alike) to 1
    psnr_pose_refined: float | None = optional()  # from the pose where the photo fits best
    pose_moved_px: float | None = optional()  # how far that is
    psnr_exposure_fitted: float | None = optional()  # after the best gain and offset of each colour


@dataclass(frozen=True)
class DepthBand:
    """The pixels of all views whose depth lies in some range: about a third of the solid ones each."""

    name: Literal["near", "middle", "far", "beyond"]  # beyond: the sky, or nothing solid
    psnr: float  # dB, of the mean square error over the band's pixels, at most 100
    share: float  # of the pixels of all views, 0 to 1
    nearest: float | None = optional()  # depth in world units (georef.json: metres or not)
    farthest: float | None = optional()


@dataclass(frozen=True)
class DepthError:
    """Distances between points that structure from motion knows and the splat's surface there, as shares of
    the points' depth in the photo. The surface is where half of what a pixel shows is reached."""

    name: Literal["all", "near", "middle", "far"]
    points: int
    nearest: float  # depth in world units (georef.json: metres or not)
    farthest: float
    median: float
    within_90: float  # nine of ten points are no farther off
    within_95: float
    bias: float  # median with its sign, positive behind the points
    mean_depth_median: float  # the same for the mean depth of what a pixel shows
    mean_depth_within_90: float
    missed: float  # share of points where the splat shows nothing solid; they count as errors of 1


@dataclass(frozen=True)
class DepthErrors:
    """Of points that three photos or more show, and that training's depth term does not use."""

    all: DepthError
    bands: tuple[DepthError, ...]  # thirds of the points; none where they are few
    known_to: float  # median standard deviation of the points' own depths, share
    views: int  # photos that were looked at


@dataclass(frozen=True)
class Needles:
    """How much of the views long, thin Gaussians make: shares of the blend weight, 0 to 1."""

    over_10: float  # the longest axis more than 10 times the second
    over_30: float
    views: int  # measured


@dataclass(frozen=True, kw_only=True)
class Eval(Measured):
    """Means over the views, and every view, the worst first."""

    file: ClassVar = "eval.json"
    stage: ClassVar = "evaluate_splat"

    psnr: float  # dB
    ssim: float
    flip: float | None = None
    psnr_pose_refined: float | None = None  # beside the main figure, never instead of it
    psnr_exposure_fitted: float | None = optional()  # the same
    views: tuple[ViewFigures, ...]
    depth_bands: tuple[DepthBand, ...] | None = optional()
    depth_errors: DepthErrors | None = optional()  # None: too few points
    needles: Needles | None = optional()
    flicker: float | None = optional()  # mean change of a surface's colour between film frames
    held_out: bool  # False when training has seen the views, or may have
    split_counts: SplitCounts | None = None
    photos: int | None = None  # of the scene
    resolution: int  # pixels of the longer side
    gaussians: int | None = None
    device: str = ""
    device_reason: str = ""
    seconds: float | None = None
