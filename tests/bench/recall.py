"""Which of the pairs that truly overlap are chosen: python -m tests.bench.recall features.db photos.json.

Compares every two photos, without the quick look at their coarsest features; those with at least 30 matches
that fit one geometry overlap. Prints one JSON line: of each strategy how many pairs it chooses, what share of
the overlapping ones is among them (also of those with at least 100 matches), and how many groups of photos
are left if those are the links. `short`: as in a set so large that not every two photos vote.
`--all all.db` keeps the comparison of every two, and takes it from there the next time.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np  # noqa: E402
from scipy.sparse import coo_array  # noqa: E402
from scipy.sparse.csgraph import connected_components  # noqa: E402

from scripts.lib.contracts.photos import Photo, Photos  # noqa: E402
from scripts.lib.contracts.record import read  # noqa: E402
from scripts.lib.core.threads import threads, use_threads  # noqa: E402
from scripts.lib.sfm import match_run, matching, retrieval  # noqa: E402
from scripts.lib.sfm.options import MatchOptions  # noqa: E402
from scripts.lib.sfm.pairs import choose_pairs  # noqa: E402

OVERLAPPING, PLAINLY = 30, 100  # matches that fit


def every_two(features: Path, photos: Sequence[Photo], all_db: Path) -> None:
    """Match all pairs."""
    setattr(matching, "SCORED", 0)  # noqa: B010
    options = MatchOptions(strategy="exhaustive")
    match_run.match_photos(features, photos, all_db, options, threads())


def chosen_by(strategy: str, features: Path, photos: Sequence[Photo]) -> set[tuple[str, str]]:
    """The pairs that a strategy chooses, `short` being retrieval as in a large set."""
    options, names = MatchOptions(), [photo.file for photo in photos]
    if strategy in ("short", "retrieval"):
        photos = [replace(photo, latitude=None, longitude=None) for photo in photos]
    setattr(retrieval, "EVERY_TWO_UP_TO", 0 if strategy == "short" else len(photos))  # noqa: B010
    found = choose_pairs(
        photos,
        "retrieval" if strategy == "short" else strategy,
        exhaustive_limit=options.exhaustive_limit,
        neighbours=options.neighbours,
        overlap=options.overlap,
        votes=lambda: retrieval.count_votes(features, names),
    )
    return set(map(ordered, found.pairs))


def ordered(pair: tuple[str, str]) -> tuple[str, str]:
    """The pair, whoever is its first."""
    return min(pair), max(pair)


def groups(pairs: set[tuple[str, str]], names: Sequence[str]) -> int:
    """Connected groups of photos."""
    number = {name: n for n, name in enumerate(names)}
    ends = np.array([[number[a], number[b]] for a, b in pairs]).reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), tuple(ends)), (len(names), len(names)))
    return int(connected_components(graph, directed=False)[0])


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("features", type=Path, help="features.db")
    parser.add_argument("report", type=Path, help="photos.json")
    parser.add_argument("--all", type=Path, help="database of all pairs, to keep and to use again")
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args(argv)
    use_threads(args.threads)
    photos = read(Photos, args.report).used
    names = [photo.file for photo in photos]
    with tempfile.TemporaryDirectory(prefix="recall.") as folder:
        everything = args.all or Path(folder) / "all.db"
        if not everything.exists():
            every_two(args.features, photos, everything)
        found = {
            ordered(pair): verified.inliers
            for pair, verified in matching.verified_pairs(everything).items()
        }
    true, plain = (
        {pair for pair, inliers in found.items() if inliers >= least}
        for least in (OVERLAPPING, PLAINLY)
    )
    result: dict[str, Any] = {
        "photos": len(names),
        "every_two": len(list(combinations(names, 2))),
        "overlapping": len(true),
        "plainly": len(plain),
        "groups": groups(true, names),
    }
    strategies = ["retrieval", "short", "sequential"]
    if sum(photo.latitude is not None for photo in photos) > 1:
        strategies.append("spatial")
    for strategy in strategies:
        pairs = chosen_by(strategy, args.features, photos)
        result[strategy] = {
            "pairs": len(pairs),
            "recall": round(len(pairs & true) / max(len(true), 1), 4),
            "recall_plainly": round(len(pairs & plain) / max(len(plain), 1), 4),
            "groups": groups(pairs & true, names),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
