"""Which of the machines of config/aws/prices.yaml a region has: Batch refuses the names of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.lib.core.console import UserError
from scripts.lib.workflow.cost import Machine

PARAMETERS = {False: "CpuInstanceTypes", True: "GpuInstanceTypes"}  # of the stack, by having a GPU
MOST_ZONES = 3  # of the stack's own network


def offers(ec2: Any, machines: Mapping[str, Machine]) -> dict[str, list[str]]:
    """{machine: availability zones that have it}, asked of the client `ec2`; [] where none has."""
    from botocore.exceptions import BotoCoreError, ClientError

    zones: dict[str, list[str]] = {name: [] for name in machines}
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": list(machines)}],
    )
    try:
        for page in pages:
            for offer in page["InstanceTypeOfferings"]:
                zones[offer["InstanceType"]].append(offer["Location"])
    except (BotoCoreError, ClientError) as error:
        raise UserError(
            f"{ec2.meta.region_name} does not tell its machines ({error}); check the region and the"
            " right ec2:DescribeInstanceTypeOfferings"
        ) from None
    return {name: sorted(found) for name, found in zones.items()}


def lines(
    region: str, machines: Mapping[str, Machine], zones: Mapping[str, list[str]]
) -> list[str]:
    """What a region has, a line a machine, and what the stack is to be told of it.

    Raises UserError when the region has no machine with a GPU, or none without.
    """
    told = [
        f"  {name:12} {', '.join(zones[name]) or 'not here: Batch would refuse the stack'}"
        for name in machines
    ]
    passed = []
    for gpu, parameter in PARAMETERS.items():
        kind = [name for name, machine in machines.items() if bool(machine.gpu) == gpu]
        here = [name for name in kind if zones[name]]
        if not here:
            raise UserError(
                f"{region} has none of {', '.join(kind)}; take another region, there is a list in"
                " config/aws/README.md"
            )
        if here != kind:
            passed.append(f"{parameter}={','.join(here)}")
    if len({zone for found in zones.values() for zone in found}) < MOST_ZONES:
        passed.append("ThirdZone=false")
    advice = f"deploy with --parameter-overrides {' '.join(passed)}" if passed else "all are here"
    return [f"Machines of {region}, by availability zone:", *told, advice]
