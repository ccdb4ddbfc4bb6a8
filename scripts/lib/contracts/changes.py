"""changes.json: what changed between two captures of one place, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from scripts.lib.contracts.georef import Three
from scripts.lib.contracts.record import Measured

Kind = Literal["appeared", "gone", "changed"]


@dataclass(frozen=True)
class ChangedPlace:
    """One place that differs; coordinates are those of the reference's frame."""

    position: Three  # its middle
    kind: Kind  # what differs belongs mostly to the later capture, to the first, or to both
    size: float  # its longest side, units of the reference
    size_m: float | None  # the same in metres, where they are known
    percent: float  # of the compared pixels
    view: str  # photo from whose camera its pictures are
    eye: Three  # of that camera
    fov: float  # degrees, of the picture's longer side
    pictures: tuple[str, str, str]  # in changes.zip: before, after, and the map of what changed


@dataclass(frozen=True, kw_only=True)
class Changes(Measured):
    """What two splats in one frame differ in, from the cameras of both captures."""

    file: ClassVar = "changes.json"
    stage: ClassVar = "find_changes"

    scene: str  # the later capture
    reference: str  # the first one
    views: int  # cameras that both were drawn from
    resolution: int  # pixels of a picture's longer side
    compared_percent: float  # of the pixels, those that both captures have seen
    changed_percent: float  # of these
    noise_before: float  # root mean square difference of each splat to its own photos, 0 to 1
    noise_after: float
    gain: Three  # of red, green and blue, from the later capture's pictures to the first one's
    offset: Three
    places: tuple[ChangedPlace, ...]  # the largest first
    smaller: int  # further places that are smaller than `least_percent`, or too many
    device: str
    seconds: float
