"""What a scene costs: predicted from measured seconds, and summed up from what its jobs really used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.lib.contracts.cost import Cost, LedgerEntry, PriceList, StageCost
from scripts.lib.core.checkout import ROOT
from scripts.lib.core.console import UserError
from scripts.lib.core.options import Options, option
from scripts.lib.workflow.blocks import EACH, Division, automatic, rules_for
from scripts.lib.workflow.settings import read_yaml

PRICES = ROOT / "config" / "aws" / "prices.yaml"
PROFILE = ROOT / "config" / "profiles" / "aws-batch" / "config.yaml"
SECONDS_AN_HOUR = 3600
JOULES_A_KWH = 3.6e6
CPU_MACHINE, GPU_MACHINE = "c7i.2xlarge", "g6.xlarge"  # what the queues take first
ASSUMED_PHOTOS = 200
GROUPED = "+"  # between the rules of one job in the ledger of the executor plugin


@dataclass(frozen=True)
class CostOptions(Options):
    """Cost of a scene on your own machine. On AWS Batch, the ledger of the jobs and config/aws/prices.yaml
    are used instead.
    """

    price_per_hour: float = option(
        0.0, "Price of the machine per hour; 0: not counted.", 0, 100_000, unit="dollars"
    )
    watts: float = option(
        0.0,
        "Power that the machine uses at work, in watts; 0: energy is not counted.",
        0,
        1_000_000,
    )
    price_per_kwh: float = option(0.0, "Price of a kilowatt-hour.", 0, 1000, unit="dollars")


@dataclass(frozen=True)
class Machine:
    """An instance type; prices in dollars an hour."""

    name: str
    vcpus: int
    memory_gib: float
    on_demand: float
    spot: float
    gpu: str = ""
    slower: float = 1.0  # than the GPU that training was measured on


@dataclass(frozen=True)
class Prices:
    """config/aws/prices.yaml."""

    date: str
    region: str
    machines: Mapping[str, Machine]
    stages: Mapping[str, Mapping[str, float]]
    groups: Mapping[str, str]  # {rule: group}, of the profile: the rules of one job
    job_overhead_seconds: float
    rule_overhead_seconds: float
    start_seconds: Mapping[str, float]
    idle_seconds: float
    starts: Mapping[str, int]
    beside_machine: float  # dollars an hour of its disk and address
    storage: Mapping[str, float]
    coordinator: float  # dollars an hour of the job that runs Snakemake for a caller of the job API
    other_usd: float
    replaced: Mapping[str, float]


def read_prices(path: Path) -> Prices:
    """Read the price list, and which rules share a job. Raises UserError when it is missing, not YAML, or
    lacks something.
    """
    content = read_yaml(path)
    try:
        machines = {name: Machine(name, **values) for name, values in content["machines"].items()}
        return Prices(
            date=str(content["date"]),
            region=content["region"],
            machines=machines,
            stages=content["stages"],
            groups=read_yaml(PROFILE)["groups"],
            job_overhead_seconds=float(content["job_overhead_seconds"]),
            rule_overhead_seconds=float(content["rule_overhead_seconds"]),
            start_seconds=content["start_seconds"],
            idle_seconds=float(content["idle_seconds"]),
            starts=content["starts"],
            beside_machine=float(content["beside_machine"]),
            storage=content["storage"],
            coordinator=float(content["coordinator"]),
            other_usd=float(content["other_usd"]),
            replaced=content["replaced"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a price list as it should be ({error})") from None


def share(machine: Machine, vcpus: float, memory_mib: float, gpus: float) -> float:
    """The part of a machine that a job holds, 0 to 1: others may use the rest."""
    if machine.gpu and gpus:
        return 1.0
    parts = (vcpus / machine.vcpus, memory_mib / 1024 / machine.memory_gib)
    return min(1.0, max(parts))


def job_usd(entry: LedgerEntry, prices: Prices) -> float | None:
    """What one entry of the ledger costs; None when the machine is unknown or has no price."""
    machine = prices.machines.get(entry.instance_type or "")
    if machine is None:
        return None
    hourly = machine.spot if "spot" in entry.queue else machine.on_demand
    part = share(machine, entry.vcpus, entry.memory_mib, entry.gpus)
    return entry.seconds / SECONDS_AN_HOUR * hourly * part


def by_rule(entry: LedgerEntry, benchmarks: Mapping[str, float]) -> list[LedgerEntry]:
    """The entry of a job, or, where it was a group of rules, one for each of them.

    The group's seconds go to its rules as theirs of `benchmarks` ({rule: seconds}) do; evenly where one
    has none.
    """
    rules = entry.rule.split(GROUPED)
    weights = [benchmarks.get(rule, 0.0) for rule in rules]
    if not all(weights):
        weights = [1.0] * len(rules)
    whole = sum(weights)
    return [
        replace(entry, rule=rule, seconds=entry.seconds * weight / whole)
        for rule, weight in zip(rules, weights, strict=True)
    ]


def coordinator_usd(job: Mapping[str, Any], now: float, prices: Prices) -> float | None:
    """What a coordinator has cost by `now` (seconds), by Batch's description of its job.

    None where it tells no start. Attempts that ended before count; the one that is running does until now.
    """
    spans = {(a.get("startedAt"), a.get("stoppedAt")) for a in job.get("attempts") or []}
    spans.add((job.get("startedAt"), job.get("stoppedAt") or now * 1000))
    known = [max(0.0, float(stop - start) / 1000) for start, stop in spans if start and stop]
    if not known:
        return None
    seconds = sum(known)
    return round(seconds / SECONDS_AN_HOUR * prices.coordinator, 5)


def cloud_cost(
    scene: str, benchmarks: Mapping[str, float], ledger: Iterable[LedgerEntry], prices: Prices
) -> Cost:
    """cost.json of a scene on AWS: what each stage's jobs used, interruptions and overhead included.

    `benchmarks` ({rule: seconds}) names the stages; the ledger has a stage's jobs more than once when it was
    run again. The total is None as long as a stage's machine or price is unknown.
    """
    stages = []
    entries = [
        part for entry in ledger if entry.scene == scene for part in by_rule(entry, benchmarks)
    ]
    for rule in benchmarks:
        own = [entry for entry in entries if entry.rule == rule]
        costs = [job_usd(entry, prices) for entry in own]
        known = [cost for cost in costs if cost is not None]
        stages.append(
            StageCost(
                rule=rule,
                seconds=round(sum(entry.seconds for entry in own), 1),
                machine=", ".join(sorted({entry.instance_type or "unknown" for entry in own})),
                queue=", ".join(sorted({entry.queue for entry in own})),
                attempts=sum(entry.attempts for entry in own),
                usd=round(sum(known), 5) if known and len(known) == len(costs) else None,
            )
        )
    listed = PriceList(prices.date, prices.region)
    return replace(_summed(scene, "jobs of AWS Batch", stages), prices=listed)


def local_cost(
    scene: str,
    benchmarks: Mapping[str, float],
    price_per_hour: float,
    watts: float,
    price_per_kwh: float,
) -> Cost:
    """cost.json of a scene on a machine of one's own: seconds, dollars by the hour, and energy.

    `watts` is what the machine draws at work; 0 leaves energy out, as 0 leaves out money.
    """
    stages = []
    for rule, seconds in benchmarks.items():
        kwh = seconds * watts / JOULES_A_KWH
        usd = seconds / SECONDS_AN_HOUR * price_per_hour + kwh * price_per_kwh
        priced = price_per_hour > 0 or (watts > 0 and price_per_kwh > 0)
        stages.append(
            StageCost(
                rule=rule,
                seconds=round(seconds, 1),
                kwh=round(kwh, 5) if watts > 0 else None,
                usd=round(usd, 5) if priced else None,
            )
        )
    return _summed(scene, "this machine", stages)


def _summed(scene: str, basis: str, stages: list[StageCost]) -> Cost:
    """The cost of a scene with its sums; a sum is None unless every part is known."""

    def total(parts: Iterable[float | None]) -> float | None:
        values = [part for part in parts if part is not None]
        return round(sum(values), 4) if values and len(values) == len(stages) else None

    return Cost(
        scene=scene,
        basis=basis,
        seconds=round(sum(stage.seconds for stage in stages), 1),
        usd=total(stage.usd for stage in stages),
        kwh=total(stage.kwh for stage in stages),
        stages=tuple(stages),
    )


@dataclass(frozen=True)
class Prediction:
    """What a scene will take on one kind of GPU machine."""

    machine: str
    usd_spot: float  # machines, what stands beside them, and what is kept
    usd_on_demand: float
    usd_kept: float  # of these, for files in S3 until they expire
    usd_coordinator: float  # beside these, where the job API started the run
    hours: float


def stage_seconds(prices: Prices, rule: str, photos: float, machine: Machine) -> float:
    """Seconds that a stage's own program will take on this machine."""
    stage = prices.stages[rule]
    cores = min(stage.get("cores", machine.vcpus), machine.vcpus)
    core_seconds = stage.get("core_seconds", 0.0) * photos + stage.get("core_seconds_fixed", 0.0)
    gpu_seconds = stage.get("gpu_seconds", 0.0) * photos + stage.get("gpu_seconds_fixed", 0.0)
    return core_seconds / cores + gpu_seconds * machine.slower


