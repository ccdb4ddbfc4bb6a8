"""Our matching against pycolmap's: python -m tests.bench.match [features.db] [--photos 300] [--pairs 200].

Without a database photos are made up: a flight in which each shows what is below it, and many features that
no other photo shows. Prints one JSON line: user CPU and wall seconds per 1000 pairs of both, the same pairs
in the same run; verified pairs, and the share of COLMAP's inlier matches that are among ours. With a GPU
and torch also the seconds of all pairs there, and whether they are the same. `--pairs 0`: ours alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import combinations
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np  # noqa: E402
import pycolmap  # noqa: E402

from scripts.lib.core.threads import threads  # noqa: E402
from scripts.lib.sfm import gpu, matching  # noqa: E402
from scripts.lib.sfm.features import write_images  # noqa: E402
from scripts.lib.sfm.matching import match_pairs, verified_matches  # noqa: E402
from scripts.lib.sfm.options import (
    FeatureOptions,  # noqa: E402
    MatchOptions,  # noqa: E402
)
from tests.bench.sfm_world import HEIGHT, WIDTH, _flight, _views  # noqa: E402
from tests.photo_lines import line

NEIGHBOURS = 16
CHANGED = 12.0  # noise of each number of a descriptor that is seen again; its length is 512


def made_up(database: Path, photos: int, features: int) -> list[tuple[str, str]]:
    """Write features of a flight; returns the pairs of each photo with its nearest ones."""
    dice = np.random.default_rng(0)
    centres, turns, points, reach = _flight(photos, dice)
    names = [f"{number:04d}.jpg" for number in range(photos)]
    size = {"width": WIDTH, "height": HEIGHT, "focal_px": 1300.0, "camera": "made up"}
    lines = [line(name, **size) for name in names]
    pycolmap.Database.open(database).close()
    ids = write_images(lines, database, FeatureOptions())
    shown = descriptors(len(points), dice)
    scales = dice.uniform(1.5, 8, len(points))
    with pycolmap.Database.open(database) as link, pycolmap.DatabaseTransaction(link):
        for name, (seen, pixels) in zip(
            names, _views(centres, turns, points, reach, dice), strict=True
        ):
            more = max(features - len(seen), 0)
            places = np.concatenate([pixels, dice.uniform(0, 1, (more, 2)) * [WIDTH, HEIGHT]])
            scale = np.concatenate([scales[seen], dice.uniform(1.5, 8, more)])
            keypoints = np.zeros((len(places), 6), np.float32)
            keypoints[:, :2], keypoints[:, 2], keypoints[:, 5] = places, scale, scale
            again = rounded(shown[seen] + dice.normal(size=(len(seen), 128)) * CHANGED)
            described = np.concatenate([again, rounded(descriptors(more, dice))])
            link.write_keypoints(ids[name], keypoints)
            kind = pycolmap.FeatureExtractorType.SIFT
            link.write_descriptors(ids[name], pycolmap.FeatureDescriptors(kind, described))
    far = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    near = np.argsort(far, axis=1)[:, 1 : NEIGHBOURS + 1]
    pairs = {(min(i, int(j)), max(i, int(j))) for i, row in enumerate(near) for j in row}
    return [(names[i], names[j]) for i, j in sorted(pairs)]


def descriptors(count: int, dice: np.random.Generator) -> np.ndarray:
    return dice.gamma(0.5, size=(count, 128)) * 32


def rounded(found: np.ndarray) -> np.ndarray:
    """As SIFT writes them: 512 long, in whole numbers."""
    found = np.maximum(found, 0)
    found *= 512 / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1)
    return np.minimum(np.round(found), 255).astype(np.uint8)


def by_colmap(database: Path, pairs: Sequence[tuple[str, str]]) -> None:
    """What `match_pairs` did before: COLMAP's defaults."""
    listing = database.with_suffix(".txt")
    listing.write_text("".join(f"{a} {b}\n" for a, b in pairs))
    pairing = pycolmap.ImportedPairingOptions()
    pairing.match_list_path = listing
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = 0
    pycolmap.match_image_pairs(
        database,
        pairing_options=pairing,
        verification_options=verification,
        device=pycolmap.Device.cpu,
    )


def measured(
    source: Path, target: Path, pairs: Sequence[tuple[str, str]], match: Callable[..., None]
) -> tuple[dict[str, float], dict[tuple[int, int], set[tuple[int, int]]]]:
    """Costs per 1000 pairs, and the verified matches."""
    shutil.copyfile(source, target)
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    match(target, pairs)
    wall = time.monotonic() - began
    user = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before.ru_utime
    found = {
        pair: set(map(tuple, matches.tolist()))
        for pair, matches in verified_matches(target).items()
    }
    thousands = len(pairs) / 1000
    costs = {"user_cpu_s": round(user / thousands, 2), "wall_s": round(wall / thousands, 2)}
    return costs | {"pairs": len(pairs), "verified": len(found)}, found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("database", type=Path, nargs="?", help="features.db of a scene")
    parser.add_argument("--photos", type=int, default=60, help="of a made-up flight")
    parser.add_argument("--features", type=int, default=4000, help="of each made-up photo")
    parser.add_argument("--pairs", type=int, default=200, help="compared by COLMAP; 0: none")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="bench.") as folder:
        home = Path(folder)
        source = args.database or home / "features.db"
        if args.database is None:
            pairs = made_up(source, args.photos, args.features)
        else:
            with pycolmap.Database.open(source) as link:
                pairs = list(combinations(sorted(i.name for i in link.read_all_images()), 2))
        result: dict[str, Any] = {"threads": threads()}

        def ours(database: Path, chosen: Sequence[tuple[str, str]]) -> None:
            match_pairs(database, chosen, MatchOptions(), threads())

        cuda = gpu.can_compare_on_gpu()
        if cuda:
            setattr(matching, "comparing", lambda *_: nullcontext("cuda"))  # noqa: B010
        if cuda or not args.pairs:
            name = "ours_all_pairs_gpu" if cuda else "ours_all_pairs"
            result[name], first = measured(source, home / "all.db", pairs, ours)
        if cuda:
            setattr(matching, "comparing", lambda *_: nullcontext("cpu"))  # noqa: B010
            result["ours_all_pairs_cpu"], second = measured(source, home / "c.db", pairs, ours)
            result["same_on_both"] = first == second
        if args.pairs:
            some = sorted(random.Random(0).sample(pairs, min(args.pairs, len(pairs))))
            result["ours"], mine = measured(source, home / "ours.db", some, ours)
            result["colmap"], theirs = measured(source, home / "colmap.db", some, by_colmap)
            shared = sum(len(found & mine.get(pair, set())) for pair, found in theirs.items())
            result["shared"] = round(shared / max(sum(map(len, theirs.values())), 1), 4)
            result["ratio"] = round(
                result["ours"]["user_cpu_s"] / result["colmap"]["user_cpu_s"], 4
            )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
