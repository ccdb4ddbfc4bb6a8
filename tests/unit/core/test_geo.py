"""Similarities and local metres: exact where the data is exact, robust where half of it is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from scripts.lib.core.geo import (
    Sim3,
    enu_from_geodetic,
    fit_sim3,
    fit_sim3_upright,
    robust_sim3,
    rotation_to_z,
    up_from_cameras,
)


def random_sim3(seed: int, upright: bool = False) -> Sim3:
    generator = np.random.default_rng(seed)
    turn = Rotation.random(rng=generator)
    if upright:
        turn = Rotation.from_euler("z", generator.uniform(-np.pi, np.pi))
    scale = float(np.exp(generator.normal()))
    return Sim3(scale, turn.as_matrix(), generator.normal(size=3) * 10)


def cloud(seed: int, count: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3))


def test_enu_of_known_steps() -> None:
    """One arc second at 45 degrees: 30.87 m north and 21.9 m east on WGS84."""
    second = 1 / 3600
    origin = (45.0, 7.0, 300.0)
    east, north, up = enu_from_geodetic(
        [(45.0, 7.0 + second, 300.0), (45.0 + second, 7.0, 300.0), (45.0, 7.0, 310.0)], origin
    )
    assert np.allclose(east, [21.90, 0, 0], atol=0.01)
    assert np.allclose(north, [0, 30.87, 0], atol=0.01)
    assert np.allclose(up, [0, 0, 10], atol=1e-6)


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_fit_recovers_a_similarity(seed: int) -> None:
    truth, points = random_sim3(seed), cloud(seed + 1)
    found = fit_sim3(points, truth.apply(points))
    assert np.allclose(found.matrix(), truth.matrix(), atol=1e-8)
    assert np.linalg.det(found.rotation) == pytest.approx(1)


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_upright_fit_recovers_a_turn_about_z(seed: int) -> None:
    truth, points = random_sim3(seed, upright=True), cloud(seed + 1)
    found = fit_sim3_upright(points, truth.apply(points))
    assert np.allclose(found.matrix(), truth.matrix(), atol=1e-8)


def test_composition() -> None:
    first, second, points = random_sim3(1), random_sim3(2), cloud(3)
    assert np.allclose(second.after(first).apply(points), second.apply(first.apply(points)))


def test_coinciding_points_are_refused() -> None:
    with pytest.raises(ValueError, match="coincide"):
        fit_sim3(np.ones((5, 3)), cloud(0, 5))
    with pytest.raises(ValueError, match="coincide"):
        fit_sim3_upright(np.ones((5, 3)), cloud(0, 5))


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("count", [8, 60])
def test_a_third_of_wrong_points_is_ignored(upright: bool, count: int) -> None:
    truth, points = random_sim3(5, upright), cloud(6, count) * 30
    target = truth.apply(points) + np.random.default_rng(7).normal(size=(count, 3)) * 0.05
    wrong = np.arange(count) % 3 == 0
    target[wrong] += 200
    found = robust_sim3(points, target, upright=upright)
    assert found is not None
    assert (found.inliers == ~wrong).all()
    assert np.allclose(found.sim3.apply(points)[~wrong], target[~wrong], atol=0.5)
    assert found.sim3.scale == pytest.approx(truth.scale, rel=0.01)


def test_nothing_in_common_shows_in_the_residuals() -> None:
    target = cloud(1, 20) * 1000
    found = robust_sim3(cloud(0, 20), target)
    if found is not None:
        error = np.sqrt((found.residuals[found.inliers] ** 2).sum(axis=1).mean())
        assert error > 0.25 * np.sqrt(target.var(axis=0).sum())


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
@settings(max_examples=60, deadline=None)
def test_rotation_to_z(x: float, y: float, z: float) -> None:
    up = np.array([x, y, z])
    if np.linalg.norm(up) < 1e-3:
        return
    rotation = rotation_to_z(up)
    assert np.allclose(rotation @ up / np.linalg.norm(up), [0, 0, 1], atol=1e-9)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)


def cameras(yaw: np.ndarray, pitch: float, roll: np.ndarray, world: Rotation) -> np.ndarray:
    """World-to-camera rotations of cameras at these angles (degrees) in a world turned by `world`."""
    level = Rotation.from_matrix([[1, 0, 0], [0, 0, -1], [0, 1, 0]])  # looks along +y, z up
    turns = [
        Rotation.from_euler("z", r, degrees=True)
        * Rotation.from_euler("x", -pitch, degrees=True)
        * level
        * Rotation.from_euler("z", y, degrees=True)
        for y, r in zip(yaw, roll, strict=True)
    ]
    return np.array([(turn * world.inv()).as_matrix() for turn in turns])


@pytest.mark.parametrize("pitch", [0, -30, -60, 20])
def test_up_of_an_orbit(pitch: float) -> None:
    world = Rotation.random(rng=np.random.default_rng(3))
    roll = np.random.default_rng(4).normal(size=24) * 2
    up = up_from_cameras(cameras(np.arange(24) * 15.0, pitch, roll, world))
    angle = np.degrees(np.arccos(np.clip(up @ world.apply([0, 0, 1]), -1, 1)))
    assert angle < 2


def test_up_of_photos_straight_down() -> None:
    world = Rotation.random(rng=np.random.default_rng(5))
    rotations = cameras(np.arange(12) * 30.0, -90.0, np.zeros(12), world)
    up = up_from_cameras(rotations)
    assert up @ world.apply([0, 0, 1]) > 0.99


def test_a_few_photos_on_their_side_do_not_tilt_the_world() -> None:
    world = Rotation.random(rng=np.random.default_rng(6))
    roll = np.where(np.arange(24) % 8 == 0, 90.0, 0.0)
    up = up_from_cameras(cameras(np.arange(24) * 15.0, -10, roll, world))
    assert up @ world.apply([0, 0, 1]) > np.cos(np.radians(3))
