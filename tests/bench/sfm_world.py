"""Made-up captures with known poses in which every camera sees only what is near it.

`pycolmap.synthesize_dataset` lets every camera see every point, which is no capture of more than one
room: every pair matches, and the global mapper finds nothing in it. Here a drone flies over a village,
or someone walks round a block; points are seen within range and frame, not by every photo, half a
pixel off, and a share of the matches is wrong. Two-view geometries come from COLMAP's own RANSAC.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pycolmap
from scipy.spatial import cKDTree

from scripts.lib.sfm.features import write_images
from scripts.lib.sfm.options import FeatureOptions
from tests.photo_lines import line

WIDTH, HEIGHT, FOCAL, RADIAL = 1600, 1200, 1300.0, -0.03
FOCAL_PRIOR = 1.02  # what EXIF says is two percent off
SEEN = 0.6  # a point in range and frame becomes a feature this often
NOISE_PX = 0.5
WRONG = 0.15  # share of matches before RANSAC
NEIGHBOURS = 20  # photos that each is compared with
MIN_SHARED = 30
FEATURES = 900  # of a photo, about


def _looking(direction: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) from the world to a camera that looks along `direction`."""
    z = direction / np.linalg.norm(direction)
    x = np.cross(z, up)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def _flight(
    cameras: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Lines over houses, 80 m up; three quarters of a photo overlap along a line and two thirds across."""
    rows = max(2, round(np.sqrt(cameras / 1.4)))
    number = np.arange(cameras)
    row, column = number % rows, number // rows
    centres = np.stack([25.0 * column, 25.0 * row, 80 + random.normal(0, 2, cameras)], 1)
    centres[:, :2] += random.normal(0, 1.5, (cameras, 2))
    turns = np.empty((cameras, 3, 3))
    for i in range(cameras):
        tilt = random.normal(0, 0.06, 2)
        # Lines are flown to and fro.
        turns[i] = _looking(np.array([tilt[0], tilt[1], -1.0]), np.array([0, (-1.0) ** row[i], 0]))
    low, high = centres[:, :2].min(0) - 50, centres[:, :2].max(0) + 50
    area = float(np.prod(high - low))
    per_photo = (80 * WIDTH / FOCAL) * (80 * HEIGHT / FOCAL)
    points = random.uniform([*low, 0], [*high, 1], (int(FEATURES / SEEN * area / per_photo), 3))
    houses = np.floor(points[:, :2] / 15).astype(int)
    built = (houses * [73856093, 19349663]).sum(1) % 3 == 0
    points[:, 2] *= np.where(built, 9.0, 1.0)
    return centres, turns, points, 120.0


def _street(
    cameras: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Once round a block, a photo every 1.5 m, to the left and right by turns; sight ends at 25 m."""
    side = max(1.5 * cameras / 4, 15.0)
    along = np.linspace(0, 4, cameras, endpoint=False)
    corner, rest = np.floor(along).astype(int), along % 1
    starts = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float) * side
    ways = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], float)
    flat = starts[corner] + side * rest[:, None] * ways[corner]
    centres = np.column_stack([flat, np.full(cameras, 1.6)]) + random.normal(0, 0.15, (cameras, 3))
    turns = np.empty((cameras, 3, 3))
    # Who walks round a corner turns over five photos.
    heading = sum(ways[np.roll(corner, shift)] for shift in range(-2, 3))
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    for i, ahead in enumerate(heading):
        outward = np.array([ahead[1], -ahead[0]])
        angle = np.radians(35) * (1 if i % 2 else -1) + random.normal(0, 0.05)
        look = np.cos(angle) * ahead + np.sin(angle) * outward
        turns[i] = _looking(np.array([*look, random.normal(0, 0.03)]), np.array([0, 0, 1.0]))
    # Facades 7 m to both sides of the walk, 10 m high, with balconies and parked things before them.
    count = int(60 * 4 * side * 2)
    edge, place, outer = (
        random.integers(0, 4, count),
        random.random(count),
        random.random(count) < 0.5,
    )
    base = starts[edge] + (1.2 * side * (place - 0.5) + side / 2)[:, None] * ways[edge]
    outward = np.stack([ways[edge][:, 1], -ways[edge][:, 0]], 1)
    depth = np.where(outer, 1, -1) * (7 - 3 * random.random(count) ** 3)
    points = np.column_stack([base + depth[:, None] * outward, 10 * random.random(count)])
    return centres, turns, points, 25.0


