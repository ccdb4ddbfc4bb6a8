"""Nothing stands right before a camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.lib.train.free_space import FREE, FreeSpace, free_radii
from scripts.lib.train.options import TrainOptions, resolve
from scripts.lib.train.trainer import Trainer
from tests.bench.cloud import make_scene

CPU = torch.device("cpu")


@pytest.fixture
def wall() -> np.ndarray:
    """400 points (400, 3) of a wall 2 to the front of the origin."""
    x, y = np.meshgrid(np.linspace(-1, 1, 20), np.linspace(-1, 1, 20))
    return np.stack([x.ravel(), y.ravel(), np.full(400, 2.0)], axis=1)


def test_a_part_of_the_way_to_the_nearest_is_free(wall: np.ndarray) -> None:
    cameras = np.array([[0.0, 0, 0], [0, 0, -4], [0, 0, 1.9]])
    near = free_radii(cameras, wall)
    assert near == pytest.approx(FREE * np.array([2.0, 6.0, 0.3]), rel=0.15)


def test_a_few_wrong_points_do_not_matter(wall: np.ndarray) -> None:
    wrong = np.full((5, 3), 0.01)
    camera = np.zeros((1, 3))
    assert free_radii(camera, np.vstack([wall, wrong])) == pytest.approx(
        free_radii(camera, wall), rel=0.02
    )


def test_too_few_points_tell_nothing(wall: np.ndarray) -> None:
    space = FreeSpace(np.zeros((1, 3)), wall[:10], CPU)
    assert not space.intruders(torch.zeros(4, 3)).any()


def test_what_stands_in_it_is_found(wall: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.lib.train.free_space.AT_ONCE", 3)  # in several parts
    space = FreeSpace(np.array([[0.0, 0, 0], [0, 0, 1]]), wall, CPU)
    means = torch.tensor([[0, 0, 0.5], [0, 0, -0.5], [0, 0, 1.2], [0, 0, 2.0], [0, 3, 0]])
    assert space.intruders(means).tolist() == [True, True, True, False, False]


def test_training_takes_it_out(tmp_path: Path) -> None:
    """Gaussians put before the cameras are transparent after the next round, the others are not."""
    scene = make_scene(tmp_path / "scene.zip", 300, (64, 48), 6)
    options = TrainOptions(steps=40, max_gaussians=300, resolution=0, sky=False)
    trainer = Trainer(scene, resolve(options, "cpu"))
    centres = trainer.free_space.centres
    assert len(centres), "the scene has points enough"
    parameters, count = trainer.parameters, len(centres)
    parameters["means"][:count] = centres
    parameters["opacities"][:count] = 2.0
    trainer.step = 4  # of 40 steps every second looks
    trainer._remove_floaters()
    opaque = torch.sigmoid(parameters["opacities"])
    assert opaque[:count].max() < 0.01 < opaque[count:].median()
