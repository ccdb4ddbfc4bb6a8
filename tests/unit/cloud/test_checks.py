"""What preflight makes of the answers of AWS."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from scripts.lib.cloud.checks import images

REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/splats"


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"CRITICAL": 3, "HIGH": 9}, "train:abc; train has 3 critical weaknesses by ECR's scan"),
        ({"HIGH": 9}, "train:abc"),
        (None, "train:abc"),  # not scanned yet
    ],
)
def test_critical_weaknesses_of_an_image_are_told(counts: dict[str, int] | None, told: str) -> None:
    """ECR, API_ImageDetail: a severity without findings is left out, and all of it before the first scan."""
    detail = {"imageScanFindingsSummary": {"findingSeverityCounts": counts}} if counts else {}
    ecr = SimpleNamespace(describe_images=lambda **_: {"imageDetails": [detail]})
    account: Any = SimpleNamespace(client=lambda _: ecr)
    found = images(account, REGISTRY, {"train": "abc"})
    assert (found.good, found.said) == (True, told)
