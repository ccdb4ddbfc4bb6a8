"""Where visitors of the page can walk: solid cells of the splat, and the room of all places to stand in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scripts.lib.contracts.georef import Three
from scripts.lib.contracts.walk import Octree, Walk, Walker
from scripts.lib.core.options import Options, option
from scripts.lib.scene.scene import Scene
from scripts.lib.splat import occupancy, voxels
from scripts.lib.splat.gaussians import Gaussians
from scripts.lib.visit import standing, surroundings
from scripts.lib.visit.standing import Body, Cells, Indices

Float = npt.NDArray[np.float64]

MOST_CELLS = 40_000_000  # a grid of more gets larger cells: about a gigabyte while it is searched
WIDEST_SAMPLES = 64  # along an axis of a Gaussian, in cells
HELD_AT = 1.5  # metres at which people hold cameras, where the scene's scale is not known
RADIUS = 0.2  # metres: half the width of a walker, who passes doors
OVER_EYE = 0.1  # metres from the eye to the top of the head
JUMP = 1.0  # metres above the head that stay free: the viewer's jump reaches 0.8
FENCE = 1.5  # optical depth of a body's cells that stops one: through a railing, over a fifth is left to see
GAP = 0.7  # metres: floor that photos did not see, up to twice as wide, is floor
UNDER = 1.0  # metres around a camera within which the floor below it is looked for
SMALLEST = 4.0  # square metres that are worth a walk
PLACES, APART = 150, 1.0  # to begin a walk at: how many at most, and how many metres apart


@dataclass(frozen=True)
class WalkOptions(Options):
    """Where visitors of the page can walk. The button for it appears only where `deliver` names `walk`.

    In a scene of unknown scale, a metre is what makes the median camera 1.5 m high.
    """

    eye_height: float = option(1.6, "Height of the visitor's eye.", 0.5, 3, unit="metres")
    step: float = option(0.35, "Highest step that the visitor climbs.", 0.05, 1, unit="metres")
    cell: float = option(
        0.1,
        "Side of the cells that are solid or free; large scenes take larger ones.",
        0.02,
        1,
        unit="metres",
    )


@dataclass(frozen=True)
class Walked:
    """walk.json, and what walk.zip holds: the two files of the voxel format, none where nobody can walk.

    free (X, Y, Z): where a walker may be, in our frame, and `low`, its corner.
    """

    told: Walk
    header: bytes = b""
    words: bytes = b""
    free: Cells | None = None
    low: Float | None = None


def metre_of(centres: Float, points: Float, metric: bool) -> float:
    """World units that count as a metre; of unknown scale, from the cameras' median height over ground."""
    if metric:
        return 1.0
    ground = surroundings.ground(centres, points)
    heights = np.array(ground.heights).reshape(-1, ground.columns)
    row = np.clip(np.rint((centres[:, 1] - ground.y) / ground.step), 0, len(heights) - 1)
    column = np.clip(np.rint((centres[:, 0] - ground.x) / ground.step), 0, ground.columns - 1)
    above = centres[:, 2] - heights[row.astype(int), column.astype(int)]
    return float(np.median(above)) / HELD_AT


def solid_cells(
    gaussians: Gaussians, box: tuple[Float, Float], cell: float, centres: Float, body: Body
) -> Cells:
    """Which cells (X, Y, Z) of the `box` stop a walker: they hide what lies behind. Cameras stood in none."""
    low, high = box
    size = np.maximum(np.ceil((high - low) / cell).astype(int), 3)
    shape = (int(size[0]), int(size[1]), int(size[2]))
    depth = occupancy.optical_depth(gaussians, low, cell, shape, WIDEST_SAMPLES)
    for place in np.floor((centres - low) / cell).astype(int):
        if ((place >= 0) & (place < shape)).all():
            depth[tuple(slice(max(0, i - body.radius), i + body.radius + 1) for i in place)] = 0.0
    # A clump smaller than a cube as wide as a walker floats, and stops nobody.
    solid = standing.without_specks(depth >= occupancy.SOLID_DEPTH, (2 * body.radius) ** 3)
    return solid | standing.fences(depth, solid, body, FENCE)


