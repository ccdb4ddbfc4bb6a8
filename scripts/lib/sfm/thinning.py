"""Fewer tracks for the mapping: enough to register every photo, a fraction of the work.

A photo of half a megapixel may share two thousand features with others, and every step of an incremental
mapper (resection, triangulation, local and global adjustments) takes time in proportion to them. A few
hundred that are spread over the picture and seen by many photos give its pose as well, as a start: the last
adjustment has all of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pycolmap
from scipy import sparse
from scipy.sparse.csgraph import connected_components

Index = npt.NDArray[np.int64]
Matches = Mapping[tuple[int, int], Index]  # image numbers to features (K, 2)

PER_PHOTO = 200  # observations that each photo keeps, at least, where it has them
PER_PAIR = 25  # and matches of each verified pair, so that no weak bridge is lost
CELLS = 6  # along each side of a photo
PER_CELL = 1.5  # of an even share of PER_PHOTO; a crowded cell helps no pose
LONG = 10  # a longer track is not better: it may join two things
WORTH = 0.7  # share of observations left, above which thinning saves too little
# Tables that a mapper reads; descriptors, which are most of the file, and matches before RANSAC are not.
TABLES = (
    *("rigs", "rig_sensors", "cameras", "frames", "frame_data", "images", "pose_priors"),
    "keypoints",
)


@dataclass(frozen=True)
class Joined:
    """Features that verified matches join to tracks. Tracks with two features of one photo are left out.

    `numbers` of the images, ascending; per observation, photo by photo, the photo (a row of `numbers`),
    feature and track (N,); `node_track`: the track of every feature of every photo, -1 for none, photo after
    photo, each beginning at `first`.
    """

    numbers: list[int]
    first: Index
    photo: Index
    feature: Index
    track: Index
    node_track: Index


def join(counts: Mapping[int, int], matches: Matches) -> Joined:
    """Tracks of what `matches` join between images with so many features each (`counts`)."""
    numbers = sorted(counts)
    row = {number: i for i, number in enumerate(numbers)}
    first = np.concatenate([[0], np.cumsum([counts[number] for number in numbers])]).astype(
        np.int64
    )
    node_track = np.full(first[-1], -1)
    joined = [
        pairs + [first[row[a]], first[row[b]]]
        for (a, b), pairs in matches.items()
        if a in row and b in row and len(pairs)
    ]
    if not joined:
        none = np.zeros(0, np.int64)
        return Joined(numbers, first, none, none, none, node_track)
    edges = np.concatenate(joined).astype(np.int64)
    graph = sparse.coo_matrix((np.ones(len(edges), np.int8), edges.T), shape=(first[-1], first[-1]))
    _, label = connected_components(graph, directed=False)
    joins = np.zeros(first[-1], bool)
    joins[edges] = True
    nodes = np.flatnonzero(joins)
    photo = np.searchsorted(first, nodes, side="right") - 1
    track = _renumbered(label[nodes])
    observed = np.sort(track * len(numbers) + photo)
    twice = observed[1:][observed[1:] == observed[:-1]] // len(numbers)
    good = np.bincount(twice, minlength=int(track.max()) + 1)[track] == 0
    track = _renumbered(track[good])
    nodes, photo = nodes[good], photo[good]
    node_track[nodes] = track
    return Joined(numbers, first, photo, nodes - first[photo], track, node_track)


def _renumbered(labels: Index) -> Index:
    """Labels counted from 0 without gaps, in their order."""
    used = np.bincount(labels) > 0
    return (np.cumsum(used) - 1)[labels]


def thinned(
    counts: Mapping[int, int], matches: Matches, keypoints: Mapping[int, npt.NDArray[np.float32]]
) -> dict[tuple[int, int], Index] | None:
    """The matches of some tracks, chosen so that each photo and each pair keeps enough of them.

    keypoints: of each image's features (N, 2 or more), pixels. None where most would be kept: not worth it.
    """
    tracks = join(counts, matches)
    if not len(tracks.track):
        return None
    kept = _chosen(tracks, _cells(tracks, keypoints), *_links(tracks, matches))
    if kept[tracks.track].mean() > WORTH:
        return None
    row = {number: i for i, number in enumerate(tracks.numbers)}
    left = {}
    for (a, b), pairs in matches.items():
        if a in row and b in row:
            label = tracks.node_track[tracks.first[row[a]] + pairs[:, 0]]
            left[a, b] = pairs[(label >= 0) & kept[label]]
    return left


def _cells(tracks: Joined, keypoints: Mapping[int, npt.NDArray[np.float32]]) -> Index:
    """The cell (N,) of its photo that each observation lies in, numbered through all photos."""
    cell = np.zeros(len(tracks.photo), np.int64)
    ends = np.searchsorted(tracks.photo, np.arange(len(tracks.numbers) + 1))
    for i, number in enumerate(tracks.numbers):
        mine = slice(ends[i], ends[i + 1])
        if ends[i] < ends[i + 1]:
            xy = keypoints[number][tracks.feature[mine], :2]
            low = xy.min(axis=0)
            flat = (CELLS * (xy - low) / (np.ptp(xy, axis=0) + 1e-3)).astype(int)
            cell[mine] = CELLS * (CELLS * i + flat[:, 1]) + flat[:, 0]
    return cell


def _links(tracks: Joined, matches: Matches) -> tuple[Index, Index]:
    """Of each match its pair's number and its track (M,)."""
    row = {number: i for i, number in enumerate(tracks.numbers)}
    pair, label = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for i, ((a, b), pairs) in enumerate(matches.items()):
        if a in row and b in row:
            found = tracks.node_track[tracks.first[row[a]] + pairs[:, 0]]
            label.append(found[found >= 0])
            pair.append(np.full(len(label[-1]), i))
    return np.concatenate(pair), np.concatenate(label)


