"""The uppermost surface of a splat, by tiles: colour, height, and how far to trust both. Needs torch.

A pixel on the edge of a roof shows some of the roof and some of the ground. The mean of their heights is
neither, so the height is where half of what is seen lies above: the median by blend weight. Rasterisers only
sum, so the weights and heights of what lies above some levels are summed, and each pixel takes the mean of
its own layer, where the sum passes one half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scripts.lib.render.orthographic import Discs, FromAbove
from scripts.lib.render.tile import Tile

Float = npt.NDArray[np.float64]
# Layers that a tile's heights are divided into, each three pixels thick if so many are enough. On the sample,
# 12, 24 and 48 layers are off by 6.0, 4.7 and 3.8 cm (median), and the plain mean by 10. Three layers take
# two pictures.
FEWEST_LAYERS, MOST_LAYERS, THICK = 6, 48, 3.0
STRAY = 0.002  # share of the area above and below which no layer is wasted on
OPAQUE = 0.65  # alpha from which a surface counts as one; on the sample, errors double below
BLURRED = 10.0  # pixels of spread that halve the confidence
ENOUGH = 8.0  # photos that saw a surface, from which more do not add to the confidence


@dataclass(frozen=True)
class Surface:
    """What `tile` shows, (H, W) each: colour (H, W, 3) in 0..1; height in map units; spread, the standard
    deviation of the heights that a pixel shows, about its height; photos, how many saw it; alpha, 0..1."""

    tile: Tile
    colour: Float
    height: Float
    spread: Float
    photos: Float
    alpha: Float

    @property
    def confidence(self) -> Float:
        """0 to 1: how opaque the surface is, times the share of `ENOUGH` photos that saw it, times how much
        its pixels show one height."""
        sharp = 1 / (1 + self.spread / (BLURRED * self.tile.step))
        return self.alpha * np.minimum(self.photos / ENOUGH, 1.0) * sharp

    def trusted(self, fewest: int) -> npt.NDArray[np.bool_]:
        """Where an opaque surface was seen by at least `fewest` photos."""
        # A mean over Gaussians, so almost three is three.
        found: npt.NDArray[np.bool_] = (self.alpha >= OPAQUE) & (self.photos >= fewest - 0.5)
        return found


def surface(
    discs: Discs, colours: Float, photos: Float, tile: Tile, device: str = "cpu"
) -> Surface:
    """What is seen of N discs from above in one tile; colours (N, 3), none negative, and photos (N,)."""
    near = np.flatnonzero(discs.near(tile))
    discs, colours, photos = discs.take(near), colours[near], photos[near]
    view = FromAbove(discs, tile, device)
    colour, alpha = view.blend(colours)
    share = np.maximum(alpha, 1e-6)
    up = discs.place[:, 2]
    low, high = _range(discs)
    relative = np.clip((up - low) / (high - low), 0, 1)
    seen, _ = view.blend(np.stack([relative, relative**2, photos], axis=1))
    mean, square = seen[..., 0] / share, seen[..., 1] / share
    layers = int(np.clip(np.ceil((high - low) / (THICK * tile.step)), FEWEST_LAYERS, MOST_LAYERS))
    middle = _median(view, relative, alpha, layers) if len(near) else mean
    # About the height that is told, not about the mean.
    spread = np.sqrt(np.maximum(square - 2 * middle * mean + middle**2, 0))
    return Surface(
        tile,
        np.clip(colour / share[..., None], 0, 1),
        low + middle * (high - low),
        spread * (high - low),
        seen[..., 2] / share,
        alpha,
    )


def _range(discs: Discs) -> tuple[float, float]:
    """Lowest and highest of what is worth telling apart, by area."""
    if not len(discs):
        return 0.0, 1.0
    order = np.argsort(discs.place[:, 2])
    area = np.cumsum((discs.opacity * discs.sigma.prod(axis=1))[order])
    at = np.searchsorted(area, np.array([STRAY, 1 - STRAY]) * area[-1])
    low, high = discs.place[order[np.minimum(at, len(order) - 1)], 2]
    return float(low), float(max(high, low + 1e-6))


def _median(view: FromAbove, up: Float, alpha: Float, layers: int) -> Float:
    """Height (H, W) of the layer in which the weight from above passes half of alpha; `up` (N,) in 0..1.

    Of that layer and its two neighbours, so that a surface on the border of two is not cut.
    """
    levels = np.linspace(1, 0, layers + 1)[1:-1]
    ones = np.ones_like(up)
    above = [(up > level) * values for level in levels for values in (ones, up)]
    above += [ones, up]  # the last layer reaches down to everything
    above += [np.zeros_like(up)] * (-len(above) % 3)
    sums = [view.blend(np.stack(above[at : at + 3], axis=1))[0] for at in range(0, len(above), 3)]
    flat = np.concatenate(sums, axis=-1)[..., : 2 * layers]
    weight = np.concatenate([np.zeros_like(flat[..., :1]), flat[..., 0::2]], axis=-1)
    moment = np.concatenate([np.zeros_like(flat[..., :1]), flat[..., 1::2]], axis=-1)
    layer = np.argmax(weight[..., 1:] >= alpha[..., None] / 2 - 1e-6, axis=-1)[..., None]
    first, last = np.maximum(layer - 1, 0), np.minimum(layer + 2, layers)

    def between(values: Float) -> Float:
        ends = np.take_along_axis(values, last, -1) - np.take_along_axis(values, first, -1)
        found: Float = ends[..., 0]
        return found

    return between(moment) / np.maximum(between(weight), 1e-6)
