"""train.json: how a splat was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from scripts.lib.contracts.record import Measured, optional
from scripts.lib.contracts.split import SplitCounts, SplitNames


@dataclass(frozen=True)
class CurvePoint:
    """Quality on the validation photos."""

    step: int
    seconds: float  # of training so far
    psnr: float  # dB


@dataclass(frozen=True)
class Moved:
    """How far training moved the cameras."""

    rms_px: float
    largest_px: float


@dataclass(frozen=True)
class CamerasRefined:
    """What training changed about the cameras."""

    moved: Moved | None  # None: poses stayed
    focal_scales: tuple[float, ...]  # factor of each lens's focal length; none: they stayed


@dataclass(frozen=True)
class ExposureRecord:
    """How differently bright and tinted the photos are, by the points that they share.

    Natural logarithms of factors on the colours as they are stored.
    """

    corrected: bool  # whether training learned a gain and an offset for each photo
    rms: float  # of the photos' brightness
    tint_rms: float  # of what is left of their colours' factors
    range: float  # between the darkest and the brightest photo


@dataclass(frozen=True)
class BlockTrained:
    """The training of one block of a large scene, or of the coarse model that all blocks start from."""

    number: int  # from 1; 0: the coarse model
    trained_on: int | None  # photos
    steps: int
    seconds: float
    gaussians: int
    kept: int  # of these, in the splat
    peak_memory_mb: int
    device: str
    resumed_from: int | None = None


@dataclass(frozen=True)
class TransientsRecord:
    """What single photos show that the photos beside them do not: people, cars, laundry."""

    left_out: bool  # whether training left it out
    # Share of the area of the photos looked at that their neighbours contradict.
    contradicted: float
    share: float = 0.0  # of the photos' area that training left out
    # By name, share of the photo that was left out.
    photos: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SoftPhoto:
    """A photo that is less sharp than others that show the same points."""

    name: str
    contrast: float  # of the median photo's, at the points that it shares with others


@dataclass(frozen=True, kw_only=True)
class Train(Measured):
    """A training."""

    file: ClassVar = "train.json"
    stage: ClassVar = "train_splat"

    device: str  # cpu, or the GPU's name
    device_reason: str = ""
    backend: Literal["cpu", "cuda", "gsplat"] = "cpu"  # whose kernels drew: ours or gsplat's
    steps: int
    planned_steps: int | None = None
    photos_at_once: int = 1
    adapted: tuple[str, ...] = ()  # sentences on what was fitted to the machine
    trained_on: int | None = None  # photos
    left_out: tuple[str, ...] = ()  # photos that are almost the same as a test photo
    split: SplitNames | None = None
    split_counts: SplitCounts | None = None
    sky_photos: int = 0
    sky_from: float | None = None  # world units from the cameras' middle; None: no sky
    cameras: CamerasRefined | None = None
    exposure: ExposureRecord | None = optional()  # None: too few points tell
    transients: TransientsRecord | None = optional()  # None: not looked for, or too few photos tell
    # Of each lens whose loss of light towards the corners was corrected three numbers, see scene/fall_off.py;
    # zeros of others. None at all: no photo was changed.
    fall_off: tuple[tuple[float, ...], ...] = ()
    corners_lost: tuple[float, ...] = ()  # of each lens: share of the stored brightness, 0 to 1
    soft: tuple[SoftPhoto, ...] = ()
    seconds: float
    gaussians: int
    peak_memory_mb: int
    seed: int
    resumed_from: int | None  # step of the checkpoint
    curve: tuple[CurvePoint, ...]
    curve_measured_on: str | None = None
    curve_exposure_fitted: bool = False  # after the best gain and offset of each photo's colours
    resolution: int | None = None  # pixels of the photos' longer side
    blocks: tuple[BlockTrained, ...] = ()  # none: trained as one
