"""A made-up street, or a room, photographed by someone who walks along it: rays cast one by one, so that what
each pixel shows is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scripts.lib.scene.colmap_model import Model, View
from scripts.lib.scene.start_view import look_at
from tests.unit.splat_scene import write_photos

WIDTH, HEIGHT, FOCAL = 160, 120, 110.0
HALF_WIDTH, WALL_HEIGHT, CEILING = 4.0, 3.0, 3.5
BRICK, PLASTER = np.array([0.6, 0.35, 0.25]), np.array([0.55, 0.7, 0.9])


def walk(count: int = 8, roll: float = 0.0) -> list[View]:
    """Cameras a metre apart along +X, a bit above eye height, turned about their axis by `roll` radians."""
    K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    spin = np.eye(4)
    spin[:2, :2] = [[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]]
    views = []
    for number in range(count):
        place = np.array([1.0 * number, 0.4 * (-1) ** number, 1.7])
        pose = spin @ look_at(place, place + [1.0, 0.15 * (-1) ** number, 0.1])
        views.append(View(f"walk_{number:02d}.jpg", WIDTH, HEIGHT, K, pose))
    return views


def rays(view: View) -> tuple[np.ndarray, np.ndarray]:
    """The camera's centre (3,) and the directions (H, W, 3) of its pixels."""
    turn = view.world_to_camera[:3, :3]
    column, row = np.meshgrid(np.arange(view.width) + 0.5, np.arange(view.height) + 0.5)
    seen = np.stack([column, row, np.ones_like(column)], -1) @ np.linalg.inv(view.K).T @ turn
    return -turn.T @ view.world_to_camera[:3, 3], seen / np.linalg.norm(
        seen, axis=-1, keepdims=True
    )


def sky_colour(directions: np.ndarray) -> np.ndarray:
    """A blue that pales towards the horizon, with soft clouds."""
    rise = np.clip(directions[..., 2:], 0, 1)
    blue = np.array([0.65, 0.8, 0.95]) * (1 - rise) + np.array([0.3, 0.5, 0.85]) * rise
    cloud = 0.5 + 0.5 * np.sin(5 * directions[..., :1]) * np.sin(4 * directions[..., 1:2] + 1)
    return blue + 0.6 * np.clip(cloud - 0.6, 0, 1) * (1 - blue)


def _texture(spots: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """A checker of 0.4 units in shades of a colour."""
    odd = np.floor(spots / 0.4 + 1e-6).sum(axis=-1, keepdims=True) % 2
    return colour * (0.75 + 0.5 * odd)


def photograph(view: View, room: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The picture (H, W, 3) uint8 and where it shows the sky (H, W).

    room: the walls are plain blue with a step in shade every 3 units and reach a white ceiling.
    """
    centre, d = rays(view)
    with np.errstate(divide="ignore", invalid="ignore"):
        to_wall = (np.sign(d[..., 1]) * HALF_WIDTH - centre[1]) / d[..., 1]
        to_flat = (np.where(d[..., 2] > 0, CEILING if room else np.inf, 0.0) - centre[2]) / d[
            ..., 2
        ]
    along = np.fmin(to_wall, to_flat)
    spot = centre + d * np.where(np.isfinite(along), along, 0.0)[..., None]
    on_wall = (to_wall < to_flat) & (room | (spot[..., 2] < WALL_HEIGHT))
    ground = (to_flat <= to_wall) & (d[..., 2] < 0)
    sky = ~on_wall & ~ground & (not room)
    picture = sky_colour(d)
    if room:
        step = np.floor(spot[..., :1] / 3) % 2
        picture = np.where(on_wall[..., None], PLASTER * (0.7 + 0.4 * step), 0.8)
    else:
        picture = np.where(on_wall[..., None], _texture(spot[..., [0, 2]], BRICK), picture)
    picture = np.where(
        ground[..., None], _texture(spot[..., :2], np.array([0.5, 0.5, 0.45])), picture
    )
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8), sky


def write_street(path: Path, views: list[View], room: bool = False) -> None:
    """An `undistorted.zip` of the walk, with points on the ground and on brick."""
    random = np.random.default_rng(0)
    count = 1500
    along = random.uniform(0, 25, count)
    ground = np.stack([along, random.uniform(-HALF_WIDTH, HALF_WIDTH, count), 0 * along], 1)
    side = HALF_WIDTH * random.choice([-1, 1], count)
    wall = np.stack([along, side, random.uniform(0, WALL_HEIGHT, count)], 1)
    points = ground if room else np.concatenate([ground, wall])
    colours = np.concatenate([np.full((count, 3), 125), np.full((count, 3), [150, 90, 60])])
    model = Model(tuple(views), points, colours[: len(points)].astype(np.uint8))
    write_photos(path, model, [photograph(view, room)[0] for view in views])
