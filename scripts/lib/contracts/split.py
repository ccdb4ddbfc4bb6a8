"""What the photos did for a splat, as several files tell it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SplitCounts:
    """How many photos did what."""

    trained: int
    steering: int  # the validation photos: what to remove, how small files may be
    judged: int  # the test photos, measured once, at the end
    left_out: int  # of the training, because they show what a test photo shows
    one_set: (
        bool  # whether the test photos also served for validation, because there are few photos
    )


@dataclass(frozen=True)
class SplitNames:
    """Which photos did what."""

    trained: tuple[str, ...]
    steering: tuple[str, ...]
    judged: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class SplitRecord:
    """What travels with the splat: indices, for it stands in the header of a PLY."""

    photos: int
    names: str  # a digest of the photos' names
    steering: tuple[int, ...]
    judged: tuple[int, ...]
    left_out: tuple[int, ...]
