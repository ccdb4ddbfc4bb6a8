"""Optimise Gaussians until the photos of an undistorted scene are reproduced.

Needs  undistorted.zip
Leaves splat.ply in the scene's own frame and train.json: speed, memory, the curve,
       options; and left_out.zip: what was left out of the photos.
An interrupted run continues from its checkpoint when the same command is given again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.core.console import run_main, say
from scripts.lib.core.threads import use_threads
from scripts.lib.render.arguments import add_compute_arguments


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.train_splat", description=__doc__)
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--options", default="{}", help="JSON object, see TrainOptions")
    parser.add_argument("--ply", type=Path, required=True, help="splat to write")
    parser.add_argument("--metrics", type=Path, required=True, help="train.json to write")
    parser.add_argument(
        "--checkpoints", help="folder or s3://BUCKET/PREFIX; default: a folder beside the splat"
    )
    parser.add_argument("--left-out", type=Path, help="left_out.zip to write: masks of what moved")
    add_compute_arguments(parser)
    args = parser.parse_args(argv)
    use_threads(args.threads)  # before torch and numba are imported

    from scripts.lib.render.device import on_device
    from scripts.lib.train.loop import told_when_stopped
    from scripts.lib.train.run import run

    with told_when_stopped(), on_device(args.device, args.gpus, advise=True) as device:
        metrics = run(
            args.scene,
            args.options,
            args.ply,
            args.metrics,
            args.checkpoints or args.ply.parent / "checkpoints",
            device,
            args.left_out,
        )
    curve = metrics.curve
    psnr = f", {curve[-1].psnr:.2f} dB on validation photos" if curve else ""
    say(f"{args.ply}: {metrics.gaussians} Gaussians, {metrics.steps} steps{psnr}")


if __name__ == "__main__":
    run_main(main)
