"""What can be chosen about training, and the numbers that follow from preset, device and capture."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from scripts.lib.core.options import Options, option

PresetName = Literal["draft", "standard", "high"]
Backend = Literal["cpu", "cuda", "gsplat"]  # whose kernels draw, as `rasterise` names them
Precision = Literal["single", "half"]  # of harmonics and moments, see `parameters.TYPES`
ANY_PRECISION: tuple[Precision, ...] = ("single", "half")
AutoSwitch = Literal["auto"] | bool
Auto = Literal["auto"] | int  # "auto": what PRESETS says


@dataclass(frozen=True)
class TrainOptions(Options):
    """Training. Values of "auto" depend on the preset, the device, and the number and size of the photos:
    see PRESETS in scripts/lib/train/options.py.
    """

    preset: PresetName = option("standard", 'Sets every "auto" below.', shared=True)
    steps: Auto = option("auto", "Optimiser steps.", 1, 1_000_000)
    max_gaussians: Auto = option(
        "auto",
        """Maximum number of Gaussians while the splat grows. After 60 % of the steps, the Gaussians that
        contribute least are removed: as many as together make a twentieth of the pictures. How many remain
        depends on the scene.""",
        1,
        20_000_000,
    )
    sh_degree: Auto = option(
        "auto",
        "Degree of the spherical harmonics, which let colours change with the viewing direction.",
        0,
        3,
    )
    resolution: Literal["auto", 0] | int = option(
        "auto",
        "Longest side of the photos in training; 0 keeps their size.",
        32,
        65_500,
        unit="pixels",
    )
    batch_size: Auto = option("auto", "Number of photos rendered in each step.", 1, 64)
    rasteriser: Literal["splatmake", "gsplat"] = option(
        "splatmake",
        """Which kernels render on a GPU during training: our own, or those of gsplat, which must be installed
        with its CUDA kernels. Without a GPU, our CPU kernels are used.""",
    )
    antialiased: bool = option(
        False,
        """Compensate the opacity of each Gaussian for the renderer's blur of 0.3 pixels (Mip-Splatting). The
        PLY says so (SplatRenderMode), and every later stage renders it in the same way.""",
    )
    blocks: Literal["auto"] | int = option(
        "auto",
        """Number of blocks that a large scene is divided into for training. Each block is a job of its own,
        which needs less memory and may run beside the others. A coarse model of the whole scene is trained
        first, and every block starts from it. "auto": one block up to 600 photos, else one for each 400
        photos. The photos are counted before the first job, in a folder or .zip on this machine, or in the
        bucket of the run. For videos and other sources, "auto" means one block. The blocks share
        max_gaussians, if it is given; steps, if given, are those of each block.""",
        1,
        100,
    )
    exposure: AutoSwitch = option(
        "auto",
        """Learn a gain and an offset for the colours of each photo (their means are zero), for cameras whose
        exposure or white balance changes from photo to photo. "auto": if photos that show the same points
        differ by more than 16 % in brightness, or 8 % in tint, on average. The splat gets the mean of all
        photos. Test photos are compared as they are, and also with their best gain and offset
        (psnr_exposure_fitted).""",
    )
    transients: AutoSwitch = option(
        "auto",
        """Leave out of training what single photos show and the photos beside them do not: people, cars,
        laundry, the photographer's shadow. "auto": if the photos contradict each other on more than 6 % of
        their area. The report shows what was left out. Reflections and leaves stay.""",
    )
    lens_light: bool = option(
        False,
        """Correct the light that a lens loses towards the corners, if photos that show the same points at
        different places in the picture show it clearly. The mean brightness of the photos stays. Scenes that
        are trained in blocks are not corrected. Test photos are corrected too before they are compared, so
        the quality is not to be compared with that of other trainings.""",
    )
    weigh_sharpness: bool = option(
        False,
        """Train less often on photos that are blurred against others that show the same points, down to a
        seventh as often. Photos whose contrast at these points is at least 85 % of the usual all count
        alike.""",
    )
    refine_poses: bool = option(
        False,
        """Let the cameras move by a few pixels in the second half of training, for captures whose poses are
        not exact. Their common motion is removed, so that the scene stays where GPS puts it. With fewer
        than 12 photos, cameras do not move.""",
    )
    refine_focal: bool = option(
        False,
        """In the same way, refine the focal length of each lens that took at least 12 photos. Later stages
        render with the refined value; undistorted.zip does not change.""",
    )
    sky: bool = option(
        True,
        """If photos show the sky, place it far behind everything and keep the space in front of it empty.
        The sky is found by its colour, by the horizon, and because it looks the same from every camera.""",
    )
    depth_term: bool = option(
        False,
        """Hold surfaces where structure from motion has points, so that they are thin and in their place:
        without it, a splat that looks right may have veils before its walls. For scenes in which distances
        are measured: the mean depth of what a pixel shows is off by a half or a third as much, the quality of
        pictures falls by 0.1 to 0.35 dB, and training takes a tenth to a third longer. Every fifth point is
        left out, and tells how well it worked (depth_errors in eval.json).""",
    )
    ssim_weight: float = option(0.2, "Weight of 1 - SSIM in the loss; the rest is L1.", 0, 1)
    test_every: int = option(
        8,
        """Every n-th photo by sorted name is a test photo: it measures the result and is not used for
        training; 0 trains on all photos. Photos that are almost the same as a test photo are left out as
        well. From 32 photos on, one in 16 is a validation photo, which decides what to remove and how
        small the files may be. With fewer photos, the test photos also serve for validation.""",
        0,
        10_000,
    )
    test_photos: str = option(
        "", "Test photos by name, separated by commas, instead of every n-th photo."
    )
    seed: int = option(0, "Seed of the random numbers.", 0, 2**31 - 1, shared=True)
    checkpoint_every: float = option(
        30.0, "Time between checkpoints; 0 writes none.", 0, 86_400, unit="seconds"
    )


@dataclass(frozen=True)
class Capture:
    """What is to be trained on: photos, without those kept from training, and their megapixels together."""

    photos: int
    megapixels: float

    @classmethod
    def of(cls, sizes: npt.NDArray[np.int64]) -> Capture:
        """The capture of photos given by width and height (V, 2)."""
        return cls(len(sizes), float(sizes.prod(axis=1).sum()) / 1e6)


TYPICAL = Capture(photos=32, megapixels=100)


@dataclass(frozen=True)
class Common:
    """What a preset says outright."""

    sh_degree: int
    resolution: int
    batch_size: int
    learning_rate: float  # factor on the learning rates: short runs on few Gaussians take more
    means_rate: float  # the same for the means, which must come as far in fewer steps
    coarse: float  # share of the steps, from the first, trained at half resolution
    cooling: float  # share of the steps, to the last, in which the learning rates fall


@dataclass(frozen=True)
class Preset(Common):
    """How much work a preset means on a device, for any capture.

    visits: how often each photo is seen, within `views`, the fewest and the most photos seen in all.
    max_gaussians: for 100 megapixels, growing with their square root within `max_gaussians_bounds`.
    """

    visits: float
    views: tuple[int, int]
    max_gaussians: int
    max_gaussians_bounds: tuple[int, int]

    def steps_for(self, capture: Capture) -> int:
        """Optimiser steps."""
        fewest, most = self.views
        views = min(max(self.visits * capture.photos, fewest), most)
        return max(1, round(views / self.batch_size))

    def max_gaussians_for(self, capture: Capture) -> int:
        """Gaussians at most: detail grows with what the photos show, less what they show again."""
        fewest, most = self.max_gaussians_bounds
        return min(
            max(round(self.max_gaussians * math.sqrt(capture.megapixels / 100)), fewest), most
        )


# Without a GPU a step costs by pixels and by Gaussians, so both are small.
PRESETS: dict[tuple[str, str], Preset] = {
    ("draft", "cpu"): Preset(
        1, 320, 1, 2.5, 10.0, 0.5, 0.0, 13, (300, 800), 15_000, (15_000, 15_000)
    ),
    ("standard", "cpu"): Preset(
        2, 432, 1, 2.5, 5.0, 0.5, 0.15, 80, (1500, 5000), 80_000, (80_000, 80_000)
    ),
    ("high", "cpu"): Preset(
        2, 640, 1, 2.0, 6.0, 0.5, 0.15, 250, (6000, 16_000), 120_000, (120_000, 120_000)
    ),
    ("draft", "cuda"): Preset(
        3, 0, 4, 2.0, 3.0, 0.6, 0.0, 22, (1600, 6000), 150_000, (100_000, 500_000)
    ),
    ("standard", "cuda"): Preset(
        3, 0, 4, 2.0, 3.0, 0.4, 0.15, 72, (4000, 40_000), 225_000, (190_000, 1_100_000)
    ),
    ("high", "cuda"): Preset(
        3, 0, 4, 2.0, 3.0, 0.3, 0.15, 190, (6000, 120_000), 260_000, (300_000, 2_200_000)
    ),
}
# Needles show as streaks between the photos; how long an axis may be at no cost: tests/bench/NOTES.md.
AXIS_RATIO = 10.0
# A Gaussian that only few photos see learns their noise by heart. Leaving some out of each step makes the
# others answer for them; with many photos that only costs detail.
DROP_BELOW, MOST_DROPPED = 8.0, 0.35


def drop_for(capture: Capture) -> float:
    """Share of the Gaussians left out of each step, at the end of training."""
    return min((DROP_BELOW / max(capture.photos, 1)) ** 2, MOST_DROPPED)


@dataclass(frozen=True)
class Settings(Common):
    """Every number of one run, nothing left to choose: options after the capture was looked at."""

    steps: int
    max_gaussians: int
    drop: float  # share of the Gaussians left out of each step at the end; none at the start
    axis_ratio: float  # of a Gaussian's longest axis to its second, at most; 0 is no limit
    device: str
    backend: Backend
    precisions: tuple[Precision, ...]  # the first with which all fits into memory is taken
    antialiased: bool
    exposure: AutoSwitch
    transients: AutoSwitch
    lens_light: bool
    weigh_sharpness: bool
    refine_poses: bool
    refine_focal: bool
    sky: bool
    depth_term: bool
    ssim_weight: float
    test_every: int
    test_photos: tuple[str, ...]
    seed: int


def _number(value: Auto, automatic: int) -> int:
    return automatic if value == "auto" else value


def preset_for(options: TrainOptions, device: str) -> Preset:
    """The preset of the options on `device`, "cpu" or "cuda"."""
    return PRESETS[options.preset, device]


def resolution_for(options: TrainOptions, device: str) -> int:
    """Long side in pixels to train at, 0 for the photos' own size."""
    return _number(options.resolution, preset_for(options, device).resolution)


