"""Depths by the tracks of a model: where, how deep, and how exactly they are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.lib.scene.colmap_model import Model, View
from scripts.lib.scene.known_depths import HELD_OUT_EVERY, known_depths
from scripts.lib.scene.scene import load_scene
from tests.unit.splat_scene import HEIGHT, WIDTH, look_at_origin, write_photos

FOCAL = 60.0
K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])


def made(path: Path, centres: np.ndarray, points: np.ndarray) -> Path:
    """A scene of cameras that look at the origin, and points of tracks that fit to 0.8 pixels."""
    poses = [look_at_origin(centre) for centre in centres]
    views = [View(f"{i}.jpg", WIDTH, HEIGHT, K, pose) for i, pose in enumerate(poses)]
    model = Model(tuple(views), points, np.zeros((len(points), 3), np.uint8))
    blank = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    write_photos(path, model, [blank] * len(views), tracked=True)
    return path


def fan(degrees: list[float], away: float) -> np.ndarray:
    """Cameras on an arc around the origin."""
    angles = np.radians(degrees)
    return away * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)


@pytest.mark.parametrize(("angle", "resolution"), [(20.0, 0), (2.0, 0), (20.0, 16)])
def test_a_point_is_known_as_well_as_its_rays_cross(
    angle: float, resolution: int, tmp_path: Path
) -> None:
    away = 3.0
    path = made(tmp_path / "scene.zip", fan([-angle, 0, angle], away), np.zeros((1, 3)))
    middle = known_depths(load_scene(path, resolution), [1])[0]
    assert middle.depths == pytest.approx([away])
    assert middle.places == pytest.approx(np.array([[0.5, 0.5]]))
    expected = 0.8 * away / FOCAL / np.sqrt(2) / np.sin(np.radians(angle))
    assert middle.sigmas == pytest.approx([expected], rel=1e-3)


def test_depths_are_those_of_the_points_and_every_fifth_track_is_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 0.5, (200, 3))
    scene = load_scene(made(tmp_path / "scene.zip", fan([0, 30, 60, 90], 3.0), points))
    for index, known in zip([2, 0], known_depths(scene, [2, 0]), strict=True):
        pose = scene.world_to_camera[index]
        assert len(known) == 200
        assert known.depths == pytest.approx(points @ pose[2, :3] + pose[2, 3])
        assert known.held_out.sum() == 200 / HELD_OUT_EVERY
        x, y, z = K @ (points @ pose[:3, :3].T + pose[:3, 3]).T
        pixels = known.places * (WIDTH, HEIGHT)
        assert pixels == pytest.approx(np.stack([x / z, y / z], axis=1))
    # A track is kept from training in all of its photos.
    first, second = known_depths(scene, [0, 1])
    assert (first.held_out == second.held_out).all()


def test_points_of_two_photos_and_rays_that_are_one_line_tell_nothing(tmp_path: Path) -> None:
    two = load_scene(made(tmp_path / "two.zip", fan([0, 30], 3.0), np.zeros((4, 3))))
    assert len(known_depths(two, [0])[0]) == 0
    still = made(tmp_path / "still.zip", fan([0, 0, 0], 3.0), np.zeros((4, 3)))
    known = known_depths(load_scene(still), [0])[0]
    assert (known.sigmas > 10 * known.depths).all()


def test_a_model_without_tracks_knows_no_depth(tmp_path: Path) -> None:
    views = [View("a.jpg", WIDTH, HEIGHT, K, look_at_origin(np.array([2.0, 0, 0])))]
    model = Model(tuple(views), np.zeros((3, 3)), np.zeros((3, 3), np.uint8))
    write_photos(tmp_path / "s.zip", model, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)])
    assert [len(one) for one in known_depths(load_scene(tmp_path / "s.zip"), [0])] == [0]
