"""Render a splat from where the judging photos were taken, and compare it with them.

Needs  splat.ply, undistorted.zip
Leaves eval.json (PSNR, SSIM and FLIP, worst view first; PSNR by depth; errors of the depth; needles) and
       renders.zip (per view: render, photo, error)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.core.threads import use_threads
from scripts.lib.measure.evaluation import EvaluateOptions, evaluate_splat
from scripts.lib.render.arguments import add_compute_arguments


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.evaluate_splat", description=__doc__)
    parser.add_argument("--ply", type=Path, required=True, help="trained splat")
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--options", default="{}", help="JSON object, see EvaluateOptions")
    parser.add_argument("--eval", type=Path, required=True, help="eval.json to write")
    parser.add_argument("--renders", type=Path, required=True, help="renders.zip to write")
    add_compute_arguments(parser)
    args = parser.parse_args(argv)
    use_threads(args.threads)
    options = parse_options(EvaluateOptions, args.options)

    from scripts.lib.render.device import on_device

    with on_device(args.device, args.gpus) as device:
        result = evaluate_splat(args.ply, args.scene, options, args.eval, args.renders, device)
    say(f"{args.ply}: PSNR {result.psnr:.2f} dB, SSIM {result.ssim:.3f}")


if __name__ == "__main__":
    run_main(main)
