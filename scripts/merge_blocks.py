"""Put the splat of a large scene together from its blocks and its coarse model.

Needs  blocks/plan.json, coarse.ply, coarse.json, and N.ply and N.json of every block
Leaves splat.ply and train.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.core.console import run_main, say


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.merge_blocks", description=__doc__)
    parser.add_argument("--plan", type=Path, required=True, help="plan.json")
    parser.add_argument(
        "--coarse", type=Path, nargs=2, required=True, help="coarse.ply coarse.json"
    )
    parser.add_argument(
        "--blocks", type=Path, nargs="+", required=True, help="1.ply 2.ply ..., in this order"
    )
    parser.add_argument(
        "--numbers", type=Path, nargs="+", required=True, help="1.json 2.json ..., in this order"
    )
    parser.add_argument("--ply", type=Path, required=True, help="splat to write")
    parser.add_argument("--metrics", type=Path, required=True, help="train.json to write")
    args = parser.parse_args(argv)

    from scripts.lib.train.merge import merge

    blocks = list(zip(args.blocks, args.numbers, strict=True))
    metrics = merge(args.plan, tuple(args.coarse), blocks, args.ply, args.metrics)
    say(f"{args.ply}: {metrics.gaussians} Gaussians of {len(blocks)} blocks")


if __name__ == "__main__":
    run_main(main)