def forecast(prices: Prices, photos: Mapping[str, int]) -> str:
    """One sentence before a run on AWS: what its scenes ({scene: photos, 0 for unknown}) will cost in all.

    A scene of unknown size counts as one of `ASSUMED_PHOTOS`. Finished stages are not taken off.
    """
    sizes = [count or ASSUMED_PHOTOS for count in photos.values()]
    found = [predict(prices, count, GPU_MACHINE, automatic(count)) for count in sizes]
    scenes = f"{len(sizes)} scene{'s' if len(sizes) != 1 else ''} of {sum(sizes)} photos"
    if 0 in photos.values():
        scenes += f" ({ASSUMED_PHOTOS} assumed where it is not known)"
    return (
        f"Predicted from scratch, {scenes} on {GPU_MACHINE}: ${sum(p.usd_spot for p in found):.2f} on spot,"
        f" ${sum(p.usd_on_demand for p in found):.2f} on demand, {max(p.hours for p in found):.1f} h for the"
        f" longest (prices of {prices.region}, {prices.date})"
    )


def predict(prices: Prices, photos: int, gpu_machine: str, blocks: int = 1) -> Prediction:
    """Cost and time of one scene of `photos` photos in so many blocks, its jobs one after another on machines
    of its own.

    Raises UserError when the price list has no such machine with a GPU.
    """
    machine = prices.machines.get(gpu_machine)
    if machine is None or not machine.gpu:
        raise UserError(f"config/aws/prices.yaml has no machine with a GPU named {gpu_machine!r}")
    machines = {"cpu": prices.machines[CPU_MACHINE], "gpu": machine}
    busy = {kind: prices.start_seconds[kind] * prices.starts[kind] for kind in machines}
    jobs = set()
    # Parts of features and matches share a job here, and take what the whole would.
    for rule in rules_for(prices.stages, Division(blocks)):
        stage, times = prices.stages[rule], blocks if rule == EACH else 1
        kind = "gpu" if "gpu_seconds_fixed" in stage else "cpu"
        seconds = stage_seconds(prices, rule, photos, machines[kind])
        busy[kind] += seconds + times * prices.rule_overhead_seconds
        busy[kind] += (times - 1) * prices.job_overhead_seconds
        jobs.add((kind, prices.groups.get(rule, rule)))
    for kind, _ in jobs:
        busy[kind] += prices.job_overhead_seconds
    hours = sum(busy.values()) / SECONDS_AN_HOUR
    paid = {
        kind: (seconds + prices.idle_seconds * prices.starts[kind]) / SECONDS_AN_HOUR
        for kind, seconds in busy.items()
    }
    beside = (
        prices.beside_machine * sum(paid.values()) + kept_usd(prices, photos) + prices.other_usd
    )
    return Prediction(
        gpu_machine,
        usd_spot=sum(paid[kind] * machines[kind].spot for kind in paid) + beside,
        usd_on_demand=sum(paid[kind] * machines[kind].on_demand for kind in paid) + beside,
        usd_kept=kept_usd(prices, photos),
        usd_coordinator=hours * prices.coordinator,
        hours=hours,
    )


def kept_usd(prices: Prices, photos: int) -> float:
    """What S3 asks for the files of a scene until they expire."""
    kept = prices.storage
    gigabytes = kept["gb_a_photo"] * photos + kept["gb_fixed"]
    return gigabytes * kept["usd_gb_month"] * kept["months"]
