"""Bring a scene into the frame of another capture of the same place.

Needs: of both scenes sparse/, features.db, georef.json.   Leaves: registration.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.record import stamped, write
from scripts.lib.core.cards import add_device_argument, use_device
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import SFM
from scripts.lib.core.threads import use_threads
from scripts.lib.sfm.joint.register import CaptureFiles, register_captures, sentence
from scripts.lib.sfm.options import MatchOptions, RegisterOptions


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, match, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for part in ("scene", "sparse", "database", "georef"):
        kind = str if part == "scene" else Path
        for whose in ("reference", "own"):
            parser.add_argument(f"--{whose}-{part}", type=kind, required=True)
    parser.add_argument("--options", default="{}", help="JSON object, see RegisterOptions")
    parser.add_argument("--matching", default="{}", help="options of match_photos")
    parser.add_argument("--output", type=Path, required=True, help="registration.json to write")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all")
    add_device_argument(parser)
    args = parser.parse_args(argv)
    threads = use_threads(args.threads)
    use_device(args.device)
    options = parse_options(RegisterOptions, args.options)
    matching = parse_options(MatchOptions, args.matching)
    reference, own = (
        CaptureFiles(
            *(
                getattr(args, f"{whose}_{part}")
                for part in ("scene", "sparse", "database", "georef")
            )
        )
        for whose in ("reference", "own")
    )
    found = register_captures(reference, own, options, matching, args.output.parent, threads)
    write(args.output, stamped(found, options, *SFM))
    for line in (sentence(found), *(f"Note: {note}" for note in found.notes)):
        say(line)


if __name__ == "__main__":
    run_main(main)
