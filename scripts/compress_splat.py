"""Compress a splat into the files that ship: SOG for the page (desktop and mobile), SPZ, compressed PLY.

Needs  splat.clean.ply, and undistorted.zip to measure losses on its validation views
Leaves splat.sog, splat.mobile.sog, splat.spz, splat.compressed.ply, lod.zip, compress.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.contracts.record import stamped, write
from scripts.lib.core.console import UserError, run_main
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import TRAINING
from scripts.lib.core.threads import use_threads
from scripts.lib.encode.compress import compress_splat
from scripts.lib.encode.formats import CompressOptions, Files
from scripts.lib.render.arguments import add_compute_arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: one input, any of the outputs, numbers as JSON."""
    parser = argparse.ArgumentParser(prog="python -m scripts.compress_splat", description=__doc__)
    parser.add_argument(
        "--ply", type=Path, required=True, help="the splat: a PLY, or any format read"
    )
    parser.add_argument(
        "--scene", type=Path, help="undistorted.zip: losses are measured on its validation views"
    )
    parser.add_argument("--options", default="{}", help="config section compress_splat as JSON")
    parser.add_argument("--sog", type=Path, help="SOG to write")
    parser.add_argument("--mobile", type=Path, help="SOG for phones to write; needs --scene")
    parser.add_argument("--spz", type=Path, help="SPZ to write")
    parser.add_argument("--compressed-ply", type=Path, help="compressed PLY to write")
    parser.add_argument("--lod", type=Path, help="zip of the streamed form to write")
    parser.add_argument(
        "--metrics", type=Path, help="JSON to write: bytes, seconds, errors, choices"
    )
    add_compute_arguments(parser)
    given = parser.parse_args(argv)
    use_threads(given.threads)
    options = parse_options(CompressOptions, given.options)
    files = Files(given.sog, given.mobile, given.spz, given.compressed_ply, given.lod)
    if not any((files.sog, files.mobile, files.spz, files.compressed_ply)):
        raise UserError("no output was named; give --sog, --spz or --compressed-ply")
    if files.mobile and not given.scene:
        raise UserError("--mobile is chosen by measured loss; give --scene undistorted.zip too")
    made = compress_splat(given.ply, given.scene, files, options, given.device, given.gpus)
    if given.metrics:
        write(given.metrics, stamped(made, options, *TRAINING, "pillow"))


if __name__ == "__main__":
    run_main(main)
