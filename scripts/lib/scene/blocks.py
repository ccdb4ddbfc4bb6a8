"""Dividing a large scene into blocks that are trained one by one: where they lie, and which photos see them.

The unit of work is a sighting: a photo sees a point. All sightings of a photo together weigh 1, since a step
of training costs by photos. The ground plane is cut in two again and again (a k-d tree), across its longer
side, where the halves have equal work, or work in proportion to the blocks that they will hold. So the blocks
are small where many photos look. As in VastGaussian (Lin et al., CVPR 2024) and CityGaussian (Liu et al.,
ECCV 2024), a block's photos are those that see enough of it; those divide the ground by cameras or by a grid.
Needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scripts.lib.contracts.blocks import BlockPlan, Blocks, Rectangle
from scripts.lib.core.console import UserError
from scripts.lib.core.files import reading_zip
from scripts.lib.scene.colmap_model import read_point_numbers, read_sightings
from scripts.lib.scene.scene import Scene, usual_depths

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
INNER = 0.995  # share of the work within the bounds; points farther out are few, and often wrong
MARGIN = 0.1  # of a cell's size, on each side: there the block trains along, so that borders fit
SEEN = 0.1  # share of a photo's sightings in a region that makes it a photo of the block
FEWEST_SIGHTINGS = 10  # of a photo, to go by them
FAR = 4.0  # times the usual depth of its points: beyond, a photo without tracks is taken to see nothing
MOST_POINTS = 20_000  # of which frusta are tried


@dataclass(frozen=True)
class Sight:
    """What photos see: of M sightings the photo (M,), the place on the ground (M, 2), and the weight (M,)."""

    photos: Index
    places: Float
    weights: Float
    by: str


def sight_of(scene: Scene) -> Sight:
    """The sightings of a scene by the tracks of its points, or by frusta where it has none."""
    with reading_zip(scene.path) as archive:
        sightings, numbers = read_sightings(archive), read_point_numbers(archive)
    order = np.argsort(numbers)
    photos, points = [], []
    for row, name in enumerate(scene.names):
        seen = sightings[name].points if name in sightings else np.zeros(0, np.int64)
        if not len(order):
            break
        at = np.minimum(np.searchsorted(numbers, seen, sorter=order), len(order) - 1)
        found = order[at][numbers[order[at]] == seen]
        photos.append(np.full(len(found), row))
        points.append(found)
    if sum(map(len, points)) < FEWEST_SIGHTINGS * len(scene):
        return _by_frusta(scene)
    rows = np.concatenate(photos)
    return _weighted(rows, scene.points[np.concatenate(points), :2], len(scene), "tracks")


def _by_frusta(scene: Scene) -> Sight:
    """Every photo sees the points before it that are not far beyond what it usually shows."""
    every = max(1, -(-len(scene.points) // MOST_POINTS))
    points = scene.points[::every]
    corners = np.c_[points, np.ones(len(points))]
    depths = usual_depths(scene, range(len(scene)))
    photos, places = [np.zeros(0, np.int64)], [np.zeros((0, 2))]
    for row in range(len(scene)):
        x, y, depth = scene.K[row] @ scene.world_to_camera[row, :3] @ corners.T
        shown = np.flatnonzero((depth > 0) & (depth < FAR * depths[row]))
        x, y = x[shown] / depth[shown], y[shown] / depth[shown]
        width, height = scene.sizes[row]
        seen = shown[(x >= 0) & (x < width) & (y >= 0) & (y < height)]
        photos.append(np.full(len(seen), row))
        places.append(points[seen, :2])
    return _weighted(np.concatenate(photos), np.concatenate(places), len(scene), "frusta")


def _weighted(photos: Index, places: Float, count: int, by: str) -> Sight:
    """Each photo's sightings weigh 1 together."""
    return Sight(photos, places, 1 / np.bincount(photos, minlength=count)[photos], by)


