"""Which photos are trained on, which steer, which judge, and what may not be trained on beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scripts.lib.contracts.record import from_json, to_json
from scripts.lib.contracts.split import SplitRecord
from scripts.lib.core.console import UserError
from scripts.lib.scene.scene import Scene
from scripts.lib.scene.split import STEERING_SHARE, Split, recorded, split_in_two, split_scene


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


def ring(count: int, **changes: object) -> Scene:
    """Cameras a unit apart, none of which repeats another; `changes` to the scene."""
    made = scene([(float(n), 0, 0) for n in range(count)])
    return Scene(**{**vars(made), **changes})


@pytest.mark.parametrize(
    ("count", "judged"), [(17, [0, 8, 16]), (3, [0]), (36, [0, 8, 16, 24, 32]), (1, [])]
)
def test_every_eighth_photo_judges(count: int, judged: list[int]) -> None:
    assert split_scene(ring(count), 8).judged == judged
    assert split_scene(ring(count), 0) == Split(list(range(count)), [], [], [])


@pytest.mark.parametrize("count", [2, 8, 16, 31, 32, 33, 36, 97, 150, 400])
def test_three_sets_that_never_meet_where_there_are_enough_photos(count: int) -> None:
    split = split_scene(ring(count), 8)
    own = [split.trained, split.judged, split.left_out]
    own += [] if split.one_set else [split.steering]
    assert sorted(index for part in own for index in part) == list(range(count))
    assert split.one_set == (count < 2 * STEERING_SHARE)
    if not split.one_set:
        assert len(split.steering) == count // STEERING_SHARE
        gaps = np.diff([-1, *split.steering, count])
        assert gaps.max() <= 1.8 * count / len(split.steering), "not spread over the capture"
    counts = split.counts()
    assert counts.one_set == split.one_set and counts.judged == len(split.judged)


def test_what_steers_depends_on_nothing_but_the_scene() -> None:
    assert split_scene(ring(97), 8) == split_scene(ring(97), 8)


def test_chosen_photos_judge() -> None:
    named = ring(4, names=("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/3.jpg"))
    assert split_scene(named, 8, ["b/3.jpg", "a/2.jpg"]).judged == [1, 3]
    assert split_scene(named, 0, ["3.HEIC"]).judged == [3], "converted photos: found by their stem"
    with pytest.raises(UserError, match="fits several photos"):
        split_scene(named, 8, ["1.jpg"])
    with pytest.raises(UserError, match="did you mean 'a/2.jpg'"):
        split_scene(named, 8, ["a/22.jpg"])
    many = split_scene(ring(40), 8, ["003", "004"])
    assert many.judged == [3, 4] and len(many.steering) == 2


def test_what_repeats_a_judged_photo_is_not_trained_on() -> None:
    made = scene([(0, 0, 0), (0.05, 0, 0), (1, 0, 0), (2, 0, 0), (2.0, 0.02, 0), (0.01, 0, 0)])
    turned = made.world_to_camera.copy()
    turned[5, :3, :3] = [[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]]  # same place, another view
    turned[5, :3, 3] = -turned[5, :3, :3] @ [0.01, 0, 0]
    made = Scene(**{**vars(made), "world_to_camera": turned})
    split = split_scene(made, 8)
    assert split.judged == [0] and split.left_out == [1]
    assert split.trained == [2, 3, 4, 5], "4 repeats 3, which does not judge"
    assert split_scene(made, 0, ["003"]).left_out == [4]


def test_no_photo_steers_that_repeats_a_judged_one_or_one_that_is_trained_on() -> None:
    """Each judged photo has a copy at its side, and so have most others."""
    centres = [(float(n), 0.0, 0.0) for n in range(48)]
    for index in (*range(1, 48, 8), *(n for n in range(3, 48, 8) if n not in (11, 27, 43))):
        x, y, z = centres[index - 1]
        centres[index] = (x, y + 0.02, z)
    split = split_scene(scene(centres), 8)
    assert split.left_out == list(range(1, 48, 8))
    assert len(split.steering) == 3
    pairs = {n for n in range(3, 48, 8) if n not in (11, 27, 43)}
    assert not set(split.steering) & (pairs | {n - 1 for n in pairs} | set(split.left_out))


def test_where_all_photos_have_a_copy_some_of_them_still_steer() -> None:
    centres = [(float(n // 2), 0.02 * (n % 2), 0.0) for n in range(64)]
    split = split_scene(scene(centres), 8)
    assert len(split.steering) == 4 and not set(split.steering) & set(split.left_out)


def test_the_record_tells_the_split_and_only_of_the_same_photos() -> None:
    made = ring(97)
    split = split_scene(made, 8)
    record = from_json(SplitRecord, json.loads(json.dumps(to_json(split.record(made.names)))))
    assert recorded(record, made.names, "a.zip") == split
    for others in (made.names[:-1], (*made.names[:-1], "other.jpg")):
        with pytest.raises(UserError, match="trained on other photos than those of a.zip"):
            recorded(record, others, "a.zip")
    assert split.named(made.names).judged[:2] == ("000.jpg", "008.jpg")


def test_a_splat_from_before_had_one_set() -> None:
    split = split_in_two(ring(97), 8)
    assert split.one_set and split.judged == split_scene(ring(97), 8).judged


def test_nothing_left_to_train_on_is_refused() -> None:
    with pytest.raises(UserError, match="no photo to train on"):
        split_scene(scene([(0, 0, 0), (0.01, 0, 0)]), 8)


def test_views_of_a_panorama_stay_together() -> None:
    """Fourteen panoramas of six views and three photos: whole panoramas judge."""
    names = [f"p{n:02d}__view_{face}.jpg" for n in range(14) for face in "abcdef"]
    made = ring(87, names=(*names, "x1.jpg", "x2.jpg", "x3.jpg"))
    split = split_scene(made, 8)
    judged = {made.names[index].split("__")[0] for index in split.judged}
    assert judged == {"p00", "p08", "x3.jpg"} and len(split.judged) == 13
    for frame in (range(first, first + 6) for first in range(0, 84, 6)):
        for part in (split.trained, split.judged, split.left_out):
            assert len(set(part) & set(frame)) in (0, 6)
    assert split_scene(made, 8, ["p03__view_c.jpg"]).judged == list(range(18, 24))
