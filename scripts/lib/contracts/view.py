"""view.json: what the page needs to know of a visit: start view, tour, limits and map of the photos."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from scripts.lib.contracts.georef import Matrix, Three
from scripts.lib.contracts.record import Measured, optional, read
from scripts.lib.core.console import UserError

WIDEST, NARROWEST = 170.0, 1.0  # degrees


@dataclass(frozen=True)
class Stop:
    """A photo that the tour passes."""

    name: str
    time: float  # seconds


@dataclass(frozen=True)
class Keyframes:
    """A tour in world units, one entry for each keyframe."""

    times: tuple[float, ...]  # seconds, rising
    position: tuple[Three, ...]
    target: tuple[Three, ...]
    fov: tuple[float, ...]  # degrees along the longer side
    stops: tuple[Stop, ...]

    @property
    def fits(self) -> bool:
        """Whether there are as many entries of everything, two at least, and times rise."""
        count = len(self.times)
        every = {len(self.position), len(self.target), len(self.fov)}
        rising = all(a < b for a, b in itertools.pairwise(self.times))
        return count >= 2 and every == {count} and rising


@dataclass(frozen=True)
class Ground:
    """Height of the ground on a grid; rows run along y."""

    x: float  # of the first cell's centre
    y: float
    step: float  # from cell to cell
    columns: int
    heights: tuple[float, ...]


@dataclass(frozen=True)
class Limits:
    """Where a visitor may go: a cylinder, below `top`, above the ground by `margin`; world units."""

    centre: Three
    radius: float
    top: float
    margin: float
    ground: Ground


@dataclass(frozen=True)
class PhotoMap:
    """A plan from above."""

    # x, y, z, heading (degrees clockwise from +Y), pitch (degrees up), distance to what it looks at
    photos: tuple[tuple[float, float, float, float, float, float], ...]
    points: tuple[tuple[float, float, int], ...]  # x, y, colour as 0xRRGGBB; lower ones first


@dataclass(frozen=True, kw_only=True)
class View(Measured):
    """A visit in the scene's own frame; nothing here says where on Earth it is."""

    file: ClassVar = "view.json"
    stage: ClassVar = "render_poster"

    name: str  # of the photo that the visit starts from
    position: Three
    target: Three
    fov: float  # degrees along the longer side
    world_to_camera: Matrix | None = None
    tour: Keyframes | None = None  # None: no free way joins two views
    limits: Limits | None = None
    map: PhotoMap | None = None
    # Places with points of structure from motion close together: near them distances can be trusted.
    known: tuple[Three, ...] | None = optional()


def read_view(path: Path) -> View:
    """A view.json. Raises UserError as `read` does, and when it can be no view."""
    view = read(View, path)
    if view.position == view.target or not NARROWEST <= view.fov <= WIDEST:
        raise UserError(f"{path} holds no usable start view; delete it and run render_poster again")
    if view.tour is not None and not view.tour.fits:
        raise UserError(
            f"{path} holds a damaged tour: its keyframes do not fit together; delete it and run"
            " render_poster again"
        )
    return view
