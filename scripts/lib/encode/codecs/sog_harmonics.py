"""Spherical harmonics of a SOG: a palette of up to 64k entries, and each Gaussian's number in it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from scripts.lib.core.activations import sigmoid
from scripts.lib.core.json_type import Json
from scripts.lib.encode.codecs import codebook, sog_palette
from scripts.lib.encode.codecs.sog_layout import PALETTE_COLUMNS, Pixels, image_of, numbers
from scripts.lib.splat.gaussians import Gaussians


def store_harmonics(
    inside: Gaussians, size: int, iterations: int, seed: int, store: Callable[[str, Pixels], None]
) -> tuple[dict[str, Json], float]:
    """Store palette and labels; returns meta.json's `shN` and the largest acceptable RMS error."""
    count, coefficients = inside.shN.shape[:2]
    flat = np.ascontiguousarray(inside.shN.reshape(count, 3 * coefficients))
    weights = importance(inside)
    size = size or sog_palette.automatic_size(count)
    palette, labels = sog_palette.build(flat, weights, size, iterations=iterations, seed=seed)
    # Entries in the order of first use: labels then mostly count upwards along the Morton curve,
    # which the image compressor likes, and entries used close together lie close together.
    first = np.full(len(palette), count)
    np.minimum.at(first, labels, np.arange(count))
    by_use = np.argsort(first, kind="stable")
    rank = np.empty(len(palette), np.int64)
    rank[by_use] = np.arange(len(palette))
    palette, labels = palette[by_use], rank[labels]
    used = np.bincount(labels, weights, len(palette))
    table = codebook.build(palette, np.repeat(used, palette.shape[1]))
    index = codebook.nearest(table, palette).reshape(len(palette), coefficients, 3)
    rows = -(-len(palette) // PALETTE_COLUMNS)
    canvas = np.zeros((rows * PALETTE_COLUMNS, coefficients, 3), np.uint8)
    canvas[: len(palette)] = index
    store("shN_centroids.webp", canvas.reshape(rows, PALETTE_COLUMNS * coefficients, 3))
    store("shN_labels.webp", image_of(np.column_stack([labels & 255, labels >> 8, 0 * labels])))
    meta: dict[str, Json] = {
        "count": len(palette),
        "bands": inside.sh_degree,
        "codebook": numbers(table),
        "files": ["shN_centroids.webp", "shN_labels.webp"],
    }
    # A palette must do about as well as the one mean colour; what is clearly worse is a fault, not a
    # loss. (Weights pull a tiny palette off the plain mean, hence the quarter.)
    spread = float(np.sqrt(np.mean((flat - flat.mean(0)) ** 2)))
    return meta, 1.25 * spread + 1e-6


def importance(gaussians: Gaussians) -> npt.NDArray[np.float64]:
    """How much a Gaussian's colour matters (N,): opacity times the size of its larger two axes."""
    largest_two = np.sort(gaussians.scales.astype(np.float64), axis=1)[:, 1:].sum(1)
    size = np.exp(0.5 * (largest_two - np.median(largest_two)))
    weight = sigmoid(gaussians.opacities) * size
    found: npt.NDArray[np.float64] = (
        np.clip(weight, 0.02 * np.median(weight), 50 * np.median(weight)) + 1e-12
    )
    return found
