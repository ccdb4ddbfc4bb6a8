"""Matching of a whole scene: pairs are chosen, matched in a copy of the features' database, and reported."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scripts.lib.contracts.pairs import Pairs
from scripts.lib.contracts.photos import Photo
from scripts.lib.core.console import UserError
from scripts.lib.sfm import pairs
from scripts.lib.sfm.matching import match_pairs, require_photos_in, verified_pairs
from scripts.lib.sfm.options import MatchOptions
from scripts.lib.sfm.retrieval import count_votes


def match_photos(
    features: Path,
    photos: Sequence[Photo],
    database: Path,
    options: MatchOptions,
    threads: int,
) -> Pairs:
    """Copy `features` to `database`, match and verify pairs there; returns pairs.json's content.

    Raises UserError when `features` is no database of these photos, or no two photos see the same thing.
    """
    chosen = choose(features, photos, options)
    shutil.copyfile(features, database)
    device = match_pairs(database, chosen.pairs, options, threads)
    return report_pairs(database, photos, chosen, options, device)


def choose(features: Path, photos: Sequence[Photo], options: MatchOptions) -> pairs.Pairs:
    """The pairs to match, of photos whose features are in the database `features`.

    Raises UserError when that is no database of these photos.
    """
    names = [photo.file for photo in photos]
    require_photos_in(features, names, "extract_features")
    return pairs.choose_pairs(
        photos,
        options.strategy,
        exhaustive_limit=options.exhaustive_limit,
        neighbours=options.neighbours,
        overlap=options.overlap,
        votes=lambda: count_votes(features, names, options.neighbours),
    )


def report_pairs(
    database: Path,
    photos: Sequence[Photo],
    chosen: pairs.Pairs,
    options: MatchOptions,
    device: str,
) -> Pairs:
    """pairs.json's content for a database in which the chosen pairs were matched on `device`.

    Raises UserError when no two photos see the same thing.
    """
    found = verified_pairs(database)
    if not found:
        raise UserError(
            f"none of {len(chosen.pairs)} pairs of photos shows the same thing: take photos that "
            "overlap by two thirds, in focus, of something with texture"
        )
    linked = {name for pair in found for name in pair}
    kinds = [pair.kind for pair in found.values()]
    return Pairs(
        strategy=chosen.strategy,
        device=device,
        exhaustive_limit=options.exhaustive_limit,
        reason=chosen.reason,
        photos=len(photos),
        pairs=len(chosen.pairs),
        chosen_by=chosen.by,
        verified=len(found),
        median_inliers=float(np.median([pair.inliers for pair in found.values()])),
        kinds={kind: kinds.count(kind) for kind in sorted(set(kinds))},
        alone=tuple(photo.file for photo in photos if photo.file not in linked),
        links=tuple((a, b, pair.inliers) for (a, b), pair in sorted(found.items())),
    )
