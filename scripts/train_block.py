"""Train one block of a large scene, from the coarse model on.

Needs  undistorted.zip, blocks/plan.json, blocks/coarse.ply
Leaves blocks/N.ply and N.json, as train_splat leaves splat.ply and train.json
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
    parser = argparse.ArgumentParser(prog="python -m scripts.train_block", description=__doc__)
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--plan", type=Path, required=True, help="plan.json")
    parser.add_argument("--block", type=int, required=True, help="its number in the plan")
    parser.add_argument("--coarse", type=Path, required=True, help="coarse.ply")
    parser.add_argument("--options", default="{}", help="JSON object, see TrainOptions")
    parser.add_argument("--ply", type=Path, required=True, help="splat of the block to write")
    parser.add_argument("--metrics", type=Path, required=True, help="its numbers, as train.json")
    parser.add_argument("--checkpoints", required=True, help="folder or s3://BUCKET/PREFIX")
    add_compute_arguments(parser)
    args = parser.parse_args(argv)
    use_threads(args.threads)  # before torch and numba are imported

    from scripts.lib.render.device import on_device
    from scripts.lib.train.blocks_run import run_block
    from scripts.lib.train.loop import told_when_stopped

    with told_when_stopped(), on_device(args.device, args.gpus) as device:
        metrics = run_block(
            args.scene,
            args.plan,
            args.block,
            args.coarse,
            args.options,
            args.ply,
            args.metrics,
            args.checkpoints,
            device,
        )
    say(f"{args.ply}: {metrics.gaussians} Gaussians, {metrics.steps} steps")


if __name__ == "__main__":
    run_main(main)
