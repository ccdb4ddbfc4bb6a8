"""How the scene was photographed, gathered from what the stages wrote: what advice is given on."""

from __future__ import annotations

from typing import Any

from scripts.lib.report import summary
from scripts.lib.report.advice import Capture, Ground
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.summary import Summary
from scripts.lib.report.values import names, number, objects, text

GARDEN = 500.0  # square metres: who photographs more from above has flown


def photographed(files: StageFiles, record: Summary, shown: dict[str, str]) -> Capture:
    """What advice is given on; `shown` maps names in photos.zip to the photographer's own."""
    photos = objects(files.photos.get("photos"))
    kept = summary.kept_photos(files)
    sharpness = {
        shown.get(text(item.get("file")), text(item.get("file"))): value
        for item in photos
        if item.get("kept") and (value := number(item.get("sharpness"))) is not None
    }
    views = [
        (shown.get(text(view.get("name")), text(view.get("name"))), value)
        for view in objects(files.eval.get("views"))
        if (value := number(view.get("psnr"))) is not None
    ]
    damaged = [
        text(item.get("original") or item.get("file"))
        for item in photos
        if not item.get("kept")
        and any(word in text(item.get("reason")) for word in ("truncated", "damaged", "unreadable"))
    ]
    return Capture(
        kept=[shown.get(name, name) for name in kept],
        unregistered=[shown.get(name, name) for name in names(files.sfm.get("unregistered"))],
        sharpness=sharpness,
        views=views,
        track_length=record.track_length,
        alone=[shown.get(name, name) for name in names(files.pairs.get("alone"))],
        gps_outliers=[shown.get(name, name) for name in names(files.georef.get("outliers"))],
        models=record.models,
        reprojection_px=record.reprojection_error_px,
        damaged=damaged,
        thin=_ground(files, "thin", shown),
        bare=_ground(files, "bare", shown),
        flown=files.georef.get("georeferenced") is True
        and (number(_coverage(files).get("photographed")) or 0.0) > GARDEN,
    )


def _coverage(files: StageFiles) -> dict[str, Any]:
    """sfm.json's coverage of the ground; {} where the photos do not look down."""
    found = files.sfm.get("coverage")
    return found if isinstance(found, dict) else {}


def _ground(files: StageFiles, part: str, shown: dict[str, str]) -> Ground | None:
    """A part of sfm.json's coverage; None where the stage did not look at the ground."""
    found = _coverage(files).get(part)
    if not isinstance(found, dict) or (share := number(found.get("share"))) is None:
        return None
    photos = [shown.get(name, name) for name in names(found.get("photos"))]
    return Ground(share, text(found.get("side")), photos)
