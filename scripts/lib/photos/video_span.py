"""The part of a video that is used: two places in time, as people write them."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.lib.core.console import UserError
from scripts.lib.photos.options import ImportOptions


@dataclass(frozen=True)
class Span:
    """Seconds from the video's first frame; `end` None: to its end."""

    start: float = 0.0
    end: float | None = None

    @classmethod
    def of(cls, options: ImportOptions) -> Span:
        """What the options say. Raises UserError where the end is not behind the beginning."""
        return span(options.video_start, options.video_end)

    def __str__(self) -> str:
        """In words for a message."""
        return f"from {self.start:g} s" + (f" to {self.end:g} s" if self.end is not None else " on")


def span(start: float | str, end: float | str) -> Span:
    """The part between two places. Raises UserError where the end is not behind the beginning."""
    first, last = seconds(start), seconds(end)
    if last and last <= first:
        raise UserError(
            f"import_photos.video_end is {end!r} and video_start {start!r}, so that nothing of the "
            "video is left; video_end must be later than video_start"
        )
    return Span(first, last or None)


def seconds(place: float | str) -> float:
    """A place in a video in seconds, of a number of them or of h:mm:ss."""
    if not isinstance(place, str):
        return float(place)
    total = 0.0
    for part in place.split(":"):
        total = 60 * total + float(part)
    return total
