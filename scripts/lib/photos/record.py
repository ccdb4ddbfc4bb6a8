"""Lines of photos.json: files that are left out and why, and the report of them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from scripts.lib.contracts.photos import Beside, Photo, Photos, Sighting
from scripts.lib.core.console import UserError, one_line
from scripts.lib.photos.options import Cause

# What nobody would take for a photo: summed up on the console instead of named.
COMPANIONS = {
    *(Cause.LIVE, Cause.EDIT, Cause.DEPTH, Cause.PREVIEW, Cause.DELETED, Cause.HIDDEN, Cause.SIDE),
    *(Cause.RAW, Cause.MASK),
}


def drop(photo: Photo, reason: str, cause: Cause, twin: str | None = None) -> Photo:
    """`photo` as not kept, under the source's own name."""
    return replace(
        photo, file=photo.original, kept=False, reason=reason, cause=cause, mask=None, twin=twin
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


def report(
    source: str, photos: Sequence[Photo], others: Sequence[Beside], gcps: Sequence[Sighting]
) -> Photos:
    """The content of photos.json."""
    kept = sum(photo.kept for photo in photos)
    return Photos(
        source=source,
        kept=kept,
        dropped=len(photos) - kept,
        unusable=sum(not photo.kept and photo.cause not in COMPANIONS for photo in photos),
        left_out=count_left_out(photos),
        others=tuple(others),
        gcps=tuple(gcps),
        photos=tuple(photos),
    )


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
        f"{source} has {found}, at least {needed} are needed: give photos or a video of one place; 20 "
        f"photos or more are better{skipped}"
    )
