"""photos.json: one line for every file of the source, kept or not, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scripts.lib.core.console import UserError, one_line
from scripts.lib.core.files import read_json
from scripts.lib.photos.options import Cause

# What nobody would take for a photo: summed up on the console instead of named.
COMPANIONS = {
    *(Cause.LIVE, Cause.EDIT, Cause.DEPTH, Cause.PREVIEW, Cause.DELETED, Cause.HIDDEN, Cause.SIDE),
    *(Cause.RAW, Cause.MASK),
}


@dataclass(frozen=True)
class Photo:
    """One file of the source as `photos.json` tells it; None where it is not known."""

    file: str  # name in photos.zip when kept, else the source's own name
    original: str
    kept: bool
    reason: str
    kind: str = "photo"  # photo, frame (of a video) or other
    cause: str | None = None  # what a file that was left out is counted as, see Cause
    sha256: str | None = None  # of the picture in photos.zip, or of the file when it was not kept
    bytes: int | None = None
    source_sha256: str | None = None
    width: int | None = None
    height: int | None = None
    changed: str | None = None  # what was done to the pixels: rotated, reduced, converted
    mask: str | None = None  # name of the mask in photos.zip; black there is ignored
    mask_source: str | None = None  # "alpha", or the file it came from
    mask_note: str | None = None  # why a mask file was not used
    masked: float | None = None  # share of the photo that is ignored
    camera: str | None = None
    body: str | None = None  # tells two cameras of one model apart without their serial number
    focal_px: float | None = None
    focal_mm: float | None = None
    focal_35mm: float | None = None
    focal_source: str | None = None
    time: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None
    position_source: str | None = None
    accuracy_horizontal_m: float | None = None  # one standard deviation, as the receiver told it
    accuracy_vertical_m: float | None = None
    relative_altitude: float | None = None  # metres above the place of take-off
    yaw: float | None = None  # camera, degrees: from north to east
    pitch: float | None = None  # 0 looks at the horizon, -90 straight down
    roll: float | None = None
    sharpness: float | None = None  # variance of the Laplacian; compare within one set
    blur: float | None = None  # 0 (crisp) to 1, hardly depends on the subject
    clipped: float | None = None  # share of the pixels that are white
    dark: float | None = None  # share of the pixels that are black
    twin: str | None = None  # the file that shows the same picture


def drop(photo: Photo, reason: str, cause: Cause, **facts: Any) -> Photo:
    """`photo` as not kept, under the source's own name."""
    return replace(
        photo, file=photo.original, kept=False, reason=reason, cause=cause, mask=None, **facts
    )


def left_out(name: str, reason: str, cause: Cause, size: int | None = None) -> Photo:
    """The line on a file that was never taken for a photo."""
    return Photo(name, name, False, reason, "other", cause, bytes=size)


def count_left_out(photos: Sequence[Photo]) -> dict[str, int]:
    """How many files were left out by what they are, the most frequent first."""
    return dict(
        Counter(photo.cause or Cause.OTHER for photo in photos if not photo.kept).most_common()
    )


def left_out_text(counts: Mapping[str, int]) -> str:
    """The counts in few words: `films of Live Photos (6), blurred photos (1)`."""
    return ", ".join(f"{cause} ({count})" for cause, count in counts.items())


def report(source: str, photos: Sequence[Photo], **facts: Any) -> dict[str, Any]:
    """The content of photos.json."""
    kept = sum(photo.kept for photo in photos)
    return {
        "source": source,
        "kept": kept,
        "dropped": len(photos) - kept,
        "unusable": sum(not photo.kept and photo.cause not in COMPANIONS for photo in photos),
        "left_out": count_left_out(photos),
        **facts,
        "photos": [asdict(photo) for photo in photos],
    }


def read_report(path: Path) -> list[dict[str, Any]]:
    """The kept photos of a photos.json, in the order of photos.zip.

    Raises UserError when the file is not such a report.
    """
    content = read_json(path)
    try:
        return [photo for photo in content["photos"] if photo["kept"]]
    except (KeyError, TypeError):
        raise UserError(f"{path} is not a photo report; run import_photos again") from None


def require_photos(source: str, photos: Sequence[Photo], needed: int) -> None:
    """Stop with one sentence when too few photos are usable, naming the first reasons.

    Raises UserError.
    """
    kept = sum(photo.kept for photo in photos)
    if kept >= needed:
        return
    dropped = [photo for photo in photos if not photo.kept]
    dropped.sort(key=lambda photo: photo.cause in COMPANIONS)
    why = "; ".join(one_line(f"{photo.original}: {photo.reason}") for photo in dropped[:5])
    more = f" and {len(dropped) - 5} more" if len(dropped) > 5 else ""
    skipped = f" (skipped {why}{more})" if dropped else ""
    found = {0: "no usable photo", 1: "only one usable photo"}.get(
        kept, f"only {kept} usable photos"
    )
    raise UserError(
        f"{source} has {found}, at least {needed} are needed: give photos or a video of one place, "
        f"better 20 photos or more{skipped}"
    )
