"""What a scene cost: from the ledger of its jobs on AWS Batch, or from this machine's seconds.

Needs  the benchmark of every stage; on AWS the ledger that the executor keeps
Leaves cost.json: seconds, dollars and kWh, by stage and together
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.contracts.benchmark import read_benchmarks
from scripts.lib.contracts.record import stamped, write
from scripts.lib.core.console import run_main, say
from scripts.lib.core.options import parse_options
from scripts.lib.workflow.cost import PRICES, CostOptions, cloud_cost, local_cost, read_prices
from scripts.lib.workflow.records import read_ledger


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.cost_scene", description=__doc__)
    parser.add_argument("--scene", required=True, help="the scene's name")
    parser.add_argument("--benchmarks", type=Path, nargs="+", required=True, help="a TSV per rule")
    parser.add_argument("--options", default="{}", help="config section cost_scene as JSON")
    # With nothing after it on a machine of one's own: Snakemake writes an empty value so.
    parser.add_argument(
        "--run", nargs="?", default="", const="", help="s3://BUCKET/PREFIX of a run on AWS"
    )
    parser.add_argument("--ledger", type=Path, default=Path(".snakemake"), help="folder of ledger/")
    parser.add_argument("--prices", type=Path, default=PRICES, help="the price list of AWS")
    parser.add_argument("--output", type=Path, required=True, help="cost.json to write")
    args = parser.parse_args(argv)
    options = parse_options(CostOptions, args.options)
    seconds = {rule: b.seconds for rule, b in read_benchmarks(args.benchmarks).items()}
    entries = read_ledger(args.ledger, args.run) if args.run else []
    if entries:
        cost = cloud_cost(args.scene, seconds, entries, read_prices(args.prices))
    else:
        rates = (options.price_per_hour, options.watts, options.price_per_kwh)
        cost = local_cost(args.scene, seconds, *rates)
    write(args.output, stamped(cost, options))
    money = "no price known" if cost.usd is None else f"${cost.usd:.2f}"
    say(f"{args.output}: {cost.seconds:.0f} s on {cost.basis}, {money}")


if __name__ == "__main__":
    run_main(main)
