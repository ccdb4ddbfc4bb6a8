"""Which machines a region has, and what a deployment there is told."""

from __future__ import annotations

from typing import Any

import pytest

from scripts import preflight
from scripts.lib.cloud import region
from scripts.lib.core.console import UserError
from scripts.lib.workflow.cost import Machine

MACHINES = {
    "c7i.2xlarge": Machine("c7i.2xlarge", 8, 16, 0.357, 0.16),
    "g5.xlarge": Machine("g5.xlarge", 4, 16, 1.006, 0.45, "A10G"),
    "g6.xlarge": Machine("g6.xlarge", 4, 16, 0.8, 0.36, "L4"),
}
THREE = ["a", "b", "c"]


def test_a_region_that_has_all_needs_no_parameters() -> None:
    told = region.lines("eu-central-1", MACHINES, dict.fromkeys(MACHINES, THREE))
    assert told[-1] == "all are here" and any("g6.xlarge    a, b, c" in line for line in told)


def test_what_a_region_lacks_is_left_out_of_the_stack() -> None:
    zones = {**dict.fromkeys(MACHINES, THREE), "g6.xlarge": []}
    assert region.lines("eu-west-1", MACHINES, zones)[-1] == (
        "deploy with --parameter-overrides GpuInstanceTypes=g5.xlarge"
    )
    two = {**dict.fromkeys(MACHINES, ["a", "b"])}
    assert region.lines("us-west-1", MACHINES, two)[-1].endswith(" ThirdZone=false")


def test_a_region_without_a_gpu_is_refused() -> None:
    with pytest.raises(UserError, match="ap-x has none of g5.xlarge, g6.xlarge; take another"):
        region.lines("ap-x", MACHINES, {name: [] for name in MACHINES} | {"c7i.2xlarge": THREE})


def test_it_is_asked_before_there_is_a_stack(
    s3: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SPLATMAKE_STACK", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    preflight.main(["--region"])
    told = capsys.readouterr().out
    assert "Machines of eu-west-1" in told and "eu-west-1a" in told
