"""Flicker in a scene of one wall, where it is known what stands before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.lib.measure.flicker import STEP_PX, beside, between, change, flicker, nearest, seen
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.scene import Scene
from scripts.lib.splat.gaussians import SH_C0, Gaussians

SIZE, FOCAL, AWAY = (120, 90), 110.0, 10.0
K = np.array([[FOCAL, 0, SIZE[0] / 2], [0, FOCAL, SIZE[1] / 2], [0, 0, 1]])
ORIGIN = np.array([3000.0, -500.0, 20.0])


def camera(right: float) -> np.ndarray:
    """A camera that looks along z, so far right of the origin."""
    pose = np.eye(4)
    pose[:3, 3] = -(ORIGIN + [right, 0, 0])
    return pose


def scene(*rights: float) -> Scene:
    count = len(rights)
    return Scene(
        Path("none"),
        tuple(map(str, range(count))),
        np.array([SIZE] * count),
        np.stack([K] * count),
        np.stack([camera(right) for right in rights]),
        np.zeros((0, 3)),
        np.zeros((0, 3), np.uint8),
    )


def layer(away: float, opacity: float, every: float, seed: int) -> Gaussians:
    """Discs of all colours that fill the picture at a distance, one for every `every` units of it."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(-9, 14, every), np.arange(-6, 6, every))
    count = x.size
    places = np.stack([x.ravel(), y.ravel(), np.full(count, AWAY)], axis=1) * away / AWAY
    axes = np.array([0.6 * every, 0.6 * every, 1e-3]) * away / AWAY
    return Gaussians(
        means=(places + ORIGIN).astype(np.float32),
        quats=np.tile(np.float32([1, 0, 0, 0]), (count, 1)),
        scales=np.log(np.tile(axes, (count, 1))).astype(np.float32),
        opacities=np.full(count, np.log(opacity / (1 - opacity)), np.float32),
        sh0=((rng.uniform(0, 1, (count, 3)) - 0.5) / SH_C0).astype(np.float32),
        shN=np.zeros((count, 0, 3), np.float32),
    )


def both(a: Gaussians, b: Gaussians) -> Gaussians:
    return Gaussians(**{k: np.concatenate([v, b.arrays[k]]) for k, v in a.arrays.items()})


WALL = layer(AWAY, 0.99, 0.4, 0)


def test_a_wall_is_steady_and_haze_before_it_flickers() -> None:
    place = scene(0.0, 3.0)
    steady = flicker(Renderer(WALL), place, [0, 1])
    assert steady is not None and 255 * steady < 1.5
    haze = layer(AWAY / 2, 0.15, 0.4, 1)
    unsteady = flicker(Renderer(both(WALL, haze)), place, [0, 1])
    assert unsteady is not None and unsteady > 4 * steady


def test_what_only_one_render_shows_does_not_count() -> None:
    """A post before the wall hides other parts of it from each side; it moves by more than the wall does."""
    post = layer(AWAY / 2, 0.99, 0.4, 2)
    middle = np.abs(post.means[:, 0] - ORIGIN[0]) < 0.4
    post = Gaussians(**{name: rows[middle] for name, rows in post.arrays.items()})
    renderer = Renderer(both(WALL, post))
    first, second = (seen(renderer, camera(right), K, SIZE) for right in (0.0, 0.5))
    found, pixels = change(first, second)
    # 5.5 of 120 columns are beyond the second's picture, and about as many hidden by the post.
    assert 0.8 < pixels / first.depth.numel() < 0.93
    assert 255 * found / pixels < 2
    nothing, everywhere = change(first, first)
    assert nothing < 1e-6 * everywhere and everywhere > 0.97 * first.depth.numel()


def test_the_next_render_is_a_small_step_away() -> None:
    first = seen(Renderer(WALL), camera(0.0), K, SIZE)
    pose = beside(first, camera(3.0), K)
    assert pose is not None
    moved = FOCAL * (camera(0.0) - pose)[0, 3] / AWAY
    assert moved == pytest.approx(STEP_PX, rel=0.05)
    assert beside(first, camera(0.0), K) is None


def test_half_way_a_camera_looks_half_way() -> None:
    quarter = np.eye(4)
    quarter[:3, :3] = [[0, 0, -1], [0, 1, 0], [1, 0, 0]]
    quarter[:3, 3] = quarter[:3, :3] @ [-4.0, 0, 0]
    found = between(np.eye(4), quarter, 0.5)
    assert np.allclose(-found[:3, :3].T @ found[:3, 3], [2, 0, 0])
    assert np.allclose(found[2, :3], np.array([1, 0, 1]) / np.sqrt(2))


def test_a_neighbour_looks_the_same_way() -> None:
    place = scene(0.0, 1.0, 3.0)
    place.world_to_camera[1, :3, :3] = np.diag([-1.0, 1.0, -1.0])
    place.world_to_camera[1, :3, 3] = -place.world_to_camera[1, :3, :3] @ (ORIGIN + [1, 0, 0])
    assert nearest(place, 0) == 2
    assert nearest(scene(0.0), 0) is None and flicker(Renderer(WALL), scene(0.0), [0]) is None