def resolve(options: TrainOptions, device: str, capture: Capture = TYPICAL) -> Settings:
    """Fill every "auto" for `device` ("cpu" or "cuda") and what is to be trained on."""
    preset = preset_for(options, device)
    photos = _number(options.batch_size, preset.batch_size)
    preset = dataclasses.replace(preset, batch_size=photos)
    return Settings(
        steps=_number(options.steps, preset.steps_for(capture)),
        max_gaussians=_number(options.max_gaussians, preset.max_gaussians_for(capture)),
        drop=drop_for(capture),
        axis_ratio=AXIS_RATIO,
        sh_degree=_number(options.sh_degree, preset.sh_degree),
        resolution=resolution_for(options, device),
        batch_size=photos,
        learning_rate=preset.learning_rate,
        means_rate=preset.means_rate,
        coarse=preset.coarse,
        cooling=preset.cooling,
        device=device,
        backend=_backend(options.rasteriser, device),
        precisions=ANY_PRECISION if device == "cuda" else ANY_PRECISION[:1],
        antialiased=options.antialiased,
        exposure=options.exposure,
        transients=options.transients,
        lens_light=options.lens_light,
        weigh_sharpness=options.weigh_sharpness,
        refine_poses=options.refine_poses,
        refine_focal=options.refine_focal,
        sky=options.sky,
        depth_term=options.depth_term,
        ssim_weight=options.ssim_weight,
        test_every=options.test_every,
        test_photos=chosen_names(options.test_photos),
        seed=options.seed,
    )


def _backend(rasteriser: str, device: str) -> Backend:
    if device == "cpu":
        return "cpu"
    return "gsplat" if rasteriser == "gsplat" else "cuda"


def chosen_names(text: str) -> tuple[str, ...]:
    """The names in a list separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def as_dict(settings: Settings) -> dict[str, object]:
    """The settings as plain JSON values."""
    return dataclasses.asdict(settings)
