"""One database of the matches of a large scene, from those of its parts.

Needs  features.db, photos.json, parts/chosen.json, parts/matches.1.db, matches.1.json and so on
Leaves matches.db and pairs.json, as match_photos does
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.pairs import ChosenPairs, MatchedPart
from scripts.lib.contracts.photos import Photos
from scripts.lib.contracts.record import read, stamped, write
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import SFM
from scripts.lib.sfm.options import MatchOptions
from scripts.lib.sfm.parts import gather_matches


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.gather_matches", description=__doc__)
    parser.add_argument("--features", type=Path, required=True, help="features.db")
    parser.add_argument("--photos-report", type=Path, required=True, help="photos.json")
    parser.add_argument("--chosen", type=Path, required=True, help="chosen.json")
    parser.add_argument("--parts", type=Path, nargs="+", required=True, help="databases, in order")
    parser.add_argument("--numbers", type=Path, nargs="+", required=True, help="their JSON files")
    parser.add_argument("--options", default="{}", help="JSON object, see MatchOptions")
    parser.add_argument("--output", type=Path, required=True, help="matches.db to write")
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.json to write")
    args = parser.parse_args(argv)
    options = parse_options(MatchOptions, args.options)
    photos = read(Photos, args.photos_report).used
    chosen = read(ChosenPairs, args.chosen)
    told = [read(MatchedPart, path) for path in args.numbers]
    report = gather_matches(args.features, photos, chosen, args.parts, told, args.output, options)
    write(args.pairs, stamped(report, options, *SFM))
    say(f"{report.verified} of {report.pairs} pairs verified ({report.strategy}: {report.reason}).")


if __name__ == "__main__":
    run_main(main)
