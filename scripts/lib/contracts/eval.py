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
