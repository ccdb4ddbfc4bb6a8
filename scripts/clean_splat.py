"""Leave out what the cameras never really saw: floaters, haze, needles, near-transparent Gaussians.

Needs  splat.ply, undistorted.zip
Leaves splat.clean.ply, clean.json: counts by reason, PSNR on the validation photos before and after
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scripts.lib.contracts.record import stamped, write
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import TRAINING
from scripts.lib.core.threads import use_threads
from scripts.lib.measure.clean import CleanOptions, clean_splat, sentences
from scripts.lib.render.arguments import add_compute_arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.clean_splat", description=__doc__)
    parser.add_argument("--ply", type=Path, required=True, help="trained splat")
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--options", default="{}", help="JSON object, see CleanOptions")
    parser.add_argument("--output", type=Path, required=True, help="splat.clean.ply to write")
    parser.add_argument("--metrics", type=Path, required=True, help="clean.json to write")
    add_compute_arguments(parser)
    given = parser.parse_args(argv)
    use_threads(given.threads)
    options, began = parse_options(CleanOptions, given.options), time.monotonic()
    result = clean_splat(given.ply, given.scene, options, given.output, given.device, given.gpus)
    result = replace(result, enabled=options.enabled, seconds=time.monotonic() - began)
    result = stamped(result, options, *TRAINING)
    write(given.metrics, result)
    for sentence in sentences(result):
        say(sentence)


if __name__ == "__main__":
    run_main(main)
