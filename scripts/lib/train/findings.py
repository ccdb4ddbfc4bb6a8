"""What the points that photos share tell of the photos before training begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scripts.lib.scene.fall_off import NUMBERS
from scripts.lib.scene.scene import Scene
from scripts.lib.train.brightness import Brightness, brightness
from scripts.lib.train.lens_light import evened, fall_off
from scripts.lib.train.options import Settings
from scripts.lib.train.samples import Float, read_samples
from scripts.lib.train.sharpness import sharpness, weights_of


@dataclass(frozen=True)
class Findings:
    """Of V photos; None where too few points tell.

    sharpness (V,): contrast against that of other photos. weights (V,): how often each is seen in training,
    see `weights_of`; None: all alike. fall_off: see `Scene`; () where nothing is to be corrected.
    """

    bright: Brightness | None = None
    sharpness: Float | None = None
    weights: Float | None = None
    fall_off: tuple[tuple[float, ...], ...] = ()

    def evened(self, scene: Scene) -> Scene:
        """The scene with the photos that are trained on."""
        return replace(scene, fall_off=self.fall_off)


def findings(scene: Scene, photos: Sequence[int], settings: Settings) -> Findings:
    """What is found of `photos` (V indices) of the scene. Raises UserError when its zip is damaged."""
    samples = read_samples(scene, photos)
    if samples is None:
        return Findings()
    numbers = fall_off(samples) if settings.lens_light else None
    lost: tuple[tuple[float, ...], ...] = ()
    if numbers is not None:
        samples = evened(samples, numbers)
        by_lens = np.zeros((int(scene.lenses.max()) + 1, NUMBERS))
        by_lens[scene.lenses[list(photos)]] = numbers[samples.lenses]
        lost = tuple(tuple(row) for row in by_lens.tolist())
    sharp = sharpness(samples)
    weights = weights_of(sharp) if settings.weigh_sharpness else None
    return Findings(brightness(samples), sharp, weights, lost)
