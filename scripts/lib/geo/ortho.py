"""Orthophoto, elevation and trust of a scene, drawn straight down from its splat. Needs torch."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scripts.lib.core.console import UserError
from scripts.lib.geo.map_frame import MapFrame
from scripts.lib.geo.raster import Grid, writing
from scripts.lib.geo.seen import Cameras
from scripts.lib.geo.surface import Surface, surface
from scripts.lib.render.orthographic import Discs, colours_along, flattened
from scripts.lib.render.tile import Tile
from scripts.lib.splat.gaussians import Gaussians

Float = npt.NDArray[np.float64]
NODATA = -9999.0  # of heights, as most programs for elevation write it
SOLID = 0.5  # opacity of Gaussians that tell how far the map reaches
EDGE = 0.001  # share of these that may lie beyond each side of it
BANDS = ("confidence", "photos", "height_spread")


@dataclass(frozen=True)
class Drawn:
    """What was drawn: the grid, the area in square map units that can be trusted, its share of the grid, the
    heights between which it lies, the median spread of a pixel's heights (None: nothing is trusted)."""

    grid: Grid
    trusted_area: float
    trusted_share: float
    lowest: float | None
    highest: float | None
    spread: float | None


def on_map(gaussians: Gaussians, frame: MapFrame) -> Discs:
    """Gaussians as they are seen from straight above the map."""
    means = gaussians.means.astype(np.float64)
    middle = np.median(means, axis=0)
    return flattened(
        frame.project(means),
        gaussians.quats,
        gaussians.scales,
        gaussians.opacities,
        frame.turn_at(middle),
        gaussians.antialiased,
    )


def colours_from_above(gaussians: Gaussians) -> Float:
    """Colours (N, 3), not negative, of Gaussians seen straight down.

    Also where no photo looked down so steeply: on the sample (45 degrees at most) this is 0.3 dB nearer to
    the truth than the direction of the steepest photo.
    """
    sh = np.concatenate([gaussians.sh0[:, None], gaussians.shN], axis=1).astype(np.float64)
    return colours_along(sh, np.tile([0.0, 0.0, -1.0], (len(gaussians), 1)))


def grid_of(
    discs: Discs, photos: npt.NDArray[np.int64], fewest: int, step: float, most: int
) -> Grid:
    """The map's pixels: all that `fewest` photos saw, in steps of `step` map units, or in coarser ones if a
    side would have more than `most` pixels. Its corner lies on a multiple of the step.

    Raises UserError when nothing was seen by so many.
    """
    solid = (photos >= fewest) & (discs.opacity >= SOLID)
    if not solid.any():
        raise UserError(
            f"no surface was seen by {fewest} photos, so there is nothing to draw a map of; set"
            " export_ortho.min_photos lower, or train with more photos"
        )
    low, high = np.quantile(discs.place[solid, :2], [EDGE, 1 - EDGE], axis=0)
    step = _rounded_up(max(step, float((high - low).max()) / (most - 1)))
    west, south = np.floor(low / step)
    east, north = np.ceil(high / step)
    width, height = max(int(east - west), 1), max(int(north - south), 1)
    return Grid(float(west * step), float(north * step), step, width, height)


def _rounded_up(step: float) -> float:
    """To two digits: 0.21 m, not 0.20715113."""
    unit = 10.0 ** (math.floor(math.log10(step)) - 1)
    return float(f"{math.ceil(step / unit - 1e-9) * unit:.2g}")


def draw(
    discs: Discs,
    colours: Float,
    photos: npt.NDArray[np.int64],
    cameras: Cameras,
    grid: Grid,
    frame: MapFrame,
    fewest: int,
    outputs: tuple[Path, Path, Path],
    device: str = "cpu",
    tags: dict[str, str] | None = None,
) -> Drawn:
    """Write orthophoto, elevation and trust as GeoTIFF, in this order of `outputs`, tile by tile.

    Pixels that cannot be trusted are masked in the orthophoto and have no height; trust tells of every pixel.
    """
    told = tags or {}
    area, least, most, spreads = 0, np.inf, -np.inf, []
    with ExitStack() as files:
        picture, elevation, trust = (
            files.enter_context(writing(path, grid, frame, bands, dtype, nodata=none, tags=told))
            for path, bands, dtype, none in (
                (outputs[0], ("red", "green", "blue"), "uint8", None),
                (outputs[1], ("height",), "float32", NODATA),
                (outputs[2], BANDS, "float32", None),
            )
        )
        for column, row, tile in grid.tiles():
            found = surface(discs, colours, photos.astype(np.float64), tile, device)
            found = _inside(found, tile, cameras, frame)
            good = found.trusted(fewest)
            bytes_ = np.rint(found.colour * 255).astype(np.uint8)
            picture.put(column, row, bytes_.transpose(2, 0, 1), good)
            height = np.where(good, found.height, NODATA).astype(np.float32)
            elevation.put(column, row, height[None])
            trust.put(column, row, _trust(found))
            if good.any():
                area += int(good.sum())
                least = min(least, float(found.height[good].min()))
                most = max(most, float(found.height[good].max()))
                spreads.append(float(np.median(found.spread[good])))
    return Drawn(
        grid,
        area * grid.step**2,
        area / (grid.width * grid.height),
        least if area else None,
        most if area else None,
        float(np.median(spreads)) if spreads else None,
    )


def _trust(found: Surface) -> npt.NDArray[np.float32]:
    """The bands (3, H, W) of trust.tif, in steps that they are certain to, for a smaller file."""
    step = found.tile.step / 10
    spread = np.rint(np.where(found.alpha > 0, found.spread, 0) / step) * step
    layers = (np.rint(found.confidence * 50) / 50, np.rint(found.photos), spread)
    return np.stack(layers).astype(np.float32)


def _inside(found: Surface, tile: Tile, cameras: Cameras, frame: MapFrame) -> Surface:
    """At most as many photos as have a pixel in their frame: a large Gaussian reaches beyond that."""
    columns, rows = np.meshgrid(np.arange(tile.width) + 0.5, np.arange(tile.height) + 0.5)
    east, north = tile.east + columns * tile.step, tile.north - rows * tile.step
    points = np.stack([east, north, found.height], axis=-1).reshape(-1, 3)
    # Over a tile the map is even: exact in its middle, and turned back from there.
    middle = points[len(points) // 2]
    at = frame.unproject(middle[None])[0]
    local = at + (points - middle) @ np.linalg.inv(frame.turn_at(at)).T
    covering = cameras.covering(local).reshape(found.height.shape)
    return replace(found, photos=np.minimum(found.photos, covering))
