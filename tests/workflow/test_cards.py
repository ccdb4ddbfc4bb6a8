"""A plain run on a machine with NVIDIA cards gives each card one job at a time; clusters count their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from scripts.lib.core.cards import visible_cards
from tests.conftest import ROOT

# What Snakemake plans with after reading the Snakefile, on a machine of two cards.
LIMITS = """
import json, sys
from pathlib import Path
from scripts.lib.core import cards
cards.visible_cards = lambda: 2
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings
found = []
for nodes, resources, config in (
    (None, {}, {}),
    (None, {"gpu": 1}, {}),
    (None, {}, {"device": "cpu"}),
    (50, {}, {}),
):
    with SnakemakeApi(OutputSettings()) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1, nodes=nodes, resources=resources),
            config_settings=ConfigSettings(config=config),
            snakefile=Path("Snakefile"),
        )._workflow
        limit = workflow.global_resources["gpu"].value if "gpu" in workflow.global_resources else None
        found.append(limit)
print(json.dumps(found))
"""


def test_a_job_for_each_card_unless_told_otherwise() -> None:
    run = [sys.executable, "-c", LIMITS]
    said = subprocess.run(run, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout
    assert json.loads(said.splitlines()[-1]) == [2, 1, None, None]


def test_cards_are_counted(tmp_path: Path) -> None:
    assert visible_cards(tmp_path, {}) == 0
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / "dev" / name).touch()
    assert visible_cards(tmp_path, {}) == 2
    for name in ("0000:01:00.0", "0000:41:00.0", "0000:81:00.0"):
        (tmp_path / "proc/driver/nvidia/gpus" / name).mkdir(parents=True)
    assert visible_cards(tmp_path, {}) == 3
    assert visible_cards(tmp_path, {"CUDA_VISIBLE_DEVICES": "2"}) == 1
    assert visible_cards(tmp_path, {"CUDA_VISIBLE_DEVICES": ""}) == 0
