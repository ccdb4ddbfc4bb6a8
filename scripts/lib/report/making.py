"""What is needed to make the same scene again: machine, versions, seed, and the options of each stage."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.lib.contracts.manifest import Manifest
from scripts.lib.contracts.record import Measured
from scripts.lib.core.json_type import Json
from scripts.lib.report import values
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.summary import Summary
from scripts.lib.report.values import text

MACHINE = {
    "system": "System",
    "architecture": "Architecture",
    "python": "Python",
    "cpus": "CPUs",
    "gpu": "GPU",
    "driver": "GPU driver",
}


def facts(files: StageFiles, record: Summary) -> list[tuple[str, str]]:
    """Machine, versions and seed: what is needed to make the same scene again."""
    rows = [("Device", record.device), ("Seed", text(record.seed))]
    rows += [
        (f"Device of {made.stage}", device)
        for made in files.measured
        if made is not files.train and (device := getattr(made, "device", None))
    ]
    page = files.manifest
    if page is not None:
        rows += [("Git commit", page.git_commit), ("Created", page.created)]
    rows += [
        (MACHINE.get(name, name), value)
        for name, value in _by_stage({rule: how.machine for rule, how in _runs(files).items()})
    ]
    rows += _by_stage({rule: how.versions for rule, how in _runs(files).items()})
    rows += values.settings(page.images if page else {})
    return [row for row in rows if row[1]]


def options(files: StageFiles) -> list[tuple[str, str]]:
    """Settings that the stages recorded, each under the name of its section of the config."""
    return [
        row
        for rule, how in _runs(files).items()
        for row in values.settings(how.options, f"{rule}.")
    ]


def _runs(files: StageFiles) -> dict[str, Measured | Manifest]:
    """How each stage was run, by its name, in the order in which they run."""
    runs: dict[str, Measured | Manifest] = {made.stage: made for made in files.measured}
    return runs | ({files.manifest.stage: files.manifest} if files.manifest else {})


def _by_stage(told: Mapping[str, Mapping[str, Json]]) -> list[tuple[str, str]]:
    """What every stage tells, as one: (name, value), with the rules where these differ."""
    found: dict[str, dict[str, list[str]]] = {}
    for rule, made in told.items():
        for name, value in values.settings(made):
            found.setdefault(name, {}).setdefault(value, []).append(rule)
    return [
        (
            name,
            next(iter(told))
            if len(told) == 1
            else "; ".join(f"{value} ({', '.join(rules)})" for value, rules in told.items()),
        )
        for name, told in found.items()
    ]
