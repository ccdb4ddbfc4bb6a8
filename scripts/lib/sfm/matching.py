"""Matching of photo pairs and their geometric verification, in a copy of the features' database."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from scripts.lib.console import Progress, UserError
from scripts.lib.sfm import quiet  # noqa: F401  (keeps COLMAP quiet)
from scripts.lib.sfm.gpu import device
from scripts.lib.sfm.pairs import STRATEGIES, choose_pairs


@dataclass(frozen=True)
class MatchOptions:
    """Config section `match_photos`."""

    strategy: str = "auto"
    exhaustive_limit: int = 80  # photos; 3160 pairs take minutes on two cores
    neighbours: int = 20  # spatial: nearest photos each one is compared with
    overlap: int = 10  # sequential: next photos each one is compared with
    max_ratio: float = 0.8  # Lowe's ratio test
    guided: bool = False  # search again along epipolar lines: more matches, about twice the time
    min_inliers: int = 15
    seed: int = 0


def match_photos(
    features: Path,
    photos: Sequence[dict[str, Any]],
    database: Path,
    options: MatchOptions,
    threads: int,
) -> dict[str, Any]:
    """Copy `features` to `database`, match and verify pairs there; returns pairs.json's content.

    Raises UserError when the strategy is unknown or no two photos see the same thing.
    """
    if options.strategy not in STRATEGIES:
        raise UserError(
            f"strategy {options.strategy!r} is unknown; choose from {', '.join(STRATEGIES)}"
        )
    chosen = choose_pairs(
        photos,
        options.strategy,
        exhaustive_limit=options.exhaustive_limit,
        neighbours=options.neighbours,
        overlap=options.overlap,
    )
    shutil.copyfile(features, database)
    matching, verification = _settings(options, threads)
    pycolmap.set_random_seed(options.seed)
    progress = Progress("Pairs", len(chosen.pairs))
    done = 0
    with tempfile.TemporaryDirectory(prefix=".pairs.", dir=database.parent) as folder:
        listing = Path(folder) / "pairs.txt"
        pairing = pycolmap.ImportedPairingOptions()
        pairing.match_list_path = listing
        for portion in _portions(chosen.pairs):
            listing.write_text("".join(f"{a} {b}\n" for a, b in portion), encoding="utf-8")
            pycolmap.match_image_pairs(
                database,
                matching_options=matching,
                pairing_options=pairing,
                verification_options=verification,
                device=device(),
            )
            done += len(portion)
            progress.update(done)
    inliers = verified_inliers(database)
    if not inliers:
        raise UserError(
            f"none of {len(chosen.pairs)} pairs of photos shows the same thing: take photos that "
            "overlap by two thirds, in focus, of something with texture"
        )
    linked = {name for pair in inliers for name in pair}
    return {
        "strategy": chosen.strategy,
        "reason": chosen.reason,
        "photos": len(photos),
        "pairs": len(chosen.pairs),
        "verified": len(inliers),
        "median_inliers": float(np.median(list(inliers.values()))),
        "alone": [photo["file"] for photo in photos if photo["file"] not in linked],
    }


def verified_inliers(database: Path) -> dict[tuple[str, str], int]:
    """Inlier matches of every verified pair, by names."""
    link = pycolmap.Database.open(database)
    names = {image.image_id: image.name for image in link.read_all_images()}
    ids, counts = link.read_two_view_geometry_num_inliers()
    link.close()
    pairs = {}
    for pair_id, count in zip(ids, counts, strict=True):
        if count > 0:
            a, b = pycolmap.pair_id_to_image_pair(pair_id)
            pairs[names[a], names[b]] = int(count)
    return pairs


def _portions(pairs: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """About ten portions, to tell the progress, each of few photos: their search trees are built anew."""
    names = sorted({name for pair in pairs for name in pair})
    tile = {name: number // 24 for number, name in enumerate(names)}
    ordered = sorted(pairs, key=lambda pair: (tile[pair[0]], tile[pair[1]], pair))
    size = min(max(len(pairs) // 10, 60), 1000)
    return [ordered[begin : begin + size] for begin in range(0, len(ordered), size)]


def _settings(
    options: MatchOptions, threads: int
) -> tuple[pycolmap.FeatureMatchingOptions, pycolmap.TwoViewGeometryOptions]:
    matching = pycolmap.FeatureMatchingOptions()
    matching.num_threads = threads
    matching.guided_matching = options.guided
    matching.sift.max_ratio = options.max_ratio
    verification = pycolmap.TwoViewGeometryOptions()
    verification.min_num_inliers = options.min_inliers
    verification.ransac.random_seed = options.seed
    return matching, verification
