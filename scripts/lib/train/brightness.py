"""How much brighter or darker, and in which tint, each photo came out, by the points that photos share.

A point of the scene has one colour, apart from highlights and noise. What a photo multiplies all of its
points by, beside what other photos make of them, is the doing of its camera: automatic exposure and white
balance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scripts.lib.contracts.train import ExposureRecord
from scripts.lib.train.samples import Float, Samples, effects_of

# Highlights and corners alone make .03 and .006 (one setting for all photos), automatic cameras .08 to .16
# and .01 to .06. Up to about .1, an uncorrected splat looks at each place as the photos near it do, and test
# photos agree with their neighbours; corrected, it is steadier, but its brightness is that of no photo.
VARIES, TINTED = 0.155, 0.08


@dataclass(frozen=True)
class Brightness:
    """Logarithms of what multiplies each photo's colours (V, 3), as they are stored, and their mean squares'
    roots: of brightness, and of the tint that is left without it."""

    gains: Float

    @property
    def by_photo(self) -> Float:
        """Logarithm of each photo's gain (V,), the mean of its colours'."""
        found: Float = self.gains.mean(axis=1)
        return found

    @property
    def rms(self) -> float:
        """Usual size of `by_photo`."""
        return float(self.by_photo.std())

    @property
    def tint_rms(self) -> float:
        """Usual difference of a colour's gain from the photo's."""
        return float((self.gains - self.by_photo[:, None]).std())

    @property
    def varies(self) -> bool:
        """Whether the cameras changed more than light and noise do."""
        return self.rms > VARIES or self.tint_rms > TINTED

    def record(self, corrected: bool) -> ExposureRecord:
        """For train.json."""
        darkest, brightest = float(self.by_photo.min()), float(self.by_photo.max())
        return ExposureRecord(corrected, self.rms, self.tint_rms, brightest - darkest)


def brightness(samples: Samples) -> Brightness:
    """What the sightings of the scene's points tell of the photos."""
    logs = np.log(samples.colours)
    return Brightness(effects_of(samples.photos, samples.rows, samples.points, logs))
