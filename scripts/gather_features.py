"""One database of the features of a large scene, from those of its parts.

Needs  photos.json, parts/features.1.db, features.1.json and so on
Leaves features.db and features.json, as extract_features does
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.features import Features
from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import read, stamped, write
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import SFM
from scripts.lib.sfm.options import FeatureOptions
from scripts.lib.sfm.parts import gather_features


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.gather_features", description=__doc__)
    parser.add_argument("--photos-report", type=Path, required=True, help="photos.json")
    parser.add_argument("--parts", type=Path, nargs="+", required=True, help="databases, in order")
    parser.add_argument("--numbers", type=Path, nargs="+", required=True, help="their JSON files")
    parser.add_argument("--options", default="{}", help="JSON object, see FeatureOptions")
    parser.add_argument("--database", type=Path, required=True, help="features.db to write")
    parser.add_argument("--metrics", type=Path, required=True, help="features.json to write")
    args = parser.parse_args(argv)
    options = parse_options(FeatureOptions, args.options)
    photos = read(Photos, args.photos_report).used
    told = [read(Features, path) for path in args.numbers]
    made = gather_features(photos, args.parts, told, args.database, options)
    write(args.metrics, stamped(made, options, *SFM))
    say(f"{args.database}: features of {made.photos} photos from {len(args.parts)} parts.")


if __name__ == "__main__":
    run_main(main)
