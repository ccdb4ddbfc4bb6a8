"""The numbers of a scene that the report and the index both show, as one flat record."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scripts.lib.contracts.georeferencing import georeferencing
from scripts.lib.report import verdicts
from scripts.lib.report.formats import read_formats
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.verdicts import Verdict

VIEWS = 6  # of a panorama


@dataclass(frozen=True)
class Summary:
    """One scene in a line; None where a number was not measured. Fields are the TSV's columns."""

    scene: str
    verdict: str
    photos: int | None
    kept: int | None
    panoramas: int | None  # whose views are counted as photos
    registered: int | None
    models: int | None
    suspicious: (
        int | None
    )  # parts of the model that something contradicts; None where nobody looked
    reprojection_error_px: float | None
    track_length: float | None
    triangulation_angle_deg: float | None
    moved: bool | None  # False where a camera that only turned explains the photos as well
    georeferenced: bool | None
    # Of surveyed points left out in turn where there are such, else of the photos' GPS.
    rmse_horizontal_m: float | None
    rmse_vertical_m: float | None
    psnr: float | None
    # After the best gain and offset of each test photo's colours; only where training corrected the photos'
    # brightness: then the splat cannot know how bright a test photo came out.
    psnr_exposure_fitted: float | None
    ssim: float | None
    held_out: bool | None  # False when the numbers above were measured on photos used for training
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

    @property
    def quality(self) -> float | None:
        """PSNR in dB by which new views are judged."""
        return self.psnr if self.psnr_exposure_fitted is None else self.psnr_exposure_fitted


def kept_photos(files: StageFiles) -> list[str]:
    """Names of the photos that were used, sorted as the capture's order."""
    return sorted(photo.file for photo in (files.photos.used if files.photos else ()))


def summarise(files: StageFiles) -> Summary:
    """Pull the record out of a scene's stage files."""
    sfm, train, georef = files.sfm, files.train, files.georef
    every = files.photos.photos if files.photos else ()
    kept = files.photos.used if files.photos else []
    formats = {item.key: item for item in read_formats(files.codecs)}
    sog, ply = formats.get("sog"), formats.get("ply")
    located = georeferencing(georef)
    exposed = train.exposure is not None and train.exposure.corrected
    record = Summary(
        scene=files.scene,
        verdict="",
        photos=len(every) if every else sfm.photos,
        kept=len(kept_photos(files)) if every else sfm.photos,
        panoramas=len({photo.rig.frame for photo in kept if photo.rig and photo.rig.panorama}),
        registered=sfm.registered,
        models=len(sfm.models),
        suspicious=None if sfm.suspicious is None else len(sfm.suspicious),
        reprojection_error_px=sfm.reprojection_error_px,
        track_length=sfm.track_length,
        triangulation_angle_deg=sfm.triangulation_angle_deg,
        moved=sfm.parallax is not None if sfm.registered else None,
        georeferenced=georef.georeferenced if georef else None,
        rmse_horizontal_m=located.horizontal if located else None,
        rmse_vertical_m=located.vertical if located else None,
        psnr=files.eval.psnr,
        psnr_exposure_fitted=files.eval.psnr_exposure_fitted if exposed else None,
        ssim=files.eval.ssim,
        held_out=files.eval.held_out,
        gaussians=train.gaussians,
        steps=train.steps,
        ply_bytes=ply.bytes if ply else None,
        sog_bytes=sog.bytes if sog else None,
        sog_loss_db=sog.loss_db if sog else None,
        train_seconds=train.seconds,
        total_seconds=sum(item.seconds for item in files.benchmarks) if files.benchmarks else None,
        cost_usd=files.cost.usd if files.cost else None,
        device=train.device,
        seed=train.seed,
    )
    return replace(record, verdict=judge(record).level.value)


def judge(summary: Summary) -> Verdict:
    """The verdict over a whole scene, the same in its report and in the index."""
    return verdicts.overall(
        verdicts.registration(summary.registered, summary.kept),
        verdicts.held_out(summary.quality, summary.held_out is not False),
        [
            verdicts.photo_count(summary.kept),
            verdicts.pieces(summary.models),
            verdicts.contradictions(summary.suspicious),
            verdicts.reprojection(summary.reprojection_error_px),
            verdicts.track_length(summary.track_length),
        ],
        verdicts.depth(summary.triangulation_angle_deg, summary.moved),
    )


def noun(panoramas: int | None, kept: int) -> str:
    """What the photos of a scene are, in words: views of panoramas, photos, or both."""
    if not panoramas:
        return "photos"
    words = "1 panorama" if panoramas == 1 else f"{panoramas} panoramas"
    flat = kept > VIEWS * panoramas
    return f"{'photos and ' if flat else ''}views ({words})"


def headline(summary: Summary) -> str:
    """The report's first sentence: the verdict and the two numbers that carry it."""
    start = judge(summary).text
    seen = "training views" if summary.held_out is False else "new views"
    parts = []
    if summary.registered is not None and summary.kept:
        parts.append(
            f"{summary.registered} of {summary.kept} {noun(summary.panoramas, summary.kept)} registered"
        )
    if summary.psnr is not None:
        told = f"{seen} match the photos at {summary.psnr:.1f} dB"
        if summary.psnr_exposure_fitted is not None:
            told += f" ({summary.psnr_exposure_fitted:.1f} dB apart from the photos' brightness)"
        parts.append(told)
    return f"{start}: {', '.join(parts)}." if parts else f"{start}: the stages recorded no numbers."
