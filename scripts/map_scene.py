"""Camera poses and a sparse cloud in their final frame, with a gate for hopeless scenes.

Needs: matches.db, photos.zip, photos.json.
Leaves: sparse/{cameras,images,points3D,rigs,frames}.bin, sfm.json, georef.json, components.zip
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.core.cards import add_device_argument, use_device
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.threads import use_threads
from scripts.lib.sfm.map import MapFiles, map_photos, summary
from scripts.lib.sfm.options import FeatureOptions, MapOptions, MatchOptions


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, map, judge, align, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", type=Path, required=True, help="matches.db")
    parser.add_argument("--photos", type=Path, required=True, help="photos.zip")
    parser.add_argument("--photos-report", type=Path, required=True, help="photos.json")
    parser.add_argument("--options", default="{}", help="JSON object, see MapOptions")
    parser.add_argument(
        "--features", default="{}", help="options of extract_features, for the retries"
    )
    parser.add_argument("--matching", default="{}", help="options of match_photos, for the retries")
    parser.add_argument("--sparse", type=Path, required=True, help="folder for the model's files")
    parser.add_argument("--metrics", type=Path, required=True, help="sfm.json to write")
    parser.add_argument("--georef", type=Path, required=True, help="georef.json to write")
    parser.add_argument("--further", type=Path, required=True, help="components.zip to write")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all")
    add_device_argument(parser)
    args = parser.parse_args(argv)
    threads = use_threads(args.threads)
    use_device(args.device)
    options = parse_options(MapOptions, args.options)
    features = parse_options(FeatureOptions, args.features)
    matching = parse_options(MatchOptions, args.matching)
    files = MapFiles(
        *(args.database, args.photos, args.photos_report),
        *(args.sparse, args.metrics, args.georef, args.further),
    )
    say(summary(*map_photos(files, options, features, matching, threads)))


if __name__ == "__main__":
    run_main(main)
