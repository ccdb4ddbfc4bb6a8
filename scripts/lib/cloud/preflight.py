"""What to look at before a run on AWS, and what the run will cost."""

from __future__ import annotations

import os

from scripts.lib.cloud import region
from scripts.lib.cloud.checks import Finding, all_findings
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.console import UserError
from scripts.lib.storage import library
from scripts.lib.workflow.blocks import automatic
from scripts.lib.workflow.container_images import read_lock
from scripts.lib.workflow.cost import Prices, predict
from scripts.lib.workflow.settings import read_yaml, workflow_settings

VARIABLES = ("AWS_REGION", "SPLATMAKE_STACK", "SPLATMAKE_S3_PREFIX")
GPU_MACHINES = ("g6.xlarge", "g5.xlarge", "g4dn.xlarge")
STAGE_IMAGES = ("sfm", "train", "web", "runner")


def find(prices: Prices, registry: str = "") -> list[Finding]:
    """Everything that a run needs on AWS, there or missing; the environment says where.

    `registry` is where the images lie, empty takes the configuration's. Raises UserError when one of
    VARIABLES is not set.
    """
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        raise UserError(f"{missing[0]} is not set; config/aws/README.md says to what")
    images = {name: i.tag for name, i in read_lock(ROOT).items() if name in STAGE_IMAGES}
    stack, prefix = os.environ["SPLATMAKE_STACK"], os.environ["SPLATMAKE_S3_PREFIX"]
    spot = {name: prices.machines[name].spot for name in GPU_MACHINES}
    config = read_yaml(ROOT / "config" / "config.yaml") or {}
    registry = registry or workflow_settings(config, ROOT)["registry"]
    return all_findings(stack, prefix, registry, images, spot)


def region_lines(prices: Prices) -> list[str]:
    """Which machines the region of the environment has, and what to pass to the stack for it."""
    ec2 = library.client("ec2")
    machines = prices.machines
    return region.lines(ec2.meta.region_name, machines, region.offers(ec2, machines))


def cost_lines(prices: Prices, photos: int, scenes: int) -> list[str]:
    """What `scenes` scenes of `photos` photos will cost on each kind of GPU machine, a line each."""
    blocks = automatic(photos)
    divided = f", each trained in {blocks} blocks" if blocks > 1 else ""
    lines = [
        f"Predicted for {scenes} scene{'s' if scenes != 1 else ''} of {photos} photos{divided}"
        f" (prices of {prices.region}, {prices.date}):"
    ]
    for name in GPU_MACHINES:
        found = predict(prices, photos, name, blocks)
        lines.append(
            f"  {name:12} {prices.machines[name].gpu:5} ${found.usd_spot * scenes:.2f} spot,"
            f" ${found.usd_on_demand * scenes:.2f} on demand, ${found.usd_kept * scenes:.2f} of it for the"
            f" files until they expire; {found.hours * 60:.0f} min a scene,"
            f" ${found.usd_coordinator * scenes:.2f} more by the job API"
        )
    return lines
