"""How the scene was photographed, gathered from what the stages wrote: what advice is given on."""

from __future__ import annotations

from collections.abc import Iterable

from scripts.lib.contracts import sfm
from scripts.lib.core.rig_names import frame_of
from scripts.lib.report import summary
from scripts.lib.report.advice import Capture, Ground
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.summary import Summary

GARDEN = 500.0  # square metres: a larger area seen from above was flown over


def photographed(files: StageFiles, record: Summary, shown: dict[str, str]) -> Capture:
    """What advice is given on; `shown` maps names in photos.zip to the photographer's own."""
    photos = files.photos.photos if files.photos else ()
    georef, coverage = files.georef, files.sfm.coverage

    def named(names: Iterable[str]) -> list[str]:
        return [shown.get(name, name) for name in names]

    def ground(part: sfm.Ground) -> Ground:
        return Ground(part.share, part.side, named(part.photos))

    sharpness = {
        shown.get(photo.file, photo.file): photo.sharpness
        for photo in photos
        if photo.kept and photo.sharpness is not None and photo.rig is None
    }
    damaged = [
        photo.original
        for photo in photos
        if not photo.kept
        and any(word in photo.reason for word in ("truncated", "damaged", "unreadable"))
    ]
    return Capture(
        kept=named(summary.kept_photos(files)),
        unregistered=named(files.sfm.unregistered),
        sharpness=sharpness,
        views=[(shown.get(view.name, view.name), view.psnr) for view in files.eval.views],
        track_length=record.track_length,
        alone=named(standing_alone(files)),
        gps_outliers=named(georef.outliers if georef else ()),
        models=record.models,
        reprojection_px=record.reprojection_error_px,
        damaged=damaged,
        thin=ground(coverage.thin) if coverage else None,
        bare=ground(coverage.bare) if coverage else None,
        flown=bool(georef and georef.georeferenced and coverage)
        and (coverage.photographed if coverage else 0.0) > GARDEN,
    )


def standing_alone(files: StageFiles) -> list[str]:
    """Photos that match no other one; views of panoramas only where no view of the panorama does.

    One view of six shows nothing but sky, and that is as it should be.
    """
    alone = files.pairs.alone if files.pairs else ()
    used = [photo.file for photo in files.photos.used] if files.photos else list(alone)
    matched = {frame_of(name) for name in set(used) - set(alone)}
    return [name for name in alone if frame_of(name) not in matched]
