"""Errors of a splat's depth, where the truth is known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from scripts.lib.measure.depth_error import FEWEST, bands, depth_errors
from scripts.lib.measure.evaluate import Views
from scripts.lib.scene.colmap_model import Model, View
from scripts.lib.scene.scene import load_scene
from scripts.lib.scene.split import Split
from scripts.lib.splat.gaussians import Gaussians
from tests.unit.measure.test_depth_bands import joined, wall
from tests.unit.splat_scene import HEIGHT, WIDTH, write_photos

K = np.array([[60.0, 0, WIDTH / 2], [0, 60.0, HEIGHT / 2], [0, 0, 1]])
NEAR, FAR = 2.0, 6.0
FINE = (
    8  # times as many pixels in the photos as in the splat's pictures: their points are known well
)


def walls(left: float, right: float) -> Gaussians:
    """Two solid walls side by side, in the picture of a camera at the origin."""
    half = WIDTH // 2
    return joined(
        [
            wall(left, range(-4, half), range(-4, HEIGHT + 4), 0),
            wall(right, range(half, WIDTH + 4), range(-4, HEIGHT + 4), 1),
        ]
    )


@pytest.fixture
def views(tmp_path: Path) -> Views:
    """Four cameras in a row before points on walls at NEAR on the left and FAR on the right."""
    rng = np.random.default_rng(0)
    pixels = rng.uniform((2, 2), (WIDTH - 2, HEIGHT - 2), (1200, 2))
    depths = np.where(pixels[:, 0] < WIDTH / 2 - 1, NEAR, FAR)
    kept = np.abs(pixels[:, 0] - WIDTH / 2) > 3  # not at the edge between them
    rays = np.c_[(pixels - K[:2, 2]) / 60, np.ones(len(pixels))]
    cameras, sharp = [], np.diag([FINE, FINE, 1]) @ K
    for number in range(4):
        pose = np.eye(4)
        pose[0, 3] = 0.4 * number
        cameras.append(View(f"{number}.jpg", FINE * WIDTH, FINE * HEIGHT, sharp, pose))
    model = Model(
        tuple(cameras), (rays * depths[:, None])[kept], np.zeros((int(kept.sum()), 3), np.uint8)
    )
    blank = np.zeros((FINE * HEIGHT, FINE * WIDTH, 3), np.uint8)
    write_photos(tmp_path / "scene.zip", model, [blank] * 4, tracked=True)
    scene = load_scene(tmp_path / "scene.zip", WIDTH)
    return Views(scene, [0], True, Split([1, 2, 3], [], [0], []))


def test_each_wall_is_off_by_what_it_was_moved(views: Views) -> None:
    found = depth_errors(walls(NEAR * 1.03, FAR * 0.9), views)
    assert found is not None and found.views == 1
    near, middle, far = found.bands
    assert near.median == pytest.approx(0.03, abs=2e-3) and near.bias > 0
    assert far.median == pytest.approx(0.1, abs=2e-3) and far.bias == pytest.approx(-far.median)
    assert near.farthest <= middle.nearest <= middle.farthest <= far.nearest
    assert near.nearest == pytest.approx(NEAR) and far.farthest == pytest.approx(FAR)
    assert found.all.points == sum(band.points for band in found.bands)
    assert 0.03 < found.all.within_90 < 0.102
    assert found.all.missed == 0 and 0 < found.known_to < 0.02


def test_a_veil_moves_the_mean_and_not_the_median(views: Views) -> None:
    veil = wall(1.0, range(WIDTH), range(HEIGHT), 2)
    thin = dataclasses.replace(veil, opacities=np.full_like(veil.opacities, -3.2))
    found = depth_errors(joined([walls(NEAR, FAR), thin]), views)
    assert found is not None
    assert found.all.median < 1e-3 and found.all.mean_depth_median > 0.05


def test_holes_count_as_wrong(views: Views) -> None:
    left = wall(NEAR, range(-4, WIDTH // 2), range(-4, HEIGHT + 4), 0)
    found = depth_errors(left, views)
    assert found is not None
    assert 0.3 < found.all.missed < 0.7 and found.all.within_95 == 1.0
    assert found.bands[0].missed == 0 and found.bands[2].missed == 1


def test_few_points_judge_nothing(views: Views) -> None:
    nobody = dataclasses.replace(views, indices=[])
    assert depth_errors(walls(NEAR, FAR), nobody) is None
    few = np.linspace(1, 2, 3 * FEWEST - 1)
    assert bands(few, 0 * few, 0 * few) == ()
