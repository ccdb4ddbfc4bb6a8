"""Which photos are held out, and what may not be trained on beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.lib.console import UserError
from scripts.lib.scene import Scene
from scripts.lib.split import held_out, split_scene


def test_every_eighth_photo_is_held_out() -> None:
    assert held_out([str(i) for i in range(17)]) == [0, 8, 16]
    assert held_out(["a", "b", "c"]) == [0]
    assert held_out(["a"]) == [] and held_out(["a", "b"], 0) == []


def test_chosen_photos_are_held_out() -> None:
    names = ["a/1.jpg", "a/2.jpg", "b/1.jpg", "b/3.jpg"]
    assert held_out(names, 8, ["b/3.jpg", "a/2.jpg"]) == [1, 3]
    assert held_out(names, 0, ["3.HEIC"]) == [3], "converted photos are found by their stem"
    with pytest.raises(UserError, match="fits several photos"):
        held_out(names, 8, ["1.jpg"])
    with pytest.raises(UserError, match="did you mean 'a/2.jpg'"):
        held_out(names, 8, ["a/22.jpg"])


def scene(centres: list[tuple[float, float, float]]) -> Scene:
    """Cameras at `centres` that look along +z at points about 10 units ahead."""
    count = len(centres)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, 3] = -np.array(centres)
    points = np.random.default_rng(0).normal([0, 0, 10], [2, 2, 0.5], (200, 3))
    return Scene(
        path=Path("scene.zip"),
        names=tuple(f"{n:03d}.jpg" for n in range(count)),
        sizes=np.tile([640, 480], (count, 1)),
        K=np.tile(np.diag([500.0, 500.0, 1.0]), (count, 1, 1)),
        world_to_camera=poses,
        points=points,
        colours=np.zeros((200, 3), np.uint8),
    )


def test_what_repeats_a_held_out_photo_is_not_trained_on() -> None:
    made = scene([(0, 0, 0), (0.05, 0, 0), (1, 0, 0), (2, 0, 0), (2.0, 0.02, 0), (0.01, 0, 0)])
    turned = made.world_to_camera.copy()
    turned[5, :3, :3] = [[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]]  # same place, another view
    turned[5, :3, 3] = -turned[5, :3, :3] @ [0.01, 0, 0]
    made = Scene(**{**vars(made), "world_to_camera": turned})
    split = split_scene(made, 8)
    assert split.tested == [0] and split.left_out == [1]
    assert split.trained == [2, 3, 4, 5], "4 repeats 3, which is not measured on"
    assert split_scene(made, 0, ["003"]).left_out == [4]


def test_nothing_left_to_train_on_is_refused() -> None:
    with pytest.raises(UserError, match="no photo to train on"):
        split_scene(scene([(0, 0, 0), (0.01, 0, 0)]), 8)
