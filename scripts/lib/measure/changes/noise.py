"""How far a splat is from its own photos, kept on its Gaussians, so that it can be drawn from any camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from scripts.lib.measure.evaluate import Views, photo_of
from scripts.lib.measure.visibility import SEEN_PIXELS
from scripts.lib.render.renderer import Picture, Renderer

Float = npt.NDArray[np.float64]

SMOOTH = 3  # pixels of the window over which pictures are smoothed before they are compared
WORST = 2.0  # times the error of the photos that training saw, that of the others can be, at most


@dataclass(frozen=True)
class Noise:
    """Of N Gaussians: `square` (N,) the mean square error of the pixels that they make, `views` (N,) photos
    that saw them."""

    square: Float
    views: npt.NDArray[np.int64]


def difference(a: Picture, b: Picture) -> Float:
    """Mean square difference (H, W) of the colours of two pictures (H, W, 3), each smoothed; NaN where one is
    NaN.

    Grain, and edges that are a pixel off, smooth away; a thing that is elsewhere does not.
    """
    apart = a.astype(np.float64) - b
    known = np.isfinite(apart).all(axis=2)
    weight = uniform_filter(known.astype(float), SMOOTH, mode="nearest").clip(1e-9)
    smooth = [
        uniform_filter(np.where(known, apart[..., channel], 0.0), SMOOTH, mode="nearest") / weight
        for channel in range(3)
    ]
    return np.where(known, np.mean(np.square(smooth), axis=0), np.nan)


def own_noise(renderer: Renderer, views: Views) -> Noise:
    """The noise of a splat by all photos of `views` (indices), each against the splat's picture from there.

    Training has fitted most of them; photos that it has not seen tell by how much more the splat is wrong
    between its photos, and where the measured view has none, nothing is added.
    """
    scene = views.scene
    sums, seen = np.zeros((len(renderer), 2)), np.zeros(len(renderer), np.int64)
    errors: dict[bool, list[float]] = {True: [], False: []}
    trained = set(views.split.trained)
    for index in views.indices:
        camera = scene.world_to_camera[index], scene.K[index], scene.sizes[index]
        error = difference(renderer.picture(*camera), photo_of(views, index))
        known = np.isfinite(error)
        values = np.stack([known, np.where(known, error, 0.0), np.zeros_like(error)], axis=2)
        found = renderer.gather(values, *camera)[:, :2]
        sums += found
        seen += found[:, 0] >= SEEN_PIXELS
        errors[index in trained].append(float(np.nanmean(error)) if known.any() else 0.0)
    whole = float(sums[:, 1].sum() / max(sums[:, 0].sum(), 1e-12))
    # Where hardly a pixel tells, the scene's mean does.
    square = (sums[:, 1] + whole) / (sums[:, 0] + 1.0)
    if errors[True] and errors[False]:
        ratio = np.mean(errors[False]) / max(float(np.mean(errors[True])), 1e-12)
        square = square * float(np.clip(ratio, 1.0, WORST**2))
    return Noise(square, seen)
