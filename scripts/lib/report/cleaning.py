"""The report's part on cleaning: what was removed before encoding, and the effect."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.values import grouped

# The filters of clean.json, in words.
CLEANED = {
    "transparent": "nearly transparent",
    "unseen": "seen by fewer than two photos",
    "far": "far outside the capture",
    "needle": "needle-shaped",
    "sheet": "wide sheets of haze",
}


@dataclass(frozen=True)
class Cleaning:
    """How many Gaussians were removed of how many, a row for each reason, and what that changed."""

    out: str
    before: str
    rows: list[tuple[str, str, str]]  # reason, Gaussians, what was done
    change: str | None


def cleaning(files: StageFiles) -> Cleaning | None:
    """What was removed before encoding, by reason, and the effect on the validation photos."""
    clean = files.clean
    if clean is None:
        return None
    rows = []
    for name, entry in clean.filters.items():
        if entry.count:
            done = "removed" if entry.applied else "kept, because photos would suffer"
            rows.append((CLEANED.get(name, name), grouped(entry.count), done))
    if clean.cropped:
        rows.append(("outside the crop", grouped(clean.cropped), "removed"))
    change = None
    if clean.psnr_before is not None and clean.psnr_after is not None:
        step = clean.psnr_after - clean.psnr_before
        steering = clean.measured_on == "steering"
        measured = "the validation photos" if steering else "the photos used to measure"
        change = (
            f"which changed the quality on {measured} by {step:+.2f} dB"
            if abs(step) >= 0.005
            else f"without changing the quality on {measured}"
        )
    return Cleaning(
        out=grouped(clean.gaussians_before - clean.gaussians_after),
        before=grouped(clean.gaussians_before),
        rows=rows,
        change=change,
    )
