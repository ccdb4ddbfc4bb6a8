"""Look before a run on AWS: credentials, bucket, queues, images, quotas; and what the run will cost.

Reads the same three environment variables as the profile (AWS_REGION, SPLATMAKE_STACK, SPLATMAKE_S3_PREFIX).
Exits with 1 when something would stop the run.
"""

from __future__ import annotations

import argparse

from scripts.lib.cloud.preflight import cost_lines, find, region_lines
from scripts.lib.core.console import UserError, run_main, say
from scripts.lib.workflow.cost import PRICES, read_prices


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.preflight", description=__doc__)
    parser.add_argument("--photos", type=int, default=200, help="photos of a scene")
    parser.add_argument("--scenes", type=int, default=1, help="scenes of the run")
    parser.add_argument(
        "--registry",
        default="",
        help="registry of the images; default: the one in the configuration",
    )
    parser.add_argument("--cost-only", action="store_true", help="do not contact AWS")
    parser.add_argument(
        "--region",
        action="store_true",
        help="before there is a stack: which machines the region has",
    )
    args = parser.parse_args(argv)
    if args.photos < 1 or args.scenes < 1:
        raise UserError("--photos and --scenes must be at least 1")
    prices = read_prices(PRICES)
    if args.region:
        for line in region_lines(prices):
            say(line)
        return
    findings = [] if args.cost_only else find(prices, args.registry)
    for finding in findings:
        say(f"{'ok  ' if finding.good else 'FAIL'} {finding.what}: {finding.said}")
    for line in cost_lines(prices, args.photos, args.scenes):
        say(line)
    if not all(finding.good for finding in findings):
        raise SystemExit(1)


if __name__ == "__main__":
    run_main(main)
