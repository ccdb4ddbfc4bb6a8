"""Measure the the published files: decode each, compare it with the judging photos, refuse too great a loss.

Needs  splat.ply, undistorted.zip, the encoded files
Leaves codecs.json: bytes, PSNR, SSIM and FLIP against the photos, the loss against the PLY, the worst view
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.threads import use_threads
from scripts.lib.encode.check import CheckOptions, check_codecs, sentences
from scripts.lib.render.arguments import add_compute_arguments


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.check_codecs", description=__doc__)
    parser.add_argument("--ply", type=Path, required=True, help="trained splat")
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument(
        "--encoded", type=Path, nargs="+", required=True, help="the published files"
    )
    parser.add_argument("--compressed", type=Path, help="compress.json, whose choices are copied")
    parser.add_argument("--options", default="{}", help="JSON object, see CheckOptions")
    parser.add_argument("--metrics", type=Path, required=True, help="codecs.json to write")
    add_compute_arguments(parser)
    args = parser.parse_args(argv)
    use_threads(args.threads)
    options = parse_options(CheckOptions, args.options)

    from scripts.lib.render.device import on_device

    with on_device(args.device, args.gpus) as device:
        result = check_codecs(
            args.ply,
            args.scene,
            args.encoded,
            options,
            args.metrics,
            device,
            args.compressed,
        )
    for sentence in sentences(result.formats):
        say(sentence)


if __name__ == "__main__":
    run_main(main)
