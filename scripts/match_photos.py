"""Match photos that may see the same thing, chosen with a stated reason.

Needs: features.db, photos.json.   Leaves: matches.db, pairs.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import read, stamped, write
from scripts.lib.core.cards import add_device_argument, use_device
from scripts.lib.core.console import run_main, say
from scripts.lib.core.files import replacing
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import SFM
from scripts.lib.core.threads import use_threads
from scripts.lib.sfm.match_run import match_photos
from scripts.lib.sfm.options import MatchOptions


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, match, write database and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", type=Path, required=True, help="features.db")
    parser.add_argument("--photos-report", type=Path, required=True, help="photos.json")
    parser.add_argument("--options", default="{}", help="JSON object, see MatchOptions")
    parser.add_argument("--output", type=Path, required=True, help="matches.db to write")
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.json to write")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all")
    add_device_argument(parser)
    args = parser.parse_args(argv)
    threads = use_threads(args.threads)
    use_device(args.device)
    options = parse_options(MatchOptions, args.options)
    photos = read(Photos, args.photos_report).used
    with replacing(args.output) as part:
        report = match_photos(args.database, photos, part, options, threads)
    write(args.pairs, stamped(report, options, *SFM))
    say(f"{report.verified} of {report.pairs} pairs verified ({report.strategy}: {report.reason}).")


if __name__ == "__main__":
    run_main(main)
