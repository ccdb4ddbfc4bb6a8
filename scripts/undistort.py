"""Photos without lens distortion, with their poses, as one zip that any trainer of splats reads.

Needs: photos.zip, sparse/.   Leaves: undistorted.zip (images/ + sparse/, PINHOLE cameras), undistort.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.record import stamped, write
from scripts.lib.contracts.undistort import Undistort
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import SFM
from scripts.lib.core.threads import use_threads
from scripts.lib.sfm.options import UndistortOptions
from scripts.lib.sfm.undistort import undistort


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, undistort, write the zip."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="photos.zip")
    parser.add_argument("--sparse", type=Path, required=True, help="folder of the COLMAP model")
    parser.add_argument("--options", default="{}", help="JSON object, see UndistortOptions")
    parser.add_argument("--output", type=Path, required=True, help="undistorted.zip to write")
    parser.add_argument("--metrics", type=Path, help="undistort.json to write")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all")
    args = parser.parse_args(argv)
    threads = use_threads(args.threads)
    options = parse_options(UndistortOptions, args.options)
    count = undistort(args.photos, args.sparse, args.output, options, threads)
    if args.metrics:
        write(args.metrics, stamped(Undistort(photos=count), options, *SFM))
    say(f"Undistorted {count} photos.")


if __name__ == "__main__":
    run_main(main)
