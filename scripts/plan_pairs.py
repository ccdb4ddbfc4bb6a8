"""Choose the pairs of a large scene's photos, and divide them into parts.

Needs  features.db, photos.json
Leaves parts/chosen.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import read, stamped, write
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import SFM
from scripts.lib.core.threads import use_threads
from scripts.lib.sfm.options import MatchOptions
from scripts.lib.sfm.parts import plan_pairs


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.plan_pairs", description=__doc__)
    parser.add_argument("--database", type=Path, required=True, help="features.db")
    parser.add_argument("--photos-report", type=Path, required=True, help="photos.json")
    parser.add_argument("--parts", type=int, required=True, help="number of parts")
    parser.add_argument("--options", default="{}", help="JSON object, see MatchOptions")
    parser.add_argument("--chosen", type=Path, required=True, help="chosen.json to write")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all")
    args = parser.parse_args(argv)
    use_threads(args.threads)
    options = parse_options(MatchOptions, args.options)
    photos = read(Photos, args.photos_report).used
    chosen = plan_pairs(args.database, photos, options, args.parts)
    write(args.chosen, stamped(chosen, options, *SFM))
    pairs = sum(map(len, chosen.parts))
    say(f"{pairs} pairs in {args.parts} parts ({chosen.strategy}: {chosen.reason}).")


if __name__ == "__main__":
    run_main(main)
