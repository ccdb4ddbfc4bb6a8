"""Which photos look alike, from the features that are there already: nothing is downloaded.

The coarsest features of a photo are few, survive distance and blur, and describe what it shows as a
whole. Two photos vote for each other with every pair of them that are each other's best match and
pass the ratio test. This needs no vocabulary and no training, and costs a few milliseconds a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from scripts.lib.console import Progress

RATIO = 0.85  # wider than for matching: a vote need not be right, only more often right than not
MOST_FEATURES, LEAST_FEATURES = 384, 96
# Comparisons of features grow with the square of photos times features; above this many photos
# each one brings fewer, so that 2000 photos take minutes, not hours.
FULL_UP_TO = 250
SCORED = 3  # votes from which a pair is more than chance

Votes = NDArray[np.int32]


def count_votes(database: Path, names: Sequence[str]) -> Votes:
    """Votes (N, N), symmetric, between the photos `names` of a database with features."""
    count = len(names)
    each = int(
        np.clip(MOST_FEATURES * FULL_UP_TO / max(count, FULL_UP_TO), LEAST_FEATURES, MOST_FEATURES)
    )
    coarse = _coarse_features(database, names, each)
    votes = np.zeros((count, count), np.int32)
    if count < 2:
        return votes
    block = max(1, 8192 // each)  # photos compared at once: bounds the memory to some 13 MB a photo
    progress = Progress("Looking for overlap", count)
    for i in range(count):
        for begin in range(i + 1, count, block):
            others = coarse[begin : begin + block]
            votes[i, begin : begin + block] = _mutual(coarse[i], others)
        progress.update(i + 1)
    return votes + votes.T


def _coarse_features(database: Path, names: Sequence[str], each: int) -> NDArray[np.float32]:
    """Unit descriptors (N, each, 128) of the largest features, zero where a photo has fewer."""
    link = pycolmap.Database.open(database)
    ids = {image.name: image.image_id for image in link.read_all_images()}
    coarse = np.zeros((len(names), each, 128), np.float32)
    for row, name in enumerate(names):
        points = np.asarray(link.read_keypoints(ids[name]))
        if len(points) == 0:
            continue
        # Columns 2 to 5 are the affine shape; its determinant is the square of the scale.
        scale = points[:, 2] * points[:, 5] - points[:, 3] * points[:, 4]
        largest = np.argsort(-scale, kind="stable")[:each]
        found = np.asarray(link.read_descriptors(ids[name]).data)[largest].astype(np.float32)
        coarse[row, : len(found)] = found / np.maximum(
            np.linalg.norm(found, axis=1, keepdims=True), 1.0
        )
    link.close()
    return coarse


def _mutual(one: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.int32]:
    """Mutual best matches that pass the ratio test, of `one` (K, 128) with each of `others` (B, K, 128)."""
    size, each, _ = others.shape
    likeness = (one @ others.reshape(-1, 128).T).reshape(each, size, each).swapaxes(0, 1)
    forth = likeness.argmax(axis=2)  # (B, K)
    best = np.take_along_axis(likeness, forth[..., None], 2)[..., 0]
    back = likeness.argmax(axis=1)
    mutual = np.take_along_axis(back, forth, 1) == np.arange(each)
    np.put_along_axis(likeness, forth[..., None], -1.0, 2)
    second = likeness.max(axis=2)
    # Distances of unit vectors: d^2 = 2 - 2 cos. A descriptor of zeros matches nothing.
    near = (2 - 2 * best) < RATIO**2 * (2 - 2 * second)
    return (mutual & near & (best > 0)).sum(axis=1).astype(np.int32)


def voted_pairs(votes: Votes, most: int, least: int = 3) -> list[tuple[int, int]]:
    """Pairs worth matching: of each photo its `most` best with votes above chance, at least `least`.

    A spanning tree of the best votes is added, so that no group of photos is cut off by its own
    liveliness.
    """
    count = len(votes)
    pairs: set[tuple[int, int]] = set()
    order = np.argsort(-votes, axis=1, kind="stable")
    for i in range(count):
        ranked = [int(j) for j in order[i] if j != i]
        taken = [j for rank, j in enumerate(ranked[:most]) if rank < least or votes[i, j] >= SCORED]
        pairs.update((min(i, j), max(i, j)) for j in taken)
    weights = np.triu(votes, 1)
    rows, columns = np.nonzero(weights)
    if len(rows):
        distances = 1.0 / weights[rows, columns]
        tree = minimum_spanning_tree(coo_array((distances, (rows, columns)), (count, count)))
        pairs.update((min(edge), max(edge)) for edge in np.argwhere(tree.toarray() > 0).tolist())
    return sorted(pairs)
