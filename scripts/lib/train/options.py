"""What can be chosen about training, and the sizes that follow from the preset and the device."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from scripts.lib.console import UserError

Auto = int | str  # a number, or "auto" for the value of the SIZES table


@dataclass(frozen=True)
class TrainOptions:
    """The `train` section of the configuration. Keys that may be "auto" are looked up in SIZES."""

    preset: str = "standard"  # draft, standard, high
    device: str = "auto"  # auto, cuda, cpu
    steps: Auto = "auto"  # optimiser steps
    cap: Auto = "auto"  # Gaussians at most
    sh_degree: Auto = "auto"  # spherical harmonics, 0 to 3
    resolution: Auto = "auto"  # long side in pixels; 0 trains at the photos' own size
    photos_per_step: Auto = "auto"
    antialiased: bool = False  # footprints dimmed by what the 0.3 pixel blur added
    ssim_weight: float = 0.2  # of the loss; the rest is L1
    holdout: int = 8  # every n-th photo by name is kept for measuring; 0 trains on all
    seed: int = 0
    checkpoint_every: float = 30.0  # seconds between checkpoints; 0 writes none


@dataclass(frozen=True)
class Sizes:
    """How much work a preset means on a device."""

    steps: int
    cap: int
    sh_degree: int
    resolution: int
    photos_per_step: int
    learning_rate: float  # factor on the learning rates: short runs on few Gaussians take more
    means_rate: float  # the same for the means, which must come as far in fewer steps
    coarse: float  # share of the steps, from the first, trained at half resolution
    drop: float  # share of the Gaussians left out of each step at the end; none at the start
    average: float  # share of the steps, to the last, whose parameters are averaged


# Without a GPU a step costs by pixels and by Gaussians, so both are small; with one, by launches.
SIZES: dict[tuple[str, str], Sizes] = {
    ("draft", "cpu"): Sizes(400, 15_000, 1, 320, 1, 2.5, 10.0, 0.5, 0.0, 0.0),
    ("standard", "cpu"): Sizes(2500, 80_000, 2, 432, 1, 2.5, 10.0, 0.5, 0.0, 0.0),
    ("high", "cpu"): Sizes(8000, 120_000, 2, 640, 1, 2.0, 6.0, 0.5, 0.0, 0.0),
    ("draft", "cuda"): Sizes(1500, 150_000, 2, 960, 1, 2.0, 6.0, 0.5, 0.0, 0.0),
    ("standard", "cuda"): Sizes(7000, 300_000, 3, 0, 1, 1.0, 1.0, 0.0, 0.0, 0.0),
    ("high", "cuda"): Sizes(20_000, 1_000_000, 3, 0, 1, 1.0, 1.0, 0.0, 0.0, 0.0),
}


@dataclass(frozen=True)
class Settings(Sizes):
    """Every number of one run, nothing left to choose: options after the table was consulted."""

    device: str
    antialiased: bool
    ssim_weight: float
    holdout: int
    seed: int


def _number(name: str, value: Auto, automatic: int, lowest: int, highest: int | None = None) -> int:
    if value == "auto":
        return automatic
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or int(value) < lowest or (highest is not None and int(value) > highest):
        bounds = f"from {lowest}" + (f" to {highest}" if highest is not None else " up")
        raise UserError(f"option {name} is {value!r}; give 'auto' or a whole number {bounds}")
    return int(value)


def resolve(options: TrainOptions, device: str) -> Settings:
    """Fill every "auto" for `device` ("cpu" or "cuda"). Raises UserError on values out of range."""
    if (options.preset, device) not in SIZES:
        known = ", ".join(dict.fromkeys(preset for preset, _ in SIZES))
        raise UserError(f"option preset is {options.preset!r}; choose one of {known}")
    sizes = SIZES[options.preset, device]
    return Settings(
        steps=_number("steps", options.steps, sizes.steps, 1),
        cap=_number("cap", options.cap, sizes.cap, 1),
        sh_degree=_number("sh_degree", options.sh_degree, sizes.sh_degree, 0, 3),
        resolution=_number("resolution", options.resolution, sizes.resolution, 0),
        photos_per_step=_number(
            "photos_per_step", options.photos_per_step, sizes.photos_per_step, 1
        ),
        learning_rate=sizes.learning_rate,
        means_rate=sizes.means_rate,
        coarse=sizes.coarse,
        drop=sizes.drop,
        average=sizes.average,
        device=device,
        antialiased=options.antialiased,
        ssim_weight=options.ssim_weight,
        holdout=options.holdout,
        seed=options.seed,
    )


def as_dict(settings: Settings) -> dict[str, object]:
    """The settings as plain JSON values."""
    return dataclasses.asdict(settings)
