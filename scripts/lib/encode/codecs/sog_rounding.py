"""How coarsely a SOG keeps numbers: bits that nobody sees the loss of are rounded to zero.

What is even compresses: the format's bytes stay, WebP stores fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scripts.lib.encode.codecs import codebook
from scripts.lib.encode.codecs.rotations import HALF_SQRT
from scripts.lib.encode.codecs.sog_layout import STEPS
from scripts.lib.encode.codecs.values import to_bytes
from scripts.lib.splat.gaussians import Gaussians


@dataclass(frozen=True)
class Rounding:
    """How coarsely numbers are kept. What is even compresses: the format's bytes stay, WebP stores fewer.

    place: a centre may move by half this share of its Gaussian's middle size; turn: a rotation by steps
    that grow as the Gaussian nears a ball, whose turn nobody sees; thinnest: share of its middle size
    below which nobody sees how thin it is; sizes, colours, alphas: values told apart. The defaults keep
    all that the format can.
    """

    place: float = 0.0
    turn: float = 0.0
    thinnest: float = 0.001
    sizes: int = codebook.ENTRIES
    colours: int = codebook.ENTRIES
    alphas: int = 255


# Measured on the sample at 432 pixels (tests/bench/NOTES.md): the second saves a fifth of the bytes.
ROUNDINGS = (
    Rounding(),
    Rounding(place=0.1, turn=16, thinnest=0.003, sizes=128, colours=64, alphas=31),
    Rounding(place=0.2, turn=32, thinnest=0.003, sizes=128, colours=48, alphas=31),
)
COARSEST_PLACE, COARSEST_TURN = 7, 6  # bits that may go


def rounded_steps(
    steps: npt.NDArray[np.int64], inside: Gaussians, unit: npt.NDArray[np.float64], place: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Places (N, 3) in steps of `unit` world units, less the bits that each Gaussian can spare, and those."""
    if not place:
        return steps, np.zeros_like(steps)
    middle = np.exp(np.sort(inside.scales.astype(np.float64), axis=1)[:, 1:2])
    spare = np.log2(np.maximum(place * middle / np.maximum(unit, 1e-30), 1)).astype(np.int64)
    spare = np.minimum(spare, COARSEST_PLACE)
    half = (1 << spare) >> 1
    return np.minimum((steps + half) >> spare << spare, STEPS), spare


def rounded_turn(
    three: npt.NDArray[np.float64], inside: Gaussians, turn: float
) -> npt.NDArray[np.uint8]:
    """The three stored components (N, 3) of rotations as bytes, coarser the more a Gaussian is a ball."""
    exact = (three / HALF_SQRT * 0.5 + 0.5) * 255
    if not turn:
        return to_bytes(exact)
    longer = np.exp(np.ptp(inside.scales.astype(np.float64), axis=1)) - 1
    spare = np.log2(np.maximum(turn / np.maximum(longer, 1e-6), 1)).astype(np.int64)
    step = (1 << np.minimum(spare, COARSEST_TURN))[:, None]
    return to_bytes(np.rint((exact - 128) / step) * step + 128)
