"""Which photos are less sharp than others that show the same points, and how much less they count.

How much detail a photo holds depends on its subject; how much it holds of a point that others show as well,
on the camera: on motion, focus, and a dirty lens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import theilslopes

from scripts.lib.contracts.train import SoftPhoto
from scripts.lib.train.samples import Float, Samples, effects_of

# Of the contrast that the others show. Photos of one steady camera lie within a tenth of each other; a motion
# by 2 of 400 pixels leaves 0.7.
SHARP = 0.85  # from here on a photo counts in full
POWER = 4  # of the contrast below that
LEAST = 0.15
LEAST_SPREAD = 0.1  # of the logarithms of sizes, from which they tell anything


def sharpness(samples: Samples) -> Float:
    """Contrast of each photo at the points that it shares with others (V,), of the median photo's.

    What is shown larger may have less for each pixel: as much less as this capture's photos have on the whole
    (Theil's slope), at most in proportion.
    """
    where = samples.photos, samples.rows, samples.points
    contrast = effects_of(*where, np.log(samples.detail)[:, None])[:, 0]
    larger = effects_of(*where, np.log(samples.scale)[:, None])[:, 0]
    contrast, larger = contrast - np.median(contrast), larger - np.median(larger)
    spread = np.ptp(larger) > LEAST_SPREAD
    less = max(-1.0, min(0.0, float(theilslopes(contrast, larger).slope))) if spread else 0.0
    found: Float = np.exp(contrast - less * np.maximum(larger, 0))
    return found


def soft_photos(sharp: Float | None, names: Sequence[str]) -> tuple[SoftPhoto, ...]:
    """Those of the photos (V,) that stand out, the worst first."""
    found = zip([] if sharp is None else sharp.tolist(), names, strict=sharp is not None)
    return tuple(SoftPhoto(name, contrast) for contrast, name in sorted(found) if contrast < SHARP)


def weights_of(sharp: Float) -> Float | None:
    """How often each photo (V,) is seen in a round of training, one on average; None: all count alike."""
    weights: Float = np.clip((sharp / SHARP) ** POWER, LEAST, 1.0)
    return weights / weights.mean() if (weights < 1).any() else None
