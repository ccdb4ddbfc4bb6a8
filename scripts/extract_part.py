"""SIFT features of one part of a large scene's photos.

Needs  photos.zip, photos.json
Leaves parts/features.1.db, features.1.json and so on, as extract_features leaves features.db and .json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import read, stamped, write
from scripts.lib.core.cards import add_device_argument, use_device
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import SFM
from scripts.lib.core.threads import use_threads
from scripts.lib.sfm.options import FeatureOptions
from scripts.lib.sfm.parts import extract_part


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.extract_part", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="photos.zip of import_photos")
    parser.add_argument("--photos-report", type=Path, required=True, help="its photos.json")
    parser.add_argument("--part", type=int, required=True, help="number of the part, from 1")
    parser.add_argument("--parts", type=int, required=True, help="number of all parts")
    parser.add_argument("--options", default="{}", help="JSON object, see FeatureOptions")
    parser.add_argument("--database", type=Path, required=True, help="COLMAP database to write")
    parser.add_argument("--metrics", type=Path, required=True, help="its JSON to write")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all")
    add_device_argument(parser)
    args = parser.parse_args(argv)
    threads = use_threads(args.threads)
    use_device(args.device)
    options = parse_options(FeatureOptions, args.options)
    photos = read(Photos, args.photos_report).used
    made = extract_part(args.photos, photos, args.part, args.parts, args.database, options, threads)
    write(args.metrics, stamped(made, options, *SFM))
    say(f"Part {args.part} of {args.parts}: features of {made.photos} photos.")


if __name__ == "__main__":
    run_main(main)
