"""The report's part on cleaning: what was left out before encoding, and what that did."""

from __future__ import annotations

from typing import Any

from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.values import count, grouped, number

# The filters of clean.json, in words.
CLEANED = {
    "transparent": "nearly transparent",
    "unseen": "seen by fewer than two photos",
    "far": "far outside of the capture",
    "needle": "needle-shaped",
    "sheet": "wide sheets of haze",
}


def cleaning(files: StageFiles) -> dict[str, Any] | None:
    """What was left out before encoding, by reason, and what that did to the photos that steer."""
    before, after = (
        count(files.clean.get("gaussians_before")),
        count(files.clean.get("gaussians_after")),
    )
    if before is None or after is None:
        return None
    filters = files.clean.get("filters")
    rows = []
    for name, entry in (filters if isinstance(filters, dict) else {}).items():
        if isinstance(entry, dict) and (found := count(entry.get("count"))):
            done = "left out" if entry.get("applied") is True else "kept: photos need them"
            rows.append((CLEANED.get(name, name), grouped(found), done))
    if cropped := count(files.clean.get("cropped")):
        rows.append(("outside of the crop", grouped(cropped), "left out"))
    change = None
    first, last = number(files.clean.get("psnr_before")), number(files.clean.get("psnr_after"))
    if first is not None and last is not None:
        step = last - first
        # Results of earlier versions do not say it: there, one set did both.
        steering = files.clean.get("measured_on") == "steering"
        measured = "the photos that steer" if steering else "the photos it was measured on"
        change = (
            f"which changed {measured} by {step:+.2f} dB"
            if abs(step) >= 0.005
            else f"without any change of {measured}"
        )
    return {
        "out": grouped(before - after),
        "before": grouped(before),
        "rows": rows,
        "change": change,
    }
