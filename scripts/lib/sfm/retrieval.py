"""Which photos look alike, from the features that are there already: nothing is downloaded.

The coarsest features of a photo are few, survive distance and blur, and describe what it shows as a
whole. Two photos vote for each other with every pair of them that are each other's best match and
pass the ratio test. This needs no vocabulary and no training, and costs a tenth of a millisecond a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from scripts.lib.core.console import Progress
from scripts.lib.core.threads import threads
from scripts.lib.sfm.descriptors import Limits, comparer
from scripts.lib.sfm.dot_kernel import Bytes

# Wider than for matching: a vote need not be right, only more often right than not.
VOTES = Limits(ratio=0.85)
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
    compare = comparer("cpu")
    link = pycolmap.Database.open(database)
    ids = {image.name: image.image_id for image in link.read_all_images()}
    packed = [compare.pack(coarse_descriptors(link, ids[name], each)) for name in names]
    link.close()
    votes = np.zeros((count, count), np.int32)
    progress = Progress("Looking for overlap", count)

    def count_row(i: int) -> None:
        for j in range(i + 1, count):
            votes[i, j] = len(compare.match(packed[i], packed[j], VOTES))

    with ThreadPoolExecutor(threads() if compare.concurrent else 1) as pool:
        for done, _ in enumerate(pool.map(count_row, range(count)), 1):
            progress.update(done)
    return votes + votes.T


def coarse_descriptors(link: Any, image_id: int, most: int) -> Bytes:
    """Descriptors (N, 128) of the largest features of a photo, at most `most`."""
    points = np.asarray(link.read_keypoints(image_id))
    if len(points) == 0:
        return np.zeros((0, 128), np.uint8)
    return np.asarray(link.read_descriptors(image_id).data)[coarsest(points, most)]


def coarsest(points: NDArray[np.float32], most: int) -> NDArray[np.intp]:
    """Numbers of the `most` largest of features (N, 6) as COLMAP has them, largest first."""
    # Columns 2 to 5 are the affine shape; its determinant is the square of the scale.
    scale = points[:, 2] * points[:, 5] - points[:, 3] * points[:, 4]
    return np.argsort(-scale, kind="stable")[:most]


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