def walkable(solid: Cells, cameras: Float, body: Body, cell: float) -> tuple[Cells, Indices]:
    """The solid cells with gaps in the floor closed, and the stances (K, 3) of the part to walk in.

    cameras (V, 3) are in cells, `cell` is a side in metres. Of the parts between which no step leads,
    it is the one below the most cameras, of these the larger one. No stances: no camera is above a floor.
    """
    for again in (False, True):
        cells, part = standing.connected(standing.stances(solid, body), body.step)
        under = standing.below(cells, cameras, UNDER / cell)
        if not (under >= 0).any():
            return solid, np.zeros((0, 3), np.int64)
        votes = np.bincount(part[under[under >= 0]], minlength=int(part.max()) + 1)
        best = int(np.lexsort((np.bincount(part), votes))[-1])
        cells = cells[part == best]
        if not again:
            solid = standing.mended(solid, cells, body, max(1, round(GAP / cell)))
    return solid, cells


def places_to_begin(cells: Indices, cell: float) -> Indices:
    """Some of the stances (K, 3), spread over them: away from walls and ledges, where there is such a place.

    `cell` in metres.
    """
    low = cells.min(axis=0)
    plan = np.zeros((cells[:, :2].max(axis=0) - low[:2] + 3).astype(int), bool)
    plan[tuple((cells[:, :2] - low[:2] + 1).T)] = True
    away = ndimage.distance_transform_edt(plan)[tuple((cells[:, :2] - low[:2] + 1).T)] * cell
    good: Indices = cells[away >= min(0.5, float(np.quantile(away, 0.7)))]
    step = APART / cell
    while True:
        box = np.floor((good - low) / step).astype(np.int64)
        _, first = np.unique(box, axis=0, return_index=True)
        if len(first) <= PLACES:
            return good[np.sort(first)]
        step *= 1.25


def plan_walk(gaussians: Gaussians, scene: Scene, metric: bool, options: WalkOptions) -> Walked:
    """The walkable part of a splat with Z up, as walk.json and the voxel format."""
    centres = scene.centres
    metre = metre_of(centres, scene.points, metric)
    low, high = surroundings.box_of(centres, scene.points)
    cell = max(options.cell * metre, float((np.prod(high - low) / MOST_CELLS) ** (1 / 3)))
    in_metres = cell / metre
    walker = Walker(
        unit=metre,
        eye=options.eye_height * metre,
        step=options.step * metre,
        radius=RADIUS * metre,
        height=(options.eye_height + OVER_EYE) * metre,
    )
    body = Body(
        height=max(2, int(np.ceil(walker.height / cell))),
        step=max(1, int(walker.step / cell + 1e-9)),
        radius=max(1, int(np.ceil(RADIUS / in_metres - 1e-9))),
    )
    solid = solid_cells(gaussians, (low, high), cell, centres, body)
    solid, cells = walkable(solid, (centres - low) / cell - 0.5, body, in_metres)
    area = len(np.unique(cells[:, :2], axis=0)) * in_metres**2
    if area < SMALLEST:
        reason = (
            f"the floor below the cameras is {area:.1f} square metres"
            if len(cells)
            else "no floor was found below the cameras"
        )
        return Walked(Walk(walker=walker, area=round(area, 2), reason=reason))
    free = standing.room_of(solid, cells, body, round(JUMP / in_metres))
    corner, end = (f(np.argwhere(free), axis=0) for f in (np.min, np.max))
    corner, end = np.maximum(corner - 1, 0), end + 2
    free = np.pad(free, [(0, 1)] * 3)[tuple(map(slice, corner, end))]
    start = low + corner * cell
    header, words = voxels.encode(~y_up(free), corner_y_up(start, free.shape, cell), cell)
    floor = places_to_begin(cells, in_metres)
    begin = low + (floor + 0.5) * cell - np.array([0, 0, 0.5 * cell])
    told = Walk(
        walker=walker,
        area=round(area, 2),
        places=tuple((x, y, z) for x, y, z in np.round(begin, 4).tolist()),
        octree=Octree(
            low=header.low, high=header.high, cell=cell, depth=header.depth,
            nodes=header.nodes, leaf_words=header.leaf_words,
        ),
    )  # fmt: skip
    return Walked(told, header.as_json(), words, free, start)


def y_up(cells: Cells) -> Cells:
    """A grid in our axes (X east, Y north, Z up) in those of the voxel format (X east, Y up, Z south)."""
    return cells.transpose(0, 2, 1)[:, :, ::-1]


def corner_y_up(low: Float, shape: tuple[int, ...], cell: float) -> Three:
    """The corner of the first cell of `y_up` of a grid of this `shape` that begins at `low` in our axes."""
    return float(low[0]), float(low[2]), float(-(low[1] + shape[1] * cell))
