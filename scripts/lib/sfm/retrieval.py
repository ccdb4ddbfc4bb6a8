"""Which photos look alike, from the features that are there already: nothing is downloaded.

The coarsest features of a photo are few, survive distance and blur, and describe what it shows as a
whole. Two photos vote for each other with every pair of them that are each other's best match and
pass the ratio test. This needs no training, and costs a tenth of a millisecond a pair; of many photos each
is compared with those of a short list.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, triu
from scipy.sparse.csgraph import minimum_spanning_tree

from scripts.lib.core.console import Progress
from scripts.lib.core.threads import threads
from scripts.lib.sfm.descriptors import Limits, comparer
from scripts.lib.sfm.dot_kernel import Bytes
from scripts.lib.sfm.shortlist import shortlist

# Wider than for matching: a vote need not be right, only more often right than not.
VOTES = Limits(ratio=0.85)
MOST_FEATURES = 384
# Up to this many photos every two are compared. Above, each with those of a short list: 2000 photos would be
# two million comparisons.
EVERY_TWO_UP_TO = 250
LISTED = 64  # photos that each one names for its list, or twice as many as it is matched with
SCORED = 3  # votes from which a pair is more than chance


def count_votes(database: Path, names: Sequence[str], most: int = 0) -> csr_array:
    """Votes (N, N), symmetric, between the photos `names` of a database with features; 0 also for those that
    were not compared. most: photos that each one is going to be matched with."""
    count = len(names)
    compare = comparer("cpu")
    link = pycolmap.Database.open(database)
    ids = {image.name: image.image_id for image in link.read_all_images()}
    coarse = [coarse_descriptors(link, ids[name], MOST_FEATURES) for name in names]
    link.close()
    if count <= EVERY_TWO_UP_TO:
        listed = [np.arange(i + 1, count) for i in range(count)]
    else:
        lists = shortlist(coarse, max(LISTED, 2 * most))
        listed = [others[others > i] for i, others in enumerate(lists)]
    packed = []
    for number in range(count):
        packed.append(compare.pack(coarse[number]))
        coarse[number] = coarse[number][:0].copy()  # of thousands of photos not both at once
    progress = Progress("Looking for overlap", count)

    def count_row(i: int) -> list[int]:
        return [len(compare.match(packed[i], packed[j], VOTES)) for j in listed[i].tolist()]

    counted: list[int] = []
    with ThreadPoolExecutor(threads() if compare.concurrent else 1) as pool:
        for done, row in enumerate(pool.map(count_row, range(count)), 1):
            counted += row
            progress.update(done)
    rows = np.repeat(np.arange(count), [len(others) for others in listed])
    half = coo_array(
        (np.array(counted, np.int32), (rows, np.concatenate(listed))), (count, count)
    ).tocsr()
    votes = half + half.T
    votes.eliminate_zeros()
    return votes


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


def voted_pairs(votes: csr_array, most: int, least: int = 3) -> list[tuple[int, int]]:
    """Pairs worth matching: of each photo its `most` best with votes above chance, at least `least`.

    Of equal votes the first photos are taken. A spanning tree of the best votes is added, so that no group of
    photos is cut off by its own liveliness.
    """
    count = votes.shape[0]
    pairs: set[tuple[int, int]] = set()
    votes = votes.sorted_indices()
    for i in range(count):
        row = slice(votes.indptr[i], votes.indptr[i + 1])
        others, given = votes.indices[row], votes.data[row]
        order = np.argsort(-given, kind="stable")
        ranked = [(int(others[k]), int(given[k])) for k in order if others[k] != i]
        if len(ranked) < least:
            # Of those without any vote the first ones.
            known = {i, *(j for j, _ in ranked)}
            without = (j for j in range(count) if j not in known)
            ranked += [(j, 0) for j in islice(without, least - len(ranked))]
        taken = [j for n, (j, v) in enumerate(ranked[:most]) if n < least or v >= SCORED]
        pairs.update((min(i, j), max(i, j)) for j in taken)
    weights = triu(votes, 1).tocsr().astype(float)
    if weights.nnz:
        weights.data = 1.0 / weights.data
        tree = minimum_spanning_tree(weights).tocoo()
        edges = zip(tree.row.tolist(), tree.col.tolist(), strict=True)
        pairs.update((min(edge), max(edge)) for edge in edges)
    return sorted(pairs)
