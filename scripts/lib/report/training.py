"""The report's part on training: the curve, and the facts beside it."""

from __future__ import annotations

from typing import Any

from scripts.lib.core.console import duration
from scripts.lib.report import charts
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.summary import Summary
from scripts.lib.report.values import DASH, decimals, grouped, number, objects, text


def curve(files: StageFiles) -> Any:
    """The training curve as inline SVG; empty for fewer than two measurements."""
    points = [
        (step, psnr)
        for point in objects(files.train.get("curve"))
        if (step := number(point.get("step"))) is not None
        and (psnr := number(point.get("psnr"))) is not None
    ]
    return charts.training_curve(points) if len(points) > 1 else ""


def facts(files: StageFiles, record: Summary) -> list[tuple[str, str]]:
    """Facts beside the training curve."""
    train = files.train
    rows = [
        ("Steps", grouped(record.steps)),
        ("Gaussians (soft dots the scene is made of)", grouped(record.gaussians)),
        ("Time", DASH if record.train_seconds is None else duration(record.train_seconds)),
        ("Peak memory", decimals(train.get("peak_memory_mb"), 0, "MB")),
    ]
    if (resumed := number(train.get("resumed_from"))) is not None and resumed > 0:
        rows.append(("Continued from a checkpoint at step", grouped(resumed)))
    planned = number(train.get("planned_steps"))
    if planned and record.steps and record.steps < planned:
        rows.append(
            ("Stopped early", f"nothing was gained any more; {grouped(planned)} were planned")
        )
    if sky := number(train.get("sky_photos")):
        rows.append(("Photos that show the sky, which was put far behind", grouped(sky)))
    if left_out := train.get("left_out"):
        rows.append(
            (
                "Not trained on, being nearly photos that judge",
                ", ".join(map(text, left_out)),
            )
        )
    repeats = train.get("repeats") or {}
    if (mean := number(repeats.get("psnr_mean"))) is not None:
        spread = decimals(repeats.get("psnr_spread"), 2, "dB")
        runs = len(repeats.get("runs", []))
        rows.append(
            (
                f"Mean and spread of {runs} runs, of the photos that judge",
                f"{mean:.2f} dB, {spread}",
            )
        )
    rows += _cameras_refined(files)
    rows += [("Fitted to the machine", text(sentence)) for sentence in train.get("adapted") or []]
    return [(name, value) for name, value in rows if value != DASH]


def _cameras_refined(files: StageFiles) -> list[tuple[str, str]]:
    """How far training moved the cameras, and the likeness when each judging photo may move too."""
    rows = []
    found = files.train.get("cameras") or {}
    if (moved := number((found.get("moved") or {}).get("rms_px"))) is not None:
        rows.append(
            ("Cameras moved while training", f"{moved:.2f} pixels; the scene stayed in place")
        )
    if scales := [100 * (s - 1) for v in found.get("focal_scales") or [] if (s := number(v))]:
        rows.append(("Focal lengths changed", ", ".join(f"{change:+.2f} %" for change in scales)))
    plain, fitted = (number(files.eval.get(key)) for key in ("psnr", "psnr_pose_refined"))
    if plain is not None and fitted is not None:
        rows.append(
            (
                "Likeness with each judging photo moved to where it fits best",
                f"{fitted:.1f} dB, not the main figure: the {fitted - plain:.1f} dB more are what small"
                " errors of these photos' positions cost there",
            )
        )
    return rows
