"""The report's part on the capture itself: photos used and not, and the plan of where they were taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scripts.lib.photos.record import COMPANIONS, left_out_text
from scripts.lib.report import charts, photos_used
from scripts.lib.report.inputs import StageFiles
from scripts.lib.report.values import DASH, decimals, grouped


@dataclass(frozen=True)
class Row:
    """A line of the table of photos, in words."""

    name: str
    kept: bool
    reason: str
    companion: bool  # a file next to the photos that is not a photo itself
    size: str
    camera: str
    sharpness: str
    use: str


@dataclass(frozen=True)
class PhotoTable:
    """All photos by what became of them."""

    kept: list[Row]
    dropped: list[Row]
    companions: list[Row]
    left_out: str  # how many files were left out and what they are; empty when there are none
    unregistered: list[str]
    pairs: str  # which poses came with them, and how they were compared


def shown_names(files: StageFiles) -> dict[str, str]:
    """Name in photos.zip -> the name the photographer knows, where that is unique."""
    used = files.photos.used if files.photos else []
    pairs = [(photo.file, photo.original) for photo in used]
    return dict(pairs) if len({shown for _, shown in pairs}) == len(pairs) else {}


def photos(files: StageFiles, shown: dict[str, str]) -> PhotoTable:
    """Rows of kept and dropped photos and of other files, what was not registered, how pairs were chosen.

    `shown` maps names in photos.zip to the photographer's own.
    """
    told = files.photos
    unregistered, uses = set(files.sfm.unregistered), photos_used.uses(files)
    every = sorted(told.photos if told else (), key=lambda photo: photo.file)
    rows = [
        Row(
            name=shown.get(photo.file, photo.file),
            kept=photo.kept,
            reason=photo.reason,
            companion=photo.cause in COMPANIONS,
            size=" × ".join(map(str, photo.size)) if all(photo.size) else DASH,
            camera=photo.camera or DASH,
            sharpness=decimals(photo.sharpness, 0),
            use="not registered"
            if photo.file in unregistered
            else photos_used.use_of(photo.file, uses),
        )
        for photo in every
    ]
    return PhotoTable(
        kept=[row for row in rows if row.kept],
        dropped=[row for row in rows if not row.kept and not row.companion],
        companions=[row for row in rows if not row.kept and row.companion],
        left_out=left_out_text(told.left_out) if told else "",
        unregistered=[shown.get(name, name) for name in sorted(unregistered)],
        pairs=" ".join(filter(None, [brought(files), pairs(files)])),
    )


def brought(files: StageFiles) -> str:
    """Which camera poses came with the photos, and what is odd about them; empty where none did."""
    told = [
        line for line in (files.photos.others if files.photos else ()) if line.kind == "cameras"
    ]
    used = [attempt.strategy for attempt in files.sfm.attempts if attempt.mapper == "none"]
    if not told or not used:
        return ""
    first, *remarks = told
    said = [f"The camera positions start from {used[-1]} ({first.file}: {first.note})."]
    return " ".join(said + [f"{line.file} {line.note}." for line in remarks])


def pairs(files: StageFiles) -> str:
    """How the photos were compared, in one sentence; empty without pairs.json."""
    told = files.pairs
    if told is None:
        return ""
    said = f"Photo pairs were chosen with the strategy “{told.strategy}”"
    said += f": {told.reason.rstrip('.')}." if told.reason else "."
    return f"{said} {grouped(told.verified)} of {grouped(told.pairs)} pairs overlap."


def plan(files: StageFiles) -> Any:
    """The plan of the capture as inline SVG; empty when view.json has none."""
    found = files.view.map if files.view else None
    if found is None or len(found.photos) < 2:
        return ""
    metres = files.georef is not None and files.georef.metric
    return charts.capture_map(found.photos, found.points, metres)
