"""The numbers of a scene that both the report and the index show, as one flat record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from scripts.lib.contracts.placing import placing_of
from scripts.lib.report import verdicts
from scripts.lib.report.formats import read_formats
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.values import count, names, number, objects, text
from scripts.lib.report.verdicts import Verdict


@dataclass(frozen=True)
class Summary:
    """One scene in a line; None where a number was not measured. Fields are the TSV's columns."""

    scene: str
    verdict: str
    photos: int | None
    kept: int | None
    registered: int | None
    models: int | None
    reprojection_error_px: float | None
    track_length: float | None
    triangulation_angle_deg: float | None
    moved: bool | None  # False where a camera that only turned explains the photos as well
    georeferenced: bool | None
    # Of surveyed points left out in turn where there are such, else of the photos' GPS.
    rmse_horizontal_m: float | None
    rmse_vertical_m: float | None
    psnr: float | None
    ssim: float | None
    held_out: bool | None  # False when the numbers above are of photos that training has seen
    gaussians: int | None
    steps: int | None
    ply_bytes: int | None
    sog_bytes: int | None
    sog_loss_db: float | None
    train_seconds: float | None
    total_seconds: float | None
    cost_usd: float | None
    device: str
    seed: int | None


def kept_photos(files: StageFiles) -> list[str]:
    """Names of the photos that were used, sorted as the capture's order."""
    return sorted(names([item for item in objects(files.photos.get("photos")) if item.get("kept")]))


def summarise(files: StageFiles) -> Summary:
    """Pull the record out of a scene's stage files."""
    every = objects(files.photos.get("photos"))
    kept = len(kept_photos(files)) if every else count(files.sfm.get("photos"))
    formats = {item.key: item for item in read_formats(files.codecs)}
    sog, ply = formats.get("sog"), formats.get("ply")
    total = sum(item.seconds for item in files.benchmarks) if files.benchmarks else None
    registered = count(files.sfm.get("registered"))
    reprojection = number(files.sfm.get("reprojection_error_px"))
    tracks = number(files.sfm.get("track_length"))
    models = count(files.sfm.get("models"))
    psnr = number(files.eval.get("psnr"))
    placed = placing_of(files.georef)
    record = Summary(
        scene=files.scene,
        verdict="",
        photos=len(every) if every else count(files.sfm.get("photos")),
        kept=kept,
        registered=registered,
        models=models,
        reprojection_error_px=reprojection,
        track_length=tracks,
        triangulation_angle_deg=number(files.sfm.get("triangulation_angle_deg")),
        moved=bool(files.sfm["parallax"]) if registered and "parallax" in files.sfm else None,
        georeferenced=_flag(files.georef.get("georeferenced")),
        rmse_horizontal_m=number(placed.horizontal) if placed else None,
        rmse_vertical_m=number(placed.vertical) if placed else None,
        psnr=psnr,
        ssim=number(files.eval.get("ssim")),
        held_out=_flag(files.eval.get("held_out")),
        gaussians=count(files.train.get("gaussians")),
        steps=count(files.train.get("steps")),
        ply_bytes=_whole(ply.bytes if ply else None),
        sog_bytes=_whole(sog.bytes if sog else None),
        sog_loss_db=sog.loss_db if sog else None,
        train_seconds=number(files.train.get("seconds")),
        total_seconds=total,
        cost_usd=number(files.cost.get("usd")),
        device=text(files.train.get("device")),
        seed=count(files.train.get("seed")),
    )
    return replace(record, verdict=judge(record).level.value)


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def judge(summary: Summary) -> Verdict:
    """The verdict over a whole scene, the same in its report and in the index."""
    return verdicts.overall(
        verdicts.registration(summary.registered, summary.kept),
        verdicts.held_out(summary.psnr, summary.held_out is not False),
        [
            verdicts.photo_count(summary.kept),
            verdicts.pieces(summary.models),
            verdicts.reprojection(summary.reprojection_error_px),
            verdicts.track_length(summary.track_length),
        ],
        verdicts.depth(summary.triangulation_angle_deg, summary.moved),
    )


def headline(summary: Summary) -> str:
    """The report's first sentence: the verdict and the two numbers that carry it."""
    start = judge(summary).text
    seen = "views it was trained on" if summary.held_out is False else "views it never saw"
    parts = []
    if summary.registered is not None and summary.kept:
        parts.append(f"{summary.registered} of {summary.kept} photos registered")
    if summary.psnr is not None:
        parts.append(f"{seen} match the photos at {summary.psnr:.1f} dB")
    return f"{start}: {', '.join(parts)}." if parts else f"{start}: the stages left no figures."
