"""The report's part on the test photos: the numbers of each, of near and far parts, and a chart of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.lib.contracts.eval import DepthBand, ViewFigures
from scripts.lib.report import charts, verdicts
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.values import DASH, decimals
from scripts.lib.report.verdicts import Verdict

# From this difference of near and far a sentence tells it: one has twice the square error of the other. Less
# may be due to what is photographed there: a bare wall has a smaller error than leaves.
UNEQUAL_DB = 3.0
BANDS = {
    "near": "Foreground",
    "middle": "Middle",
    "far": "Background",
    "beyond": "Sky, or nothing solid",
}


@dataclass(frozen=True)
class Row:
    """A test view: its numbers in words, and its pictures by their kind."""

    name: str
    psnr: str
    ssim: str
    verdict: Verdict
    pictures: dict[str, str]


def worst_first(files: StageFiles) -> list[ViewFigures]:
    """Views of eval.json, lowest PSNR first."""
    return sorted(files.eval.views, key=lambda view: (view.psnr, view.name))


def rows(
    files: StageFiles, pictures: Mapping[str, dict[str, str]], shown: dict[str, str]
) -> list[Row]:
    """Test views, worst first, with their pictures where these were asked for."""
    return [
        Row(
            name=shown.get(view.name, view.name),
            psnr=decimals(view.psnr, 1, "dB"),
            ssim=decimals(view.ssim, 3),
            verdict=verdicts.held_out(view.psnr),
            pictures=pictures.get(view.name, {}),
        )
        for view in worst_first(files)
    ]


def chart(files: StageFiles) -> Any:
    """The PSNR of each test view as inline SVG; empty for fewer than two."""
    views = [
        (view.name, view.psnr, verdicts.held_out(view.psnr).level.value)
        for view in sorted(files.eval.views, key=lambda view: view.name)
    ]
    return charts.view_bars(views, files.eval.psnr) if len(views) > 1 else ""


@dataclass(frozen=True)
class BandRow:
    """A range of distances from the camera, in words."""

    name: str
    distance: str
    share: str
    psnr: str


def bands(files: StageFiles) -> list[BandRow]:
    """Quality by distance, nearest first; none for files from before it was measured."""
    unit = " m" if files.georef and files.georef.metric else ""
    return [
        BandRow(
            BANDS[band.name],
            _distance(band, unit),
            f"{100 * band.share:.0f} %",
            decimals(band.psnr, 1, "dB"),
        )
        for band in files.eval.depth_bands or ()
    ]


def _distance(band: DepthBand, unit: str) -> str:
    """`up to 3.1 m`, `3.1 to 7.4 m` or `from 7.4 m`; a dash where there is none."""
    if band.nearest is None or band.farthest is None:
        return DASH
    nearest, farthest = (
        f"{depth:{'.1f' if depth < 100 else '.0f'}}" for depth in (band.nearest, band.farthest)
    )
    if band.name == "near":
        return f"up to {farthest}{unit}"
    return f"from {nearest}{unit}" if band.name == "far" else f"{nearest} to {farthest}{unit}"


def unequal(files: StageFiles) -> str:
    """A sentence when the background is much worse than the foreground, or the reverse; else empty."""
    psnr = {band.name: band.psnr for band in files.eval.depth_bands or ()}
    if "near" not in psnr or "far" not in psnr:
        return ""
    near, far = psnr["near"], psnr["far"]
    if near - far >= UNEQUAL_DB:
        return (
            f"The background is less exact than the foreground: {far:.1f} dB against {near:.1f} dB."
        )
    if far - near >= UNEQUAL_DB:
        return (
            f"The foreground is less exact than the background: {near:.1f} dB against {far:.1f} dB."
        )
    return ""
