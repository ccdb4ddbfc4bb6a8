"""Divide a large scene into blocks of about equal work, and choose the photos of each.

Needs  undistorted.zip
Leaves blocks/plan.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.core.console import run_main, say
from scripts.lib.core.threads import use_threads


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.plan_blocks", description=__doc__)
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--blocks", type=int, required=True, help="number of blocks")
    parser.add_argument("--plan", type=Path, required=True, help="plan.json to write")
    parser.add_argument("--threads", type=int, default=0, help="0: one for each core")
    args = parser.parse_args(argv)
    use_threads(args.threads)

    from scripts.lib.contracts.record import stamped, write
    from scripts.lib.scene.blocks import plan_blocks
    from scripts.lib.scene.scene import load_scene

    plan = plan_blocks(load_scene(args.scene), args.blocks)
    write(args.plan, stamped(plan, {"blocks": args.blocks}, "numpy"))
    for block in plan.blocks:
        say(
            f"Block {block.number}: {len(block.photos)} photos, {100 * block.work:.0f} % of the work"
        )


if __name__ == "__main__":
    run_main(main)