def plan_blocks(scene: Scene, count: int) -> Blocks:
    """The `count` blocks of a scene.

    Raises UserError where its photos or points are too few to be divided.
    """
    sight = sight_of(scene)
    if len(scene) < 2 * count or len(sight.photos) < FEWEST_SIGHTINGS * count:
        raise UserError(
            f"{scene.path} has {len(scene)} photos and {len(scene.points)} points, too few for {count}"
            " blocks; set train_splat.blocks lower, or to 1"
        )
    bounds = _bounds(scene, sight)
    inside = within(sight.places, bounds)
    kept = Sight(sight.photos[inside], sight.places[inside], sight.weights[inside], sight.by)
    cells = _cut(bounds, kept.places, kept.weights, count)
    whole = float(sight.weights.sum())
    blocks = []
    for number, cell in enumerate(cells, start=1):
        region = _widened(cell, bounds)
        work, trained = (
            float(sight.weights[within(sight.places, area)].sum()) / whole
            for area in (cell, region)
        )
        photos = _photos_of(scene, sight, region, cell)
        names = tuple(scene.names[row] for row in photos)
        blocks.append(BlockPlan(number, cell, region, names, work, trained))
    return Blocks(bounds=bounds, blocks=tuple(blocks), seen_by=sight.by, photos=len(scene))


def _bounds(scene: Scene, sight: Sight) -> Rectangle:
    """The part of the ground with nearly all of the work, and all cameras."""
    low, high = np.empty(2), np.empty(2)
    for axis in range(2):
        order = np.argsort(sight.places[:, axis])
        sums = np.cumsum(sight.weights[order]) / sight.weights.sum()
        ends = np.searchsorted(sums, [(1 - INNER) / 2, (1 + INNER) / 2])
        low[axis], high[axis] = sight.places[order[np.minimum(ends, len(order) - 1)], axis]
    centres = scene.centres[:, :2]
    low, high = np.minimum(low, centres.min(axis=0)), np.maximum(high, centres.max(axis=0))
    edge = 0.01 * (high - low).max()  # what lies on the edge shall lie within
    return Rectangle(*(low - edge).tolist(), *(high + edge).tolist())


def within(places: Float, area: Rectangle) -> npt.NDArray[np.bool_]:
    """Which places (N, 2), or points (N, 3), lie in an area."""
    x, y = places[:, 0], places[:, 1]
    found: npt.NDArray[np.bool_] = (
        (x >= area.west) & (x < area.east) & (y >= area.south) & (y < area.north)
    )
    return found


def _cut(area: Rectangle, places: Float, weights: Float, count: int) -> list[Rectangle]:
    """`count` cells of equal work that together make `area`, by the work (M,) at places (M, 2) in it."""
    if count == 1:
        return [area]
    first = count // 2
    sides = (area.east - area.west, area.north - area.south)
    axis = int(sides[1] > sides[0])
    border = _border(area, places[:, axis], weights, first / count, axis)
    if axis == 0:
        parts = (
            Rectangle(area.west, area.south, border, area.north),
            Rectangle(border, area.south, area.east, area.north),
        )
    else:
        parts = (
            Rectangle(area.west, area.south, area.east, border),
            Rectangle(area.west, border, area.east, area.north),
        )
    low = places[:, axis] < border
    return [
        *_cut(parts[0], places[low], weights[low], first),
        *_cut(parts[1], places[~low], weights[~low], count - first),
    ]


def _border(area: Rectangle, at: Float, weights: Float, share: float, axis: int) -> float:
    """Where `share` of the work lies below; in the middle of an area without work."""
    ends = (area.west, area.east) if axis == 0 else (area.south, area.north)
    if not len(at):
        return ends[0] + share * (ends[1] - ends[0])
    order = np.argsort(at)
    sums = np.cumsum(weights[order])
    row = int(np.searchsorted(sums, share * sums[-1]))
    following = min(row + 1, len(order) - 1)
    return float((at[order[row]] + at[order[following]]) / 2)


def _widened(cell: Rectangle, bounds: Rectangle) -> Rectangle:
    """A cell with its margin, within the bounds."""
    margin = MARGIN * max(cell.east - cell.west, cell.north - cell.south)
    return Rectangle(
        max(cell.west - margin, bounds.west),
        max(cell.south - margin, bounds.south),
        min(cell.east + margin, bounds.east),
        min(cell.north + margin, bounds.north),
    )


def _photos_of(scene: Scene, sight: Sight, region: Rectangle, cell: Rectangle) -> Index:
    """Photos that see enough of the region, and those without sightings that were taken in the cell."""
    count = len(scene)
    inside = within(sight.places, region)
    seen = np.bincount(sight.photos[inside], sight.weights[inside], count)
    blind = np.bincount(sight.photos, minlength=count) < FEWEST_SIGHTINGS
    here = within(scene.centres[:, :2], cell)
    found: Index = np.flatnonzero(np.where(blind, here, seen >= SEEN))
    return found
