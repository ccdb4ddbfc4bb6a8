"""A made place with known heights and colours: ground with a step of three metres."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scripts.lib.contracts.georef import Georef, Origin, Projected
from scripts.lib.core.geo import utm_epsg
from scripts.lib.scene.scene import Scene
from scripts.lib.splat.gaussians import SH_C0, Gaussians

IDENTITY = ((1.0, 0, 0, 0), (0, 1.0, 0, 0), (0, 0, 1.0, 0), (0, 0, 0, 1.0))
ROOF = 3.0  # metres, east of x = 0 and north of y = 0; the ground is at 0
HALF = 6.0  # metres from the middle to the place's sides
SPACING = 0.1  # metres between discs


def height_at(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    """The true height."""
    return np.where((east > 0) & (north > 0), ROOF, 0.0)


def colour_at(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    """The true colour (..., 3): red grows to the east, green to the north."""
    return np.stack([0.5 + east / 15, 0.5 + north / 15, np.full_like(east, 0.3)], axis=-1)


def splat() -> Gaussians:
    """Flat discs on ground and roof, and nothing else."""
    side = np.arange(-HALF + SPACING / 2, HALF, SPACING)
    east, north = (grid.ravel() for grid in np.meshgrid(side, side))
    count = len(east)
    means = np.stack([east, north, height_at(east, north)], axis=1)
    scales = np.log(np.tile([0.7 * SPACING, 0.7 * SPACING, 1e-3], (count, 1)))
    return Gaussians(
        means=means.astype(np.float32),
        quats=np.tile(np.float32([1, 0, 0, 0]), (count, 1)),
        scales=scales.astype(np.float32),
        opacities=np.full(count, 3.0, np.float32),
        sh0=((colour_at(east, north) - 0.5) / SH_C0).astype(np.float32),
        shN=np.zeros((count, 0, 3), np.float32),
    )


def scene(path: Path = Path("none.zip"), views: int = 5) -> Scene:
    """Cameras that look straight down from 12 m, the last one beyond the place's western side."""
    east = np.append(np.linspace(-1, 1, views - 1), -9.0)
    poses = np.tile(np.diag([1.0, -1.0, -1.0, 1.0]), (views, 1, 1))
    poses[:, 0, 3], poses[:, 2, 3] = -east, 12.0
    K = np.array([[100.0, 0, 48], [0, 100, 48], [0, 0, 1]])
    ground = np.random.default_rng(0).uniform(-4, 4, (200, 3)) * [1, 1, 0]
    return Scene(
        path=path,
        names=tuple(f"{number}.jpg" for number in range(views)),
        sizes=np.tile([96, 96], (views, 1)),
        K=np.tile(K, (views, 1, 1)),
        world_to_camera=poses,
        points=ground,
        colours=np.zeros((200, 3), np.uint8),
    )


def placed(latitude: float, longitude: float, altitude: float) -> Georef:
    """A scene at that place on the Earth."""
    return Georef(
        georeferenced=True,
        reason="made up",
        epsg=4979,
        origin=Origin(latitude, longitude, altitude),
        projected=Projected(*utm_epsg(latitude, longitude)),
        units="metres",
        frame="east, north, up",
        scale=1.0,
        world_from_sfm=IDENTITY,
    )


def unplaced(units: str = "arbitrary") -> Georef:
    """A scene without GPS."""
    return Georef(
        georeferenced=False,
        reason="no photo has GPS",
        units=units,
        scale=1.0,
        world_from_sfm=IDENTITY,
    )
