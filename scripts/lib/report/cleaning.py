"""The report's part on cleaning: what was left out before encoding, and what that did."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.values import grouped

# The filters of clean.json, in words.
CLEANED = {
    "transparent": "nearly transparent",
    "unseen": "seen by fewer than two photos",
    "far": "far outside of the capture",
    "needle": "needle-shaped",
    "sheet": "wide sheets of haze",
}


@dataclass(frozen=True)
class Cleaning:
    """How many Gaussians were left out of how many, a row for each reason, and what that changed."""

    out: str
    before: str
    rows: list[tuple[str, str, str]]  # reason, Gaussians, what was done
    change: str | None


def cleaning(files: StageFiles) -> Cleaning | None:
    """What was left out before encoding, by reason, and what that did to the photos that steer."""
    clean = files.clean
    if clean is None:
        return None
    rows = []
    for name, entry in clean.filters.items():
        if entry.count:
            done = "left out" if entry.applied else "kept: photos need them"
            rows.append((CLEANED.get(name, name), grouped(entry.count), done))
    if clean.cropped:
        rows.append(("outside of the crop", grouped(clean.cropped), "left out"))
    change = None
    if clean.psnr_before is not None and clean.psnr_after is not None:
        step = clean.psnr_after - clean.psnr_before
        steering = clean.measured_on == "steering"
        measured = "the photos that steer" if steering else "the photos it was measured on"
        change = (
            f"which changed {measured} by {step:+.2f} dB"
            if abs(step) >= 0.005
            else f"without any change of {measured}"
        )
    return Cleaning(
        out=grouped(clean.gaussians_before - clean.gaussians_after),
        before=grouped(clean.gaussians_before),
        rows=rows,
        change=change,
    )
