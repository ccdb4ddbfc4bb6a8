"""What can be chosen about training, and the numbers that follow from preset, device and capture."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scripts.lib.core.console import UserError

Auto = int | str  # a number, or "auto" for the value of the SIZES table


@dataclass(frozen=True)
class TrainOptions:
    """The `train` section of the configuration. Keys that may be "auto" follow from PRESETS."""

    preset: str = "standard"  # draft, standard, high
    steps: Auto = "auto"  # optimiser steps
    cap: Auto = "auto"  # Gaussians at most
    sh_degree: Auto = "auto"  # spherical harmonics, 0 to 3
    resolution: Auto = "auto"  # long side in pixels; 0 trains at the photos' own size
    photos_per_step: Auto = "auto"
    antialiased: bool = False  # footprints dimmed by what the 0.3 pixel blur added
    exposure: bool = False  # learn a gain and an offset of each photo's colours
    refine_poses: bool = False  # let the cameras move a little, in the second half
    refine_focal: bool = False  # let each lens's focal length change a little, likewise
    sky: bool = True  # put sky that the photos show far behind, keep the air before it clear
    ssim_weight: float = 0.2  # of the loss; the rest is L1
    holdout: int = 8  # every n-th photo by name judges and is not trained on; 0 trains on all
    held_out: str = ""  # names of the photos that judge instead, separated by commas
    early_stop: bool = True  # when the curve has been flat for three measurements
    seed: int = 0
    repeats: int = 1  # runs with seeds of their own, for the spread; the first is kept
    checkpoint_every: float = 30.0  # seconds between checkpoints; 0 writes none


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
    photos_per_step: int
    learning_rate: float  # factor on the learning rates: short runs on few Gaussians take more
    means_rate: float  # the same for the means, which must come as far in fewer steps
    coarse: float  # share of the steps, from the first, trained at half resolution


@dataclass(frozen=True)
class Preset(Common):
    """How much work a preset means on a device, for any capture.

    visits: how often each photo is seen, within `views`, the fewest and the most photos seen in all; cap:
    Gaussians for 100 megapixels, growing with their square root within `caps`.
    """

    visits: float
    views: tuple[int, int]
    cap: int
    caps: tuple[int, int]

    def steps_for(self, capture: Capture) -> int:
        """Optimiser steps."""
        fewest, most = self.views
        views = min(max(self.visits * capture.photos, fewest), most)
        return max(1, round(views / self.photos_per_step))

    def cap_for(self, capture: Capture) -> int:
        """Gaussians at most: detail grows with what the photos show, less what they show again."""
        fewest, most = self.caps
        return min(max(round(self.cap * math.sqrt(capture.megapixels / 100)), fewest), most)


# Without a GPU a step costs by pixels and by Gaussians, so both are small.
PRESETS: dict[tuple[str, str], Preset] = {
    ("draft", "cpu"): Preset(1, 320, 1, 2.5, 10.0, 0.5, 13, (300, 800), 15_000, (15_000, 15_000)),
    ("standard", "cpu"): Preset(
        2, 432, 1, 2.5, 5.0, 0.5, 80, (1500, 5000), 80_000, (80_000, 80_000)
    ),
    ("high", "cpu"): Preset(
        2, 640, 1, 2.0, 6.0, 0.5, 250, (6000, 16_000), 120_000, (120_000, 120_000)
    ),
    ("draft", "cuda"): Preset(
        3, 0, 4, 2.0, 3.0, 0.6, 22, (1600, 6000), 150_000, (100_000, 500_000)
    ),
    ("standard", "cuda"): Preset(
        3, 0, 4, 2.0, 3.0, 0.4, 72, (4000, 40_000), 300_000, (250_000, 1_500_000)
    ),
    ("high", "cuda"): Preset(
        3, 0, 4, 2.0, 3.0, 0.3, 190, (6000, 120_000), 350_000, (400_000, 3_000_000)
    ),
}
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
    cap: int
    drop: float  # share of the Gaussians left out of each step at the end; none at the start
    device: str
    antialiased: bool
    exposure: bool
    refine_poses: bool
    refine_focal: bool
    sky: bool
    ssim_weight: float
    holdout: int
    held_out: tuple[str, ...]
    early_stop: bool
    seed: int


def _number(name: str, value: Auto, automatic: int, lowest: int, highest: int | None = None) -> int:
    if value == "auto":
        return automatic
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or int(value) < lowest or (highest is not None and int(value) > highest):
        bounds = f"from {lowest}" + (f" to {highest}" if highest is not None else " up")
        raise UserError(f"option {name} is {value!r}; give 'auto' or a whole number {bounds}")
    return int(value)


def preset_for(options: TrainOptions, device: str) -> Preset:
    """The preset of the options on `device`. Raises UserError on an unknown one."""
    if (options.preset, device) not in PRESETS:
        known = ", ".join(dict.fromkeys(preset for preset, _ in PRESETS))
        raise UserError(f"option preset is {options.preset!r}; choose one of {known}")
    return PRESETS[options.preset, device]


def resolution_for(options: TrainOptions, device: str) -> int:
    """Long side in pixels to train at, 0 for the photos' own size. Raises UserError as `resolve`."""
    return _number("resolution", options.resolution, preset_for(options, device).resolution, 0)


def resolve(options: TrainOptions, device: str, capture: Capture = TYPICAL) -> Settings:
    """Fill every "auto" for `device` ("cpu" or "cuda") and what is to be trained on.

    Raises UserError on values out of range.
    """
    preset = preset_for(options, device)
    photos = _number("photos_per_step", options.photos_per_step, preset.photos_per_step, 1)
    preset = dataclasses.replace(preset, photos_per_step=photos)
    return Settings(
        steps=_number("steps", options.steps, preset.steps_for(capture), 1),
        cap=_number("cap", options.cap, preset.cap_for(capture), 1),
        drop=drop_for(capture),
        sh_degree=_number("sh_degree", options.sh_degree, preset.sh_degree, 0, 3),
        resolution=resolution_for(options, device),
        photos_per_step=photos,
        learning_rate=preset.learning_rate,
        means_rate=preset.means_rate,
        coarse=preset.coarse,
        device=device,
        antialiased=options.antialiased,
        exposure=options.exposure,
        refine_poses=options.refine_poses,
        refine_focal=options.refine_focal,
        sky=options.sky,
        ssim_weight=options.ssim_weight,
        holdout=options.holdout,
        held_out=chosen_names(options.held_out),
        early_stop=options.early_stop,
        seed=options.seed,
    )


def chosen_names(text: str) -> tuple[str, ...]:
    """The names in a list separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def as_dict(settings: Settings) -> dict[str, object]:
    """The settings as plain JSON values."""
    return dataclasses.asdict(settings)
