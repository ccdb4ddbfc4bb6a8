"""What keeps a visitor oriented: how far one may go, the ground below, and a small map of the photos.

Everything is relative to the scene's own frame; nothing here says where on Earth it is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scripts.lib.contracts.view import Ground, Limits, PhotoMap
from scripts.lib.scene.start_view import core_of

Float = npt.NDArray[np.float64]

GROUND_CELLS = 20  # along the longer side of the ground's grid
ROAM = 1.6  # a visitor may go this many times as far from the middle as what was photographed
MAP_POINTS = 700
MAP_PHOTOS = 300


def box_of(centres: Float, points: Float, margin: float = 0.15) -> tuple[Float, Float]:
    """Corners (3,) of the box around cameras (V, 3) and core points (P, 3), widened by `margin`."""
    every = np.vstack([centres, core_of(points)])
    low, high = every.min(0), every.max(0)
    size = (high - low).max()
    return low - margin * size, high + margin * size


def ground(centres: Float, points: Float) -> Ground:
    """Height of the ground on a grid: `x`, `y` of its first cell's centre, `step`, `columns`, `heights`.

    A cell's height is a low percentile of its points, filled in from its neighbours where there are
    none, and always below the cameras over it. Rows run along y.
    """
    low, high = box_of(centres, points)
    step = float((high - low)[:2].max()) / GROUND_CELLS
    columns, rows = (int(n) for n in np.maximum(np.ceil((high - low)[:2] / step), 1))
    heights = np.full((rows, columns), np.nan)
    core = core_of(points)
    cells = np.floor((core[:, :2] - low[:2]) / step).astype(int)
    flat = cells[:, 1] * columns + cells[:, 0]
    order = np.argsort(flat, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(flat[order])) + 1):
        if len(group) >= 3:
            heights.flat[flat[group[0]]] = np.percentile(core[group, 2], 5)
    if np.isnan(heights).all():
        heights[:] = np.percentile(core[:, 2], 5)
    nearest = ndimage.distance_transform_edt(
        np.isnan(heights), return_distances=False, return_indices=True
    )
    heights = ndimage.median_filter(heights[tuple(nearest)], size=3, mode="nearest")
    gap = below_cameras(centres, float(np.median(heights)))
    for x, y, z in centres:
        row = int(np.clip((y - low[1]) / step, 0, rows - 1))
        column = int(np.clip((x - low[0]) / step, 0, columns - 1))
        around = (slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2))
        heights[around] = np.minimum(heights[around], z - gap)
    return Ground(
        x=float(low[0] + step / 2),
        y=float(low[1] + step / 2),
        step=step,
        columns=columns,
        heights=tuple(np.round(heights, 4).ravel().tolist()),
    )


def below_cameras(centres: Float, floor: float) -> float:
    """How far above the ground a visitor must stay: a tenth of the lower cameras' height over it."""
    height = float(np.percentile(centres[:, 2], 10)) - floor
    spread = float(np.linalg.norm(np.ptp(centres, axis=0))) or 1.0
    return float(np.clip(0.1 * height, 0.005 * spread, 0.25 * spread))


def limits(centres: Float, points: Float) -> Limits:
    """Where a visitor may go: a cylinder about `centre` of `radius`, below `top`, above the ground.

    Every capture camera (V, 3) lies inside.
    """
    core = core_of(points)
    middle = np.median(core, axis=0)
    every = np.vstack([core, centres])
    reach = float(np.linalg.norm((every - middle)[:, :2], axis=1).max())
    tall = float(every[:, 2].max() - every[:, 2].min()) or reach
    found = ground(centres, points)
    margin = below_cameras(centres, float(np.median(found.heights)))
    x, y, z = np.round(middle, 4).tolist()
    return Limits(
        centre=(x, y, z),
        radius=ROAM * reach,
        top=float(every[:, 2].max() + max(tall, 0.5 * reach)),
        margin=margin,
        ground=found,
    )


def photo_map(
    centres: Float,
    forward: Float,
    distances: Float,
    points: Float,
    colours: npt.NDArray[np.uint8],
) -> PhotoMap:
    """A plan from above: `photos` as [x, y, z, heading, pitch, distance], `points` as [x, y, 0xRRGGBB].

    heading in degrees clockwise from +Y, pitch in degrees upwards, distance to what the photo looks
    at. Lower points come first, so that what is drawn last is what one would see from above.
    """
    _, high = box_of(centres, points, 0.0)
    away = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    inside = np.flatnonzero((away <= 2 * np.median(away)) & (points[:, 2] <= high[2]))
    chosen = inside[np.linspace(0, len(inside) - 1, min(MAP_POINTS, len(inside))).astype(int)]
    chosen = chosen[np.argsort(points[chosen, 2], kind="stable")]
    spread = float(np.linalg.norm(np.ptp(centres, axis=0))) or 1.0
    digits = int(np.clip(3 - np.floor(np.log10(spread)), 0, 8))
    heading = np.degrees(np.arctan2(forward[:, 0], forward[:, 1])) % 360
    pitch = np.degrees(np.arcsin(np.clip(forward[:, 2], -1, 1)))
    photos = np.linspace(0, len(centres) - 1, min(MAP_PHOTOS, len(centres))).astype(int)
    codes = colours[chosen].astype(int) @ np.array([65536, 256, 1])
    places = np.round(np.column_stack([centres, heading, pitch, distances])[photos], digits)
    plan = np.round(points[chosen, :2], digits).tolist()
    return PhotoMap(
        photos=tuple(map(tuple, places.tolist())),
        points=tuple((x, y, code) for (x, y), code in zip(plan, codes.tolist(), strict=True)),
    )
