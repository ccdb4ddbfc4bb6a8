"""SIFT features and starting intrinsics of every photo.

Needs: photos.zip, photos.json.   Leaves: features.db (a COLMAP database), features.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from scripts.lib.contracts.features import Features
from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import read, stamped, write
from scripts.lib.core.cards import add_device_argument, use_device
from scripts.lib.core.console import run_main, say
from scripts.lib.core.files import replacing
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import SFM
from scripts.lib.core.threads import use_threads
from scripts.lib.sfm.features import extract_features
from scripts.lib.sfm.gpu import device_name
from scripts.lib.sfm.options import FeatureOptions
from scripts.lib.sfm.unpack import unpacked


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, extract, write the database."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="photos.zip of import_photos")
    parser.add_argument("--photos-report", type=Path, required=True, help="its photos.json")
    parser.add_argument("--options", default="{}", help="JSON object, see FeatureOptions")
    parser.add_argument("--database", type=Path, required=True, help="COLMAP database to write")
    parser.add_argument("--metrics", type=Path, help="features.json to write")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all")
    add_device_argument(parser)
    args = parser.parse_args(argv)
    threads = use_threads(args.threads)
    use_device(args.device)
    options = parse_options(FeatureOptions, args.options)
    photos = read(Photos, args.photos_report).used
    names = [photo.file for photo in photos]
    with unpacked(args.photos, args.database, names) as folder, replacing(args.database) as part:
        counts = extract_features(photos, folder, part, options, threads)
    if args.metrics:
        made = Features(photos=len(counts), features=counts, device=device_name())
        write(args.metrics, stamped(made, options, *SFM))
    say(f"{len(counts)} photos, median {median(counts.values()):.0f} features each.")


if __name__ == "__main__":
    run_main(main)
