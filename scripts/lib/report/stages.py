"""The report's part on the work: what each stage took, on which machine, and what all of it cost."""

from __future__ import annotations

from typing import Any

from scripts.lib.core.console import duration
from scripts.lib.core.deliverables import DELIVERABLES
from scripts.lib.report import charts
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.values import decimals, dollars

# What the stages do, in plain words.
IN_WORDS = {
    "import_photos": "reading the photos",
    "extract_features": "finding features",
    "match_photos": "comparing photos",
    "extract_part": "finding features, in parts",
    "gather_features": "gathering the features",
    "plan_pairs": "choosing photos to compare",
    "match_part": "comparing photos, in parts",
    "gather_matches": "gathering the matches",
    "map_scene": "finding the camera positions",
    "take_component": "taking the photos of the group",
    "undistort": "undistorting photos",
    "plan_blocks": "dividing the scene into blocks",
    "train_coarse": "training a coarse model",
    "train_block": "training the blocks",
    "merge_blocks": "joining the blocks",
    "train_splat": "training the scene",
    "evaluate_splat": "test views",
    "clean_splat": "cleaning",
    "compress_splat": "compressing",
    "check_codecs": "checking the files",
    "render_poster": "planning the tour, poster",
    "render_tour": "film",
    **{item.rule: f"export: {item.file}" for item in DELIVERABLES.values()},
    "register_captures": "bringing two captures together",
    "find_changes": "finding what changed",
    "bundle_compare": "page of before and after",
    "bundle_web": "web page",
}


def rows(files: StageFiles) -> list[dict[str, str]]:
    """Each rule that was timed, in the order in which they run, with its cost as far as it is known."""
    spent = {stage.rule: stage for stage in (files.cost.stages if files.cost else ())}
    order = list(IN_WORDS)
    found = sorted(
        files.benchmarks,
        key=lambda item: order.index(item.rule) if item.rule in order else len(order),
    )
    return [
        {
            "rule": item.rule,
            "name": IN_WORDS.get(item.rule, item.rule.replace("_", " ")),
            "seconds": duration(item.seconds),
            "memory": decimals(item.memory_mb, 0, "MB"),
            "cost": dollars(spent[item.rule].usd if item.rule in spent else None),
            "machine": (spent[item.rule].machine if item.rule in spent else None) or "",
        }
        for item in found
    ]


def chart(files: StageFiles) -> Any:
    """The time of each rule as inline SVG; empty when none was timed."""
    seconds = {item.rule: item.seconds for item in files.benchmarks}
    bars = [(row["name"], seconds[row["rule"]], row["seconds"]) for row in rows(files)]
    return charts.time_bars(bars) if bars else ""


def cost(files: StageFiles) -> dict[str, str]:
    """What the scene cost and by what it was counted, in words; {} when no price was known."""
    cost = files.cost
    if cost is None or all(stage.usd is None for stage in cost.stages):
        return {}
    counted = f"by {cost.basis}"
    if cost.prices:
        counted += f", prices of {cost.prices.region} as of {cost.prices.date}"
    return {
        "total": dollars(cost.usd),
        "counted": counted,
        "energy": "" if cost.kwh is None else decimals(cost.kwh, 2, "kWh"),
    }
