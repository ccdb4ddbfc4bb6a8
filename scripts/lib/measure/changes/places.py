"""Gaussians that changed, gathered into places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from scripts.lib.contracts.changes import Kind
from scripts.lib.measure.changes.compare import Score

Float = npt.NDArray[np.float64]

CHANGED = 0.5  # share of the views that can tell, from which on a Gaussian has changed
JOIN_PX = 4.0  # pixels between Gaussians of one place
ONE_SIDED = 2.0  # times as many pixels of one capture in front as of the other: it came or went
SAME_SURFACE = 0.3  # share of the pixels below which nothing is in front: a surface looks different


@dataclass(frozen=True)
class Place:
    """What changed together: its middle (3,), longest side, and pixels summed over the views."""

    position: Float
    size: float
    pixels: float


def find_places(means: Sequence[Float], scores: Sequence[Score], join: float) -> list[Place]:
    """Places of Gaussians that changed, those with the most pixels first.

    means, scores: of the first and of the later splat. join: distance, world units, up to which two Gaussians
    belong together.
    """
    chosen = [score.share > CHANGED for score in scores]
    where = np.concatenate([mean[keep] for mean, keep in zip(means, chosen, strict=True)])
    weight = np.concatenate([s.pixels[keep] for s, keep in zip(scores, chosen, strict=True)])
    if not len(where):
        return []
    label = _together(where, join)
    places = []
    for number in range(int(label.max()) + 1):
        mine = label == number
        own, pixels = where[mine], weight[mine]
        places.append(
            Place(
                np.average(own, axis=0, weights=pixels + 1e-9),
                float(np.ptp(np.percentile(own, [5, 95], axis=0), axis=0).max()),
                float(pixels.sum()),
            )
        )
    return sorted(places, key=lambda place: -place.pixels)


def kind_of(came: float, went: float, all_pixels: float) -> Kind:
    """What happened at a place, by the pixels that changed there: in how many the later capture has something
    in front, and in how many the first one."""
    if max(came, went) < SAME_SURFACE * all_pixels:
        return "changed"
    if came > ONE_SIDED * went:
        return "appeared"
    return "gone" if went > ONE_SIDED * came else "changed"


def _together(points: Float, join: float) -> npt.NDArray[np.int64]:
    """Labels (N,) of points (N, 3): those of one cell, and of cells that touch, have the same."""
    cells, cell = np.unique(np.floor(points / join).astype(np.int64), axis=0, return_inverse=True)
    touching = cKDTree(cells).query_pairs(1.8, output_type="ndarray")  # corners too: root of 3
    count = len(cells)
    links = coo_array((np.ones(len(touching)), (touching[:, 0], touching[:, 1])), (count, count))
    labels = connected_components(links, directed=False)[1]
    found: npt.NDArray[np.int64] = labels[cell.ravel()].astype(np.int64)
    return found
