"""Match one part of the pairs of a large scene's photos.

Needs  features.db, parts/chosen.json
Leaves parts/matches.1.db, matches.1.json and so on
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.pairs import ChosenPairs
from scripts.lib.contracts.record import read, stamped, write
from scripts.lib.core.cards import add_device_argument, use_device
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import SFM
from scripts.lib.core.threads import use_threads
from scripts.lib.sfm.options import MatchOptions
from scripts.lib.sfm.parts import match_part


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.match_part", description=__doc__)
    parser.add_argument("--features", type=Path, required=True, help="features.db")
    parser.add_argument("--chosen", type=Path, required=True, help="chosen.json")
    parser.add_argument("--part", type=int, required=True, help="number of the part, from 1")
    parser.add_argument("--options", default="{}", help="JSON object, see MatchOptions")
    parser.add_argument("--database", type=Path, required=True, help="database to write")
    parser.add_argument("--metrics", type=Path, required=True, help="its JSON to write")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all")
    add_device_argument(parser)
    args = parser.parse_args(argv)
    threads = use_threads(args.threads)
    use_device(args.device)
    options = parse_options(MatchOptions, args.options)
    chosen = read(ChosenPairs, args.chosen)
    made = match_part(args.features, chosen, args.part, args.database, options, threads)
    write(args.metrics, stamped(made, options, *SFM))
    say(f"Part {args.part}: {made.verified} of {made.pairs} pairs verified.")


if __name__ == "__main__":
    run_main(main)
