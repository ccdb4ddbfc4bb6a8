"""The report's part on the photos that judge: each one's figures, and all of them as a chart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.lib.report import charts, verdicts
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.values import decimals, number, objects, text


def worst_first(files: StageFiles) -> list[dict[str, Any]]:
    """Views of eval.json, lowest PSNR first; views without a number last."""
    views = [view for view in objects(files.eval.get("views")) if text(view.get("name"))]

    def key(view: dict[str, Any]) -> tuple[bool, float, str]:
        psnr = number(view.get("psnr"))
        return (psnr is None, psnr or 0.0, text(view.get("name")))

    return sorted(views, key=key)


def rows(
    files: StageFiles, pictures: Mapping[str, dict[str, str]], shown: dict[str, str]
) -> list[dict[str, Any]]:
    """Judged views, worst first, with their pictures as far as they were asked for."""
    found = []
    for view in worst_first(files):
        name, psnr = text(view.get("name")), number(view.get("psnr"))
        found.append(
            {
                "name": shown.get(name, name),
                "psnr": decimals(psnr, 1, "dB"),
                "ssim": decimals(view.get("ssim"), 3),
                "verdict": verdicts.held_out(psnr),
                "pictures": pictures.get(name, {}),
            }
        )
    return found


def chart(files: StageFiles) -> Any:
    """The PSNR of each judged view as inline SVG; empty for fewer than two."""
    views = [
        (text(view.get("name")), psnr, verdicts.held_out(psnr).level.value)
        for view in sorted(objects(files.eval.get("views")), key=lambda v: text(v.get("name")))
        if (psnr := number(view.get("psnr"))) is not None
    ]
    return charts.view_bars(views, number(files.eval.get("psnr"))) if len(views) > 1 else ""
