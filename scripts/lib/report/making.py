"""What is needed to make the same scene again: machine, versions, seed, and the options of each stage."""

from __future__ import annotations

from typing import Any

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
    """Machine, versions and seed: what is needed to make the same again."""
    rows = [("Device", record.device), ("Seed", text(record.seed))]
    rows += [
        (f"Device of {rule}", text(made.get("device")))
        for rule, made in _stages_json(files).items()
        if made.get("device") and made is not files.train
    ]
    for key in ("git_commit", "created"):
        rows.append((key.replace("_", " ").capitalize(), text(files.manifest.get(key))))
    rows += [(MACHINE.get(name, name), value) for name, value in _by_stage(files, "machine")]
    rows += _by_stage(files, "versions")
    rows += values.settings(files.manifest.get("images"))
    return [row for row in rows if row[1]]


def options(files: StageFiles) -> list[tuple[str, str]]:
    """Settings that the stages recorded, each under the name of its section of the config."""
    return [
        row
        for rule, made in _stages_json(files).items()
        for row in values.settings(made.get("options"), f"{rule}.")
    ]


def _by_stage(files: StageFiles, key: str) -> list[tuple[str, str]]:
    """A dictionary that every stage wrote, as one: (name, value), with the rules where these differ."""
    found: dict[str, dict[str, list[str]]] = {}
    for rule, made in _stages_json(files).items():
        for name, value in values.settings(made.get(key)):
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


def _stages_json(files: StageFiles) -> dict[str, dict[str, Any]]:
    """What each rule wrote of itself, in the order in which they run."""
    return {
        "import_photos": files.photos,
        "extract_features": files.features,
        "match_photos": files.pairs,
        "map_scene": files.sfm,
        "undistort": files.undistort,
        "train_splat": files.train,
        "evaluate_splat": files.eval,
        "clean_splat": files.clean,
        "compress_splat": files.compress,
        "check_codecs": files.codecs,
        "render_poster": files.view,
        "render_tour": files.tour,
        "bundle_web": files.manifest,
    }
