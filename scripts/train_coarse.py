"""Train a coarse model of a whole large scene, from which its blocks start.

Needs  undistorted.zip
Leaves blocks/coarse.ply and coarse.json, as train_splat leaves splat.ply and train.json; and left_out.zip
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
    parser = argparse.ArgumentParser(prog="python -m scripts.train_coarse", description=__doc__)
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--options", default="{}", help="JSON object, see TrainOptions")
    parser.add_argument("--ply", type=Path, required=True, help="coarse splat to write")
    parser.add_argument("--metrics", type=Path, required=True, help="its numbers, as train.json")
    parser.add_argument("--checkpoints", required=True, help="folder or s3://BUCKET/PREFIX")
    parser.add_argument("--left-out", type=Path, help="left_out.zip to write: masks of what moved")
    add_compute_arguments(parser)
    args = parser.parse_args(argv)
    use_threads(args.threads)  # before torch and numba are imported

    from scripts.lib.render.device import on_device
    from scripts.lib.train.blocks_run import run_coarse
    from scripts.lib.train.loop import told_when_stopped

    with told_when_stopped(), on_device(args.device, args.gpus, advise=True) as device:
        metrics = run_coarse(
            args.scene,
            args.options,
            args.ply,
            args.metrics,
            args.checkpoints,
            device,
            args.left_out,
        )
    say(f"{args.ply}: {metrics.gaussians} Gaussians, {metrics.steps} steps")


if __name__ == "__main__":
    run_main(main)
