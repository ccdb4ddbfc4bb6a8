"""How far the splat's surfaces are from where structure from motion knows them, in judged photos.

A picture can be right and its depth wrong: a veil before a wall, or a wall made of blobs behind it, costs
no PSNR from where the photos were taken. What is judged are the points that a photo shows, of tracks that
training's depth term does not use.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import numpy.typing as npt

from scripts.lib.contracts.eval import DepthError, DepthErrors
from scripts.lib.core.threads import threads
from scripts.lib.measure.evaluate import Views
from scripts.lib.measure.pose_refinement import SOLID
from scripts.lib.render.along_rays import depths_along
from scripts.lib.render.pieces import shapes_in_sight
from scripts.lib.scene.known_depths import KnownDepths, known_depths
from scripts.lib.splat.pieces import Pieces, Splat

Float = npt.NDArray[np.float64]
Name = Literal["all", "near", "middle", "far"]
BANDS: tuple[Name, ...] = ("near", "middle", "far")
EXACT = 0.02  # of the depth: points that are known less well cannot judge
FEWEST = 30  # points, of which the 95th percentile is the second largest
WORKERS = 4  # each holds some 300 bytes a Gaussian
MISSED = 1.0  # error, of the depth, where the splat shows nothing solid; also the most that counts


def depth_errors(splat: Splat, views: Views) -> DepthErrors | None:
    """The errors at some views; None for too few points, as in a scene without tracks."""
    everything = known_depths(views.scene, views.indices)
    judging = [known.only(known.held_out & _exact(known)) for known in everything]
    if sum(map(len, judging)) < FEWEST:
        return None
    # Of a splat in pieces each view reads its own: one at a time is enough in memory.
    workers = 1 if isinstance(splat, Pieces) else min(WORKERS, threads())
    with ThreadPoolExecutor(workers) as pool:
        parts = pool.map(
            lambda index, known: _errors(splat, views, index, known), views.indices, judging
        )
        median, mean = np.concatenate(list(parts), axis=1)
    known = np.concatenate([one.depths for one in judging])
    sigma = np.concatenate([one.sigmas / one.depths for one in judging])
    return DepthErrors(
        all=summarised("all", known, median, mean),
        bands=bands(known, median, mean),
        known_to=float(np.median(sigma)),
        views=len(views.indices),
    )


def _exact(known: KnownDepths) -> npt.NDArray[np.bool_]:
    return known.sigmas <= EXACT * known.depths


def _errors(splat: Splat, views: Views, index: int, known: KnownDepths) -> Float:
    """Errors (2, M) of the median and the mean depth of one photo, shares of the depth, positive behind."""
    scene = views.scene
    size = scene.sizes[index]
    pose, K = scene.world_to_camera[index], scene.K[index]
    some = shapes_in_sight(splat, pose, K, size)
    found = depths_along(some, pose, K, size, known.places * size)
    errors = np.stack([found.median, found.mean]) / known.depths - 1
    errors[:, found.alpha <= SOLID] = MISSED
    return errors.clip(-MISSED, MISSED)


def bands(known: Float, median: Float, mean: Float) -> tuple[DepthError, ...]:
    """Near, middle and far, a third of the points each, by their known depths (M,); none of too few points.

    median, mean: errors (M,) of these depths of the splat, as shares of the known ones.
    """
    if len(known) < 3 * FEWEST:
        return ()
    order = np.argsort(known, kind="stable")
    thirds = np.array_split(order, 3)
    return tuple(
        summarised(name, known[third], median[third], mean[third])
        for name, third in zip(BANDS, thirds, strict=True)
    )


def summarised(name: Name, known: Float, median: Float, mean: Float) -> DepthError:
    """The figures of some points; see `bands`."""
    off, off_mean = np.abs(median), np.abs(mean)
    return DepthError(
        name=name,
        points=len(known),
        nearest=float(known.min()),
        farthest=float(known.max()),
        median=float(np.median(off)),
        within_90=float(np.quantile(off, 0.9)),
        within_95=float(np.quantile(off, 0.95)),
        bias=float(np.median(median)),
        mean_depth_median=float(np.median(off_mean)),
        mean_depth_within_90=float(np.quantile(off_mean, 0.9)),
        missed=float((median >= MISSED).mean()),
    )
