"""The report's part on training: the curve, and the facts beside it."""

from __future__ import annotations

import math
from typing import Any

from scripts.lib.core.console import duration
from scripts.lib.report import charts
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.summary import Summary
from scripts.lib.report.values import DASH, decimals, grouped, text

NAMED = 5  # photos that a row lists


def curve(files: StageFiles) -> Any:
    """The training curve as inline SVG; empty for fewer than two measurements."""
    points = [(float(point.step), point.psnr) for point in files.train.curve]
    return charts.training_curve(points) if len(points) > 1 else ""


def facts(files: StageFiles, record: Summary) -> list[tuple[str, str]]:
    """Facts beside the training curve."""
    train = files.train
    rows = [
        ("Steps", grouped(record.steps)),
        ("Gaussians (the soft ellipsoids that the scene consists of)", grouped(record.gaussians)),
        ("Time", DASH if record.train_seconds is None else duration(record.train_seconds)),
        ("Peak memory", decimals(train.peak_memory_mb, 0, "MB")),
    ]
    if train.blocks:
        rows.append(
            (
                "Blocks, trained one by one after a coarse model of the whole",
                f"{len(train.blocks) - 1}; the times and steps of all are added up",
            )
        )
    if train.resumed_from:
        rows.append(("Continued from a checkpoint at step", grouped(train.resumed_from)))
    planned = train.planned_steps
    if planned and train.steps < planned:
        rows.append(
            ("Stopped early", f"no further improvement; {grouped(planned)} steps were planned")
        )
    if train.sky_photos:
        rows.append(
            ("Photos that show the sky, which was placed far away", grouped(train.sky_photos))
        )
    if train.left_out:
        rows.append(
            ("Left out because they are almost the same as test photos", ", ".join(train.left_out))
        )
    rows += _transients(files)
    rows += _exposure(files)
    if lost := sorted({round(100 * share) for share in train.corners_lost if share}):
        told = " and ".join(f"{share} %" for share in lost)
        done = "corrected, in the test photos as well"
        rows.append(("Brightness that the lens loses in the corners", f"{told}; {done}"))
    if train.soft:
        soft = ", ".join(f"{photo.name} ({100 * photo.contrast:.0f} %)" for photo in train.soft)
        rows.append(
            ("Photos less sharp than others of the same things (contrast beside theirs)", soft)
        )
    rows += _cameras_refined(files)
    found = files.eval.needles
    if found:
        rows.append(
            (
                "Share of the picture made by needles (Gaussians more than 30 times as long as wide)",
                f"{100 * found.over_30:.1f} %; more than 10 times: {100 * found.over_10:.1f} %",
            )
        )
    if files.eval.flicker is not None:
        rows.append(
            (
                "Flicker (how much the colour of a surface changes from one film frame to the next)",
                f"{255 * files.eval.flicker:.1f} of 255 levels; up to about 0.8 cannot be told from none",
            )
        )
    rows += [("Adapted to this machine", text(sentence)) for sentence in train.adapted]
    return [(name, value) for name, value in rows if value != DASH]


def _transients(files: StageFiles) -> list[tuple[str, str]]:
    """What moved between the photos and was left out, and of which photos most."""
    found = files.train.transients
    if found is None or not found.left_out:
        return []
    most = sorted(found.photos, key=lambda name: -found.photos[name])[:NAMED]
    worst = text(", ".join(f"{name} ({found.photos[name]:.0%})" for name in most))
    told = f"{found.share:.0%} of the photos' area, in {grouped(len(found.photos))} photos; most of {worst}"
    return [("Left out because other photos contradict it (people, cars, what moved)", told)]


def _exposure(files: StageFiles) -> list[tuple[str, str]]:
    """How differently bright the photos are, and the quality when that is taken out of the test photos."""
    rows, found = [], files.train.exposure
    if found:
        differ = f"{100 * math.expm1(found.range):.0f} % between the darkest and the brightest"
        done = "corrected in training" if found.corrected else "not corrected in training"
        rows.append(("Brightness of the photos", f"{differ}; {done}"))
    return rows + _beside(
        "Quality when the brightness of each test photo is fitted to the scene",
        files.eval.psnr,
        files.eval.psnr_exposure_fitted,
        "exposure and white balance",
    )


def _cameras_refined(files: StageFiles) -> list[tuple[str, str]]:
    """How far training moved the cameras, and the quality when each test photo may move too."""
    rows = []
    found = files.train.cameras
    if found and found.moved:
        moved = f"{found.moved.rms_px:.2f} pixels on average; the scene itself did not move"
        rows.append(("Cameras moved during training", moved))
    if found and found.focal_scales:
        changes = ", ".join(f"{100 * (scale - 1):+.2f} %" for scale in found.focal_scales)
        rows.append(("Focal lengths changed", changes))
    return rows + _beside(
        "Quality when the camera of each test photo is fitted to the scene",
        files.eval.psnr,
        files.eval.psnr_pose_refined,
        "small errors in the positions of these photos",
    )


def _beside(name: str, plain: float, fitted: float | None, cause: str) -> list[tuple[str, str]]:
    """The quality without what `cause` costs, and that this is not the main result; none if not measured."""
    if fitted is None:
        return []
    told = f"{fitted:.1f} dB. This is not the main result: the difference of {fitted - plain:.1f} dB is"
    return [(name, f"{told} caused by {cause}")]
