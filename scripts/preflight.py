"""Look before a run on AWS: credentials, bucket, queues, images, quotas; and what the run will cost.

Reads the same three environment variables as the profile (AWS_REGION, SPLATMAKE_STACK, SPLATMAKE_S3_PREFIX).
Exits with 1 when something would stop the run.
"""

from __future__ import annotations

import argparse
import os

from scripts.lib.cloud.checks import Finding, all_findings
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.console import UserError, run_main, say
from scripts.lib.workflow.container_images import read_lock
from scripts.lib.workflow.cost import PRICES, Prices, predict, read_prices
from scripts.lib.workflow.settings import read_yaml, workflow_settings

VARIABLES = ("AWS_REGION", "SPLATMAKE_STACK", "SPLATMAKE_S3_PREFIX")
GPU_MACHINES = ("g6.xlarge", "g5.xlarge", "g4dn.xlarge")
STAGE_IMAGES = ("sfm", "train", "web", "runner")


def cost_lines(prices: Prices, photos: int, scenes: int) -> list[str]:
    """What `scenes` scenes of `photos` photos will cost on each kind of GPU machine, a line each."""
    lines = [
        f"Predicted for {scenes} scene{'s' if scenes != 1 else ''} of {photos} photos"
        f" (prices of {prices.region}, {prices.date}):"
    ]
    for name in GPU_MACHINES:
        found = predict(prices, photos, name)
        lines.append(
            f"  {name:12} {prices.machines[name].gpu:5} ${found.usd_spot * scenes:.2f} spot,"
            f" ${found.usd_on_demand * scenes:.2f} on demand, {found.hours:.1f} h a scene"
        )
    return lines


def report(findings: list[Finding]) -> bool:
    """Print what was found; whether the run may start."""
    for finding in findings:
        say(f"{'ok  ' if finding.good else 'FAIL'} {finding.what}: {finding.said}")
    return all(finding.good for finding in findings)


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.preflight", description=__doc__)
    parser.add_argument("--photos", type=int, default=200, help="photos of a scene")
    parser.add_argument("--scenes", type=int, default=1, help="scenes of the run")
    parser.add_argument(
        "--registry", default="", help="where the images lie; default: the configuration's"
    )
    parser.add_argument("--cost-only", action="store_true", help="ask AWS nothing")
    args = parser.parse_args(argv)
    if args.photos < 1 or args.scenes < 1:
        raise UserError("--photos and --scenes must be at least 1")
    good, prices = True, read_prices(PRICES)
    if not args.cost_only:
        missing = [name for name in VARIABLES if not os.environ.get(name)]
        if missing:
            raise UserError(f"{missing[0]} is not set; config/aws/README.md says to what")
        images = {name: i.tag for name, i in read_lock(ROOT).items() if name in STAGE_IMAGES}
        stack, prefix = os.environ["SPLATMAKE_STACK"], os.environ["SPLATMAKE_S3_PREFIX"]
        spot = {name: prices.machines[name].spot for name in GPU_MACHINES}
        config = read_yaml(ROOT / "config" / "config.yaml") or {}
        registry = args.registry or workflow_settings(config, ROOT)["registry"]
        good = report(all_findings(stack, prefix, registry, images, spot))
    for line in cost_lines(prices, args.photos, args.scenes):
        say(line)
    if not good:
        raise SystemExit(1)


if __name__ == "__main__":
    run_main(main)