def _chosen(tracks: Joined, cell: Index, pair: Index, of_pair: Index) -> npt.NDArray[np.bool_]:
    """Which tracks (T,) are kept: long ones first, each that a photo or a pair still wants."""
    count = int(tracks.track.max()) + 1
    length = np.bincount(tracks.track, minlength=count)
    mixed = np.random.default_rng(0).permutation(count)
    order = mixed[np.argsort(-np.minimum(length[mixed], LONG), kind="stable")]
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    kept = np.zeros(count, bool)  # by rank
    photos, pairs = np.zeros(len(tracks.numbers), np.int64), np.zeros(int(pair.max()) + 1, np.int64)
    cells = np.zeros(len(tracks.numbers) * CELLS**2, np.int64)
    quota = int(np.ceil(PER_CELL * PER_PHOTO / CELLS**2))
    step = max(64, len(tracks.numbers))
    spans = [(begin, min(begin + step, count)) for begin in range(0, count, step)]
    observed, linked = _ranked(rank[tracks.track], spans), _ranked(rank[of_pair], spans)
    for crowded in (False, True):  # a second time for photos whose features lie in few cells
        for span, (seen, of), (link, by) in zip(spans, observed, linked, strict=True):
            wanted = photos[tracks.photo[seen]] < PER_PHOTO
            if not crowded:
                wanted &= cells[cell[seen]] < quota
            new = np.zeros(span[1] - span[0], bool)
            new[of[wanted]] = True
            new[by[pairs[pair[link]] < PER_PAIR]] = True
            new &= ~kept[slice(*span)]
            kept[slice(*span)] |= new
            seen, link = seen[new[of]], link[new[by]]
            np.add.at(photos, tracks.photo[seen], 1)
            np.add.at(cells, cell[seen], 1)
            np.add.at(pairs, pair[link], 1)
    return kept[rank]


def _ranked(rank: Index, spans: Sequence[tuple[int, int]]) -> list[tuple[Index, Index]]:
    """For each span of ranks the rows that have them, and their ranks from the span's begin."""
    order = np.argsort(rank, kind="stable")
    cuts = np.searchsorted(rank[order], [begin for begin, _ in spans][1:])
    parts = np.split(order, cuts)
    return [(rows, rank[rows] - begin) for rows, (begin, _) in zip(parts, spans, strict=True)]


def write_thinned(database: Path, output: Path, left: Matches) -> None:
    """Write a database with the photos and features of `database`, and the matches `left` of its pairs."""
    pycolmap.Database.open(output).close()
    with closing(sqlite3.connect(output)) as link:
        link.execute("ATTACH ? AS whole", (str(database),))
        for table in TABLES:
            link.execute(f"INSERT INTO main.{table} SELECT * FROM whole.{table}")
        link.commit()
    with pycolmap.Database.open(database) as whole, pycolmap.Database.open(output) as link:
        for pair_id, geometry in zip(*whole.read_two_view_geometries(), strict=True):
            a, b = pycolmap.pair_id_to_image_pair(pair_id)
            if len(left.get((a, b), ())):
                geometry.inlier_matches = left[a, b].astype(np.uint32)
                link.write_two_view_geometry(a, b, geometry)
