"""What a scene costs: by the ledger, by one's own machine, and predicted."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import cost_scene
from scripts.lib.contracts.cost import LedgerEntry
from scripts.lib.contracts.record import from_json, to_json
from scripts.lib.core.console import UserError
from scripts.lib.workflow.blocks import DIVIDED, WHOLE
from scripts.lib.workflow.cost import (
    Machine,
    cloud_cost,
    coordinator_usd,
    forecast,
    job_usd,
    local_cost,
    predict,
    read_prices,
    share,
    stage_seconds,
)
from scripts.lib.workflow.parts import IN_PARTS
from tests.conftest import ROOT
from tests.workflow.test_containers import rules

PRICES = read_prices(ROOT / "config" / "aws" / "prices.yaml")
# Only of a scene that is compared with another one.
COMPARING = ("register_captures", "find_changes")


def entry(**changed: Any) -> LedgerEntry:
    """A job of the ledger: an hour of training on a spot L4."""
    values = {"run": "s3://b/r", "rule": "train_splat", "scene": "yard", "queue": "s-gpu-spot"}
    values |= {"job": "j1", "status": "SUCCEEDED", "instance_type": "g6.xlarge"}
    used = {"seconds": 3600.0, "attempts": 1, "vcpus": 4, "memory_mib": 13352, "gpus": 1}
    return from_json(LedgerEntry, values | used | changed)


def test_a_job_costs_its_part_of_the_machine() -> None:
    machine = PRICES.machines["c7i.4xlarge"]
    assert share(machine, 8, 1000, 0) == 0.5
    assert share(machine, 1, 32 * 1024, 0) == 1.0
    assert share(PRICES.machines["g6.xlarge"], 1, 100, 1) == 1.0  # nobody else can have its GPU
    assert job_usd(entry(), PRICES) == pytest.approx(PRICES.machines["g6.xlarge"].spot)
    dear = job_usd(entry(queue="s-gpu-on-demand"), PRICES)
    assert dear == pytest.approx(PRICES.machines["g6.xlarge"].on_demand)
    assert job_usd(entry(instance_type="x9.huge"), PRICES) is None


def test_the_ledger_sums_up_what_was_lost_too() -> None:
    ledger = [entry(), entry(seconds=1800.0, attempts=2), entry(scene="roof", seconds=9e9)]
    cost = cloud_cost("yard", {"train_splat": 1200.0}, ledger, PRICES)
    (stage,) = cost.stages
    assert stage.seconds == 5400 and stage.attempts == 3
    assert cost.usd == pytest.approx(1.5 * PRICES.machines["g6.xlarge"].spot, abs=1e-4)
    assert cost.prices is not None and cost.prices.region == PRICES.region


def test_a_group_of_rules_is_booked_rule_by_rule() -> None:
    ledger = [entry(rule="evaluate_splat+train_splat")]
    cost = cloud_cost("yard", {"train_splat": 900.0, "evaluate_splat": 100.0}, ledger, PRICES)
    assert {stage.rule: stage.seconds for stage in cost.stages} == {
        "train_splat": 3240,
        "evaluate_splat": 360,
    }
    assert cost.usd == pytest.approx(PRICES.machines["g6.xlarge"].spot, abs=1e-3)
    # Nothing is known of one of them: half each.
    cost = cloud_cost("yard", {"train_splat": 900.0}, ledger, PRICES)
    assert cost.stages[0].seconds == 1800


def test_no_stage_is_predicted_on_more_cores_than_its_job_has() -> None:
    """Of the profile for AWS, or else the rule itself."""
    profile = yaml.safe_load((ROOT / "config/profiles/aws-batch/config.yaml").read_text())
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    found = re.findall(r"(?m)^rule (\w+):\n(?:(?!^rule ).*\n)*?    threads: (\d+)$", text)
    threads = {rule: int(number) for rule, number in found} | profile["set-threads"]
    for rule, stage in PRICES.stages.items():
        machine = PRICES.machines["g6.xlarge" if "gpu_seconds_fixed" in stage else "c7i.2xlarge"]
        used = min(stage.get("cores", machine.vcpus), machine.vcpus)
        assert used <= threads[rule], rule


def test_a_coordinator_is_paid_for_its_lost_attempts_too() -> None:
    """Batch describes what runs at the top and, once it has ended, among the attempts."""
    lost = {"startedAt": 1_000, "stoppedAt": 1_801_000}
    job = {"attempts": [lost], "startedAt": 2_000_000}
    paid = coordinator_usd(job, 3_800.0, PRICES)
    assert paid == pytest.approx(PRICES.coordinator, abs=1e-5)  # half an hour twice
    ended = {"attempts": [lost], **lost}
    assert coordinator_usd(ended, 9e9, PRICES) == pytest.approx(PRICES.coordinator / 2, abs=1e-5)
    assert coordinator_usd({}, 1.0, PRICES) is None
    assert predict(PRICES, 200, "g6.xlarge").usd_coordinator < 0.1


def test_an_unknown_machine_makes_no_sum() -> None:
    cost = cloud_cost("yard", {"train_splat": 1.0}, [entry(instance_type="")], PRICES)
    assert cost.usd is None and cost.stages[0].machine == "unknown"


def test_a_machine_of_ones_own() -> None:
    cost = local_cost("yard", {"a": 1800.0, "b": 1800.0}, 0.5, 400.0, 0.25)
    assert cost.seconds == 3600 and cost.kwh == pytest.approx(0.4)
    assert cost.usd == pytest.approx(0.5 + 0.4 * 0.25)
    free = local_cost("yard", {"a": 10.0}, 0.0, 0.0, 0.0)
    assert free.usd is None and free.kwh is None and free.seconds == 10


def test_predictions_beat_what_is_replaced_and_grow_with_the_scene() -> None:
    for machine in ("g6.xlarge", "g5.xlarge", "g4dn.xlarge"):
        found = predict(PRICES, 200, machine)
        assert 0 < found.usd_spot < found.usd_on_demand < PRICES.replaced["usd"]
        assert found.hours < PRICES.replaced["hours"]
        assert predict(PRICES, 400, machine).usd_spot > found.usd_spot
    with pytest.raises(UserError, match="no machine with a GPU named 'c7i.2xlarge'"):
        predict(PRICES, 200, "c7i.2xlarge")


def test_a_prediction_pays_for_boots_waits_and_what_is_kept() -> None:
    """Each of them alone makes a scene dearer, and jobs of several rules make it cheaper."""
    now = predict(PRICES, 100, "g6.xlarge")
    assert 0 < now.usd_kept < now.usd_spot
    machines = PRICES.machines
    for changed in (
        {"idle_seconds": 2 * PRICES.idle_seconds},
        {"job_overhead_seconds": 2 * PRICES.job_overhead_seconds},
        {"rule_overhead_seconds": 2 * PRICES.rule_overhead_seconds},
        {"start_seconds": {"cpu": 240, "gpu": 600}},
        {"beside_machine": 1.0},
        {"storage": {**PRICES.storage, "months": 12}},
        {"groups": {}},
    ):
        assert predict(replace(PRICES, **changed), 100, "g6.xlarge").usd_spot > now.usd_spot
    # By hand: the hours of both kinds of machine, their boots and five jobs.
    work = sum(
        stage_seconds(PRICES, r, 100, machines["g6.xlarge" if "gpu_seconds_fixed" in s else "c7i.2xlarge"])
        + PRICES.rule_overhead_seconds
        for r, s in PRICES.stages.items()
        if r not in (*DIVIDED, *IN_PARTS)
    )  # fmt: skip
    boots = 2 * PRICES.start_seconds["cpu"] + PRICES.start_seconds["gpu"]
    assert now.hours == pytest.approx((work + boots + 5 * PRICES.job_overhead_seconds) / 3600)


def test_blocks_are_predicted_instead_of_one_training() -> None:
    """Each block is a job of its own; the rest of the scene stays as it is."""
    one, four, eight = (predict(PRICES, 1600, "g6.xlarge", blocks) for blocks in (1, 4, 8))
    job = PRICES.job_overhead_seconds + PRICES.rule_overhead_seconds
    assert eight.hours - four.hours == pytest.approx(4 * job / 3600)
    machine, cpu = PRICES.machines["g6.xlarge"], PRICES.machines["c7i.2xlarge"]
    seconds = {
        rule: stage_seconds(
            PRICES, rule, 1600, machine if "gpu_seconds_fixed" in PRICES.stages[rule] else cpu
        )
        for rule in (*DIVIDED, WHOLE)
    }
    work = sum(seconds[rule] for rule in DIVIDED) - seconds[WHOLE]
    # Planning shares a job of others. So does merging, on a machine with a GPU, but it counts as one more.
    assert four.hours - one.hours == pytest.approx(
        (work + PRICES.rule_overhead_seconds + 5 * job) / 3600
    )
    assert "1 scene of 1600 photos" in forecast(PRICES, {"a": 1600})
    assert predict(PRICES, 1600, "g6.xlarge", 4).usd_spot == pytest.approx(
        float(forecast(PRICES, {"a": 1600}).split("$")[1].split()[0]), abs=0.006
    )


def test_a_forecast_says_what_it_assumes() -> None:
    one = predict(PRICES, 50, "g6.xlarge").usd_spot
    assert f"1 scene of 50 photos on g6.xlarge: ${one:.2f} on spot" in forecast(PRICES, {"a": 50})
    two = one + predict(PRICES, 200, "g6.xlarge").usd_spot
    text = forecast(PRICES, {"a": 50, "b": 0})
    assert f"${two:.2f} on spot" in text and "200 assumed where it is not known" in text


def test_the_price_list_knows_every_stage_and_machine() -> None:
    """The stages of the workflow that cost something, and the machines of the stack."""
    bodies = rules()
    # Files for other programs, and comparisons, are made on request: predictions know nothing of them.
    asked = {n for n in bodies if n.startswith("export_") or n in COMPARING}
    on_gpu = {n for n, body in bodies.items() if "gpu=gpus" in body and n not in asked}
    assert {rule for rule, stage in PRICES.stages.items() if "gpu_seconds_fixed" in stage} == on_gpu
    assert set(PRICES.stages) <= bodies.keys()
    stack = (ROOT / "config" / "aws" / "stack.yaml").read_text()
    for name, machine in PRICES.machines.items():
        assert name in stack and 0 < machine.spot < machine.on_demand
    assert isinstance(PRICES.machines["g5.xlarge"], Machine)


def test_a_scene_is_five_jobs_two_of_them_on_gpus() -> None:
    """By the groups of the profile for AWS; publishing is part of one of them."""
    seldom = {*DIVIDED, *COMPARING}
    bodies = {n: body for n, body in rules().items() if "threads:" in body and n not in seldom}
    jobs = {
        name: PRICES.groups.get(name, name)
        for name, body in bodies.items()
        if "localrule: True" not in body
    }
    assert len(set(jobs.values())) == 5
    assert len({jobs[name] for name, body in bodies.items() if "gpu=gpus" in body}) == 2
    # A group is one container.
    images = {
        job: {
            re.search(r'IMAGES\["(\w+)"\]', bodies[name])[1] for name in jobs if jobs[name] == job
        }
        for job in jobs.values()
    }
    assert all(len(found) == 1 for found in images.values())


def test_a_broken_price_list_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("machines: {a: {vcpus: 1}}\n")
    with pytest.raises(UserError, match="not a price list as it should be"):
        read_prices(path)


def test_the_script_reads_benchmarks_and_ledger(tmp_path: Path) -> None:
    bench = tmp_path / "yard" / "train_splat.tsv"
    bench.parent.mkdir()
    bench.write_text("s\tmax_rss\n3600.0\t10\n")
    arguments = [
        "--scene",
        "yard",
        "--benchmarks",
        str(bench),
        "--output",
        str(tmp_path / "c.json"),
    ]
    options = ["--options", '{"price_per_hour": 2.0}']
    cost_scene.main([*arguments, *options, "--run"])
    assert json.loads((tmp_path / "c.json").read_text())["usd"] == 2.0
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "1.json").write_text(json.dumps(to_json(entry())))
    cost_scene.main([*arguments, "--run", "s3://b/r", "--ledger", str(tmp_path)])
    cost = json.loads((tmp_path / "c.json").read_text())
    assert cost["basis"] == "jobs of AWS Batch" and cost["usd"] == pytest.approx(0.36)