def world(
    layout: str, cameras: int, database: Path, seed: int = 0
) -> tuple[dict[str, np.ndarray], float]:
    """Write a database of matched photos; returns the true centres by name and the scene's size in metres."""
    random = np.random.default_rng(seed)
    pycolmap.set_random_seed(seed)
    make = {"flight": _flight, "street": _street}[layout]
    centres, turns, points, reach = make(cameras, random)
    names = [f"{number:04d}.jpg" for number in range(cameras)]
    lines = [
        line(name, width=WIDTH, height=HEIGHT, focal_px=FOCAL_PRIOR * FOCAL, camera="made up")
        for name in names
    ]
    pycolmap.Database.open(database).close()
    ids = write_images(lines, database, FeatureOptions())
    seen, pixels = zip(*_views(centres, turns, points, reach, random), strict=True)
    with pycolmap.Database.open(database) as link:
        camera = link.read_all_cameras()[0]
        for name, found in zip(names, pixels, strict=True):
            link.write_keypoints(ids[name], found.astype(np.float32))
        _, near = cKDTree(centres).query(centres, min(NEIGHBOURS + 1, cameras))
        pairs = sorted(
            {(min(i, j), max(i, j)) for i, row in enumerate(near) for j in row if i != j}
        )
        for i, j in pairs:
            matches = _matches(seen[i], seen[j], random)
            if len(matches) < MIN_SHARED:
                continue
            geometry = pycolmap.estimate_calibrated_two_view_geometry(
                camera, pixels[i], camera, pixels[j], matches
            )
            link.write_matches(ids[names[i]], ids[names[j]], matches)
            link.write_two_view_geometry(ids[names[i]], ids[names[j]], geometry)
    size = float(np.linalg.norm(np.ptp(centres, axis=0)))
    return dict(zip(names, centres, strict=True)), size


def _views(
    centres: np.ndarray,
    turns: np.ndarray,
    points: np.ndarray,
    reach: float,
    random: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each camera the numbers of the points it sees, ascending, and their pixels (N, 2)."""
    tree = cKDTree(points)
    for centre, turn in zip(centres, turns, strict=True):
        near = np.array(sorted(tree.query_ball_point(centre, reach)), int)
        local = (points[near] - centre) @ turn.T
        flat = local[:, :2] / np.maximum(local[:, 2:], 1e-6)
        bent = flat * (1 + RADIAL * (flat**2).sum(1, keepdims=True))
        pixel = FOCAL * bent + [WIDTH / 2, HEIGHT / 2]
        inside = (local[:, 2] > 1) & (pixel >= 0).all(1) & (pixel < [WIDTH, HEIGHT]).all(1)
        inside &= (random.random(len(near)) < SEEN) & ((flat**2).sum(1) < 1)
        chosen = np.flatnonzero(inside)
        if len(chosen) > 2 * FEATURES:
            chosen = np.sort(random.choice(chosen, 2 * FEATURES, replace=False))
        yield near[chosen], pixel[chosen] + random.normal(0, NOISE_PX, (len(chosen), 2))


def _matches(a: np.ndarray, b: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Indices (M, 2) of common points, a share of them mixed up."""
    _, first, second = np.intersect1d(a, b, assume_unique=True, return_indices=True)
    wrong = np.flatnonzero(random.random(len(second)) < WRONG)
    second[wrong] = second[random.permutation(wrong)]
    return np.stack([first, second], 1).astype(np.uint32)
