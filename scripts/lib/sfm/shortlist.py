"""For each of many photos a short list of those that may look alike, without comparing every two photos.

An inverted file (Sivic and Zisserman, ICCV 2003; with several assignments and compared descriptors as in
Jégou, Douze and Schmid, ECCV 2008): descriptors lie in cells around samples of themselves, and each one looks
for the nearest in its own cell and three around it. One that is nearer than those that any descriptor has by
chance speaks for its photo. Work and memory for a photo do not depend on how many there are, but for the
search of its cells, which grows with the root of their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scripts.lib.sfm.dot_kernel import Bytes

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

# Of 192 features of a photo, 99 of 100 pairs that have the most votes of all are among 48 of the list
# (tests/bench/NOTES.md); twice as many features found hardly more.
FEATURES = 192
DIMENSIONS = 64  # of descriptors after principal components
CELL = 256  # descriptors of a cell on average, and four times as many at most
CROWD = 10  # of the nearest descriptors, how many are taken for chance
SAMPLED = 20_000  # descriptors from which principal components are taken
PHOTOS_AT_ONCE = 256
CHUNK = 4096  # descriptors whose products with all words are in memory at once


def shortlist(coarse: Sequence[Bytes], most: int, seed: int = 0) -> list[Rows]:
    """For each photo the numbers of others that may look like it, ascending.

    coarse: of each photo descriptors (K, 128), the coarsest first. most: photos that each one names; a
    photo's list has those that name it as well.
    """
    owner = np.repeat(np.arange(len(coarse)), [min(len(found), FEATURES) for found in coarse])
    random = np.random.default_rng(seed)
    named: list[set[int]] = [set() for _ in coarse]
    if len(owner) > 2 * CROWD:
        features = _projected([found[:FEATURES] for found in coarse], random)
        cells = _divided(features, random)
        for photo, others in _named(features, owner, cells, len(coarse), most):
            named[photo].update(others)
            for other in others:
                named[other].add(photo)
    return [np.array(sorted(others), np.int64) for others in named]


def _projected(coarse: Sequence[Bytes], random: np.random.Generator) -> npt.NDArray[np.float16]:
    """All descriptors as unit vectors (M, DIMENSIONS) of half precision, along principal components of their
    square roots (Arandjelović and Zisserman, CVPR 2012, for the roots)."""
    each = max(1, SAMPLED // len(coarse))
    sample = np.concatenate(
        [_roots(found[random.permutation(len(found))[:each]]) for found in coarse]
    )
    mean = sample.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((sample - mean).T))
    components = axes[:, ::-1][:, :DIMENSIONS].astype(np.float32)
    ends = np.cumsum([len(found) for found in coarse])
    features = np.empty((ends[-1], DIMENSIONS), np.float16)
    for found, end in zip(coarse, ends, strict=True):
        part = (_roots(found) - mean) @ components
        part /= np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-9)
        features[end - len(found) : end] = part
    return features


def _roots(found: Bytes) -> Floats:
    total = np.maximum(found.sum(axis=1, dtype=np.float32, keepdims=True), 1)
    return np.asarray(np.sqrt(found / total), np.float32)


@dataclass(frozen=True)
class _Cells:
    """Which descriptors lie in each cell, and which cells (M, 4) each one looks into, -1: none."""

    members: list[Rows]
    visited: npt.NDArray[np.int32]


def _divided(features: npt.NDArray[np.float16], random: np.random.Generator) -> _Cells:
    """Cells of about CELL descriptors in two levels, so that nobody looks for his among all of them."""
    count = len(features)
    first = _nearest_two(
        features, np.arange(count), round(np.sqrt(count / CELL)), np.arange(count), random
    )
    visited = np.full((count, 4), -1, np.int32)
    members: list[Rows] = []
    for group in range(int(first.max()) + 1):
        inside, guests = (np.flatnonzero(first[:, column] == group) for column in (0, 1))
        if not len(inside):
            continue
        everyone = np.concatenate([inside, guests])
        found = _nearest_two(features, everyone, round(len(inside) / CELL), inside, random)
        found[found >= 0] += len(members)
        visited[inside, :2], visited[guests, 2:] = np.split(found, [len(inside)])
        home = found[: len(inside), 0]
        for cell in range(len(members), int(home.max()) + 1):
            own = inside[home == cell]
            # Where thousands are alike they tell no photos apart, and some of them do as well.
            members.append(np.sort(random.permutation(own)[: 4 * CELL]))
    return _Cells(members, visited)


def _nearest_two(
    features: npt.NDArray[np.float16],
    rows: Rows,
    words: int,
    among: Rows,
    random: np.random.Generator,
) -> npt.NDArray[np.int32]:
    """The nearest and the second nearest (K, 2) of `words` descriptors, drawn from those `among`, for each of
    `rows`; the second is -1 if there is one word."""
    drawn = features[random.permutation(among)[: max(words, 1)]].astype(np.float32)
    found = np.full((len(rows), 2), -1, np.int32)
    for begin in range(0, len(rows), CHUNK):
        part = slice(begin, begin + CHUNK)
        products = features[rows[part]].astype(np.float32) @ drawn.T
        each = np.arange(len(products))
        found[part, 0] = products.argmax(axis=1)
        if len(drawn) > 1:
            products[each, found[part, 0]] = -np.inf
            found[part, 1] = products.argmax(axis=1)
    return found


def _named(
    features: npt.NDArray[np.float16], owner: Rows, cells: _Cells, photos: int, most: int
) -> Iterator[tuple[int, list[int]]]:
    """Each photo with the `most` for which its descriptors speak loudest."""
    begins = np.searchsorted(owner, np.arange(photos + 1))
    for start in range(0, photos, PHOTOS_AT_ONCE):
        end = min(start + PHOTOS_AT_ONCE, photos)
        score = np.zeros((end - start) * photos, np.float32)
        asking = np.arange(begins[start], begins[end])
        visits = cells.visited[asking]
        who, cell = np.repeat(asking, visits.shape[1]), visits.ravel()
        order = np.argsort(cell, kind="stable")
        who, cell = who[order], cell[order]
        bounds = np.searchsorted(cell, np.arange(len(cells.members) + 1))
        for number, inside in enumerate(cells.members):
            asked = who[bounds[number] : bounds[number + 1]]
            if len(asked) and len(inside) > 2 * CROWD:
                theirs, weight = _spoken(features, owner, asked, inside)
                place = (owner[asked] - start)[:, None] * photos + theirs
                np.add.at(score, place.ravel(), weight.ravel())
        for photo, row in enumerate(score.reshape(-1, photos), start):
            best = np.argsort(-row, kind="stable")[:most]
            yield photo, best[row[best] > 0].tolist()


def _spoken(
    features: npt.NDArray[np.float16], owner: Rows, asked: Rows, inside: Rows
) -> tuple[Rows, Floats]:
    """For each of the descriptors `asked` the photos (K, CROWD + 1) of the nearest ones in a cell, and how
    much each of them speaks: the square of what it is nearer than the last."""
    products = features[asked].astype(np.float32) @ features[inside].astype(np.float32).T
    products[owner[asked][:, None] == owner[inside]] = 0
    nearest = np.argpartition(-products, CROWD, axis=1)[:, : CROWD + 1]
    near = np.maximum(np.take_along_axis(products, nearest, axis=1), 0)
    return owner[inside][nearest], (near - near.min(axis=1, keepdims=True)) ** 2
