"""The report's part on the test photos: the numbers of each, and a chart of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.lib.contracts.eval import ViewFigures
from scripts.lib.report import charts, verdicts
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.values import decimals
from scripts.lib.report.verdicts import Verdict


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
