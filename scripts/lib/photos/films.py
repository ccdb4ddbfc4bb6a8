"""A video of the source: its frames as photos, each at its place."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.lib.contracts.photos import Beside, Photo
from scripts.lib.core.console import one_line, say
from scripts.lib.core.faults import is_fault
from scripts.lib.photos import panorama
from scripts.lib.photos.decode import decode
from scripts.lib.photos.film_facts import film_facts
from scripts.lib.photos.options import MOST_PIXELS, Cause, RejectedError
from scripts.lib.photos.prepare import Context, Item, finish, whole_side
from scripts.lib.photos.record import left_out
from scripts.lib.photos.source import SourceFile
from scripts.lib.photos.telemetry import Telemetry, position_at
from scripts.lib.photos.video import Frame, Selection, choose_frames, frame_time

FRAME = " frame "  # between the name of a video and the number of its frame


@dataclass(frozen=True)
class _Read:
    """A frame, and what it looks like."""

    item: Item
    around: bool  # a picture that shows all around
    circles: bool  # the two pictures of a camera with two fisheye lenses


def read_film(
    file: SourceFile, telemetry: Telemetry | None, context: Context
) -> tuple[list[Item], list[Beside]]:
    """The chosen frames of one video, at the positions of its telemetry; or its line in photos.json when it
    cannot be read."""
    try:
        with (
            tempfile.TemporaryDirectory(dir=context.folder) as scratch,
            file.on_disk(Path(scratch)) as path,
        ):
            facts = film_facts(path, context.room)
            reason = facts.panorama if facts is not None else None
            options = context.options
            whole = reason == panorama.FILM and options.panoramas == "cut"
            if reason is not None and not whole:
                raise RejectedError(reason, Cause.SPHERE)
            if whole:
                options = replace(options, max_side=min(whole_side(options), MOST_PIXELS))
            chosen = choose_frames(path, Path(scratch), options, context.threads, context.room)
            frames = [_frame(file, frame, chosen, telemetry, context) for frame in chosen.frames]
            whole = _all_around(frames, whole, options.panoramas == "cut")
            items = [replace(frame.item, panorama=whole) for frame in frames]
    except (RejectedError, OSError) as error:
        if is_fault(error):
            raise
        cause = error.cause if isinstance(error, RejectedError) else Cause.DAMAGED
        return [Item(left_out(file.name, str(error), cause, file.size))], []
    note = f"{len(items)} of {chosen.decoded} frames taken"
    done = dict.fromkeys(change for frame in chosen.frames for change in frame.changes)
    note = "; ".join([note, *done, *filter(None, [chosen.note])])
    say(one_line(f"{file.name}: {note}"))
    beside = [Beside(file.name, "video", note)]
    if telemetry:
        placed = sum(item.photo.latitude is not None for item in items)
        told = f"positions of {placed} of {len(items)} frames of {file.name}"
        say(one_line(f"{telemetry.file}: {told}"))
        beside.append(Beside(telemetry.file, "positions", told))
    return items, beside


def _frame(
    file: SourceFile,
    frame: Frame,
    chosen: Selection,
    telemetry: Telemetry | None,
    context: Context,
) -> _Read:
    """One chosen frame as a photo."""
    data = frame.jpeg.read_bytes()
    # What tells a thumbnail is the size that was filmed, not what is left between bars.
    decoded = decode(data, 1 if frame.cut else context.options.min_side, 0)
    picture = replace(decoded, changes=frame.changes)
    photo = Photo(
        file=file.name,
        original=f"{file.name}{FRAME}{frame.number:06d}",
        kept=True,
        reason="usable",
        kind="frame",
        time=frame_time(chosen.started, frame.second),
        camera=chosen.camera,
    )
    if telemetry and (fix := position_at(telemetry.fixes, frame.second)):
        photo = fix.stored_in(photo, telemetry.file)
    item = finish(photo, data, picture, None, context, frame.reduced)
    item = replace(item, film=file.name, frame=frame.number)
    circles = panorama.two_circles(picture.image)
    return _Read(item, panorama.shows_all_around(picture.image), circles)


def _all_around(frames: Sequence[_Read], marked: bool, cut: bool) -> bool:
    """Whether the frames are panoramas, because the film is `marked` as such or they look so.

    Raises RejectedError where such a film is not wanted (`cut`) or cannot be cut into views.
    """
    if sum(frame.circles for frame in frames) > len(frames) / 2:
        raise RejectedError(panorama.UNSTITCHED, Cause.SPHERE)
    sizes = [(frame.item.photo.width or 0, frame.item.photo.height or 0) for frame in frames]
    if marked and any(width != 2 * height for width, height in sizes):
        raise RejectedError(panorama.NOT_WHOLE, Cause.SPHERE)
    looks = sum(frame.around for frame in frames) > len(frames) / 2
    if looks and not marked and not cut:
        raise RejectedError(panorama.FILM, Cause.SPHERE)
    return marked or looks
