"""A made-up house for tests of walking, whose walls and floors are known exactly. Z up, metres times a scale.

A room of 6 x 5 m with walls 2.4 m high; a door to a yard east of it; stairs of five steps, 20 cm high, up
to a platform along the north wall; a table; a railing; and a gap in what is known of the floor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.lib.scene.scene import Scene
from scripts.lib.scene.start_view import look_at
from scripts.lib.splat.gaussians import Gaussians

Float = npt.NDArray[np.float64]

STEP = 0.05  # between Gaussians
WIDE, DEEP, TALL = 6.0, 5.0, 2.4  # of the room: x from 0 to WIDE, y from 0 to DEEP
DOOR = (0.8, 2.0)  # y of the opening in the wall at x = WIDE
YARD = (WIDE, 9.0)  # x of the yard, which has no walls
STAIRS = (1.5, 3.0)  # x: five steps, each 30 cm deep, from y = PLATFORM to DEEP
PLATFORM = (
    3.7  # y from which the north part is stairs and platform; the platform is x from 3 to WIDE
)
RISE, STEPS = 0.2, 5
TABLE = ((1.0, 1.0), (2.0, 1.8), 0.75)  # corners x, y and height
UNSEEN = (2.6, 2.7)  # the middle of a square metre of floor that no photo saw
RAILING = ((4.2, 0.0), (4.2, 0.6))  # from the south wall northwards: it stands alone


def floor_at(x: float, y: float) -> float | None:
    """The height of the floor at a place of the room or yard; None where there is none."""
    if not (0 <= x <= YARD[1] and 0 <= y <= DEEP):
        return None
    if x < WIDE and y >= PLATFORM and x >= STAIRS[0]:
        step = min(STEPS, 1 + int((x - STAIRS[0]) / 0.3))
        return RISE * step
    return 0.0


def sheet(u: tuple[float, float], v: tuple[float, float], place: Any, step: float = STEP) -> Float:
    """Points (P, 3) of a rectangle; `place` makes x, y, z of the two directions."""
    a, b = np.meshgrid(np.arange(u[0], u[1], step), np.arange(v[0], v[1], step), indexing="ij")
    flat = np.broadcast_arrays(*place(a.ravel() + step / 2, b.ravel() + step / 2))
    return np.stack(flat, axis=1).astype(float)


def house_points() -> Float:
    """Points on everything of the house."""
    floor = sheet((0, YARD[1]), (0, DEEP), lambda x, y: (x, y, 0 * x))
    parts = [floor[(np.abs(floor[:, :2] - UNSEEN) > 0.5).any(axis=1)]]
    for y in (0.0, DEEP):
        parts.append(sheet((0, WIDE), (0, TALL), lambda x, z, y=y: (x, y + 0 * x, z)))
    parts.append(sheet((0, DEEP), (0, TALL), lambda y, z: (0 * y, y, z)))
    east = sheet((0, DEEP), (0, TALL), lambda y, z: (WIDE + 0 * y, y, z))
    parts.append(east[(east[:, 1] < DOOR[0]) | (east[:, 1] > DOOR[1])])
    for step in range(STEPS):
        low = STAIRS[0] + 0.3 * step
        high = low + 0.3 if step < STEPS - 1 else WIDE
        top = RISE * (step + 1)
        parts.append(sheet((low, high), (PLATFORM, DEEP), lambda x, y, z=top: (x, y, z + 0 * x)))
        parts.append(
            sheet((PLATFORM, DEEP), (top - RISE, top), lambda y, z, x=low: (x + 0 * y, y, z))
        )
    side = sheet((STAIRS[0], WIDE), (0, RISE * STEPS), lambda x, z: (x, PLATFORM + 0 * x, z))
    parts.append(side[[z < (floor_at(x, PLATFORM) or 0) for x, _, z in side]])
    (x0, y0), (x1, y1), height = TABLE
    parts.append(sheet((x0, x1), (y0, y1), lambda x, y: (x, y, height + 0 * x)))
    return np.concatenate(parts)


def house(scale: float = 1.0) -> Gaussians:
    """The house as small round Gaussians that overlap, and the railing as thin upright ones far apart."""
    points = house_points()
    bars = np.arange(RAILING[0][1] + 0.1, RAILING[1][1], 0.12)
    rails = np.stack([np.full(len(bars), RAILING[0][0]), bars, np.full(len(bars), 0.55)], axis=1)
    count, thin = len(points), len(rails)
    sizes = np.concatenate([np.full((count, 3), 0.035), np.tile([0.012, 0.012, 0.4], (thin, 1))])
    return Gaussians(
        means=(np.concatenate([points, rails]) * scale).astype(np.float32),
        quats=np.tile([1.0, 0, 0, 0], (count + thin, 1)).astype(np.float32),
        scales=np.log(sizes * scale).astype(np.float32),
        # No cell of a bar hides half of what is behind it, as small bars come out of training.
        opacities=np.concatenate([np.full(count, 4.0), np.full(thin, -0.5)]).astype(np.float32),
        sh0=np.random.default_rng(1).normal(0, 0.5, (count + thin, 3)).astype(np.float32),
        shN=np.zeros((count + thin, 0, 3), np.float32),
    )


def house_scene(folder: Path, scale: float = 1.0) -> Scene:
    """The house as seen from a walk through room and yard, at 1.5 m; no photos are behind it."""
    along = np.linspace(0, 1, 12)
    places = np.stack([0.8 + 6.5 * along, 2.6 - 1.2 * along, np.full(12, 1.5)], axis=1) * scale
    ahead = np.array([3.0, 4.0, 1.0]) * scale
    points = house_points()[::7] * scale
    return Scene(
        path=folder / "undistorted.zip",
        names=tuple(f"walk_{i:02d}.jpg" for i in range(12)),
        sizes=np.array([[480, 320]] * 12),
        K=np.array([[[380.0, 0, 240], [0, 380.0, 160], [0, 0, 1]]] * 12),
        world_to_camera=np.array([look_at(place, ahead) for place in places]),
        points=points,
        colours=np.full((len(points), 3), 128, np.uint8),
    )
