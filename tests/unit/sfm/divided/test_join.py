"""Models of parts put into one frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pycolmap
import pytest

from scripts.lib.core.geo import Sim3
from scripts.lib.sfm.divided import told_apart
from scripts.lib.sfm.divided.join import Edge, Group, joined_groups, together
from scripts.lib.sfm.divided.merged import mean_lenses, moved, placed_photos
from scripts.lib.sfm.divided.parts import Part
from scripts.lib.sfm.divided.submaps import Submap
from tests.unit.sfm_scene import facing

REACH = 20.0


def turned(angle: float, axis: int) -> np.ndarray:
    vector = np.zeros(3)
    vector[axis] = np.radians(angle)
    return np.asarray(pycolmap.Rotation3d(vector).matrix())


FRAMES = [  # of each part, from the world
    Sim3(1.0, np.eye(3), np.zeros(3)),
    Sim3(0.5, turned(40, 2), np.array([3.0, -1, 2])),
    Sim3(2.0, turned(-70, 0), np.array([-10.0, 4, 0])),
    Sim3(1.3, turned(120, 1), np.array([0.0, 0, 9])),
]


def ring(noise: float = 0.02, seed: int = 0) -> list[Submap]:
    """Four parts of a place in a ring, each with points in common with the next, in frames of their own."""
    random = np.random.default_rng(seed)
    corners = np.array([[0, 0, 0], [40, 0, 0], [40, 40, 0], [0, 40, 0]], float)
    points = random.uniform([-30, -30, 0], [70, 70, 8], (1200, 3))
    submaps = []
    for part, (corner, sim3) in enumerate(zip(corners, FRAMES, strict=True)):
        near = np.flatnonzero(np.linalg.norm((points - corner)[:, :2], axis=1) < 32)
        seen = sim3.apply(points[near] + random.normal(0, noise, (len(near), 3)))
        poses = {}
        for number, place in ((2 * part, [-3, 0, 12]), (2 * part + 1, [3, 1, 12])):
            turn = facing(30.0 * number, -60)
            world = pycolmap.Rigid3d(pycolmap.Rotation3d(turn), -turn @ (corner + place))
            poses[number] = moved(world, sim3)
        camera = {1: (np.array([800.0 + 10 * part, 0.01]), 2)}
        submaps.append(Submap(part, poses, camera, near, seen, sim3.scale * REACH))
    return submaps


def test_parts_of_a_ring_come_back_into_one_frame() -> None:
    submaps = ring()
    groups, apart = joined_groups(submaps)
    assert not apart and [group.members for group in groups] == [(0, 1, 2, 3)]
    for found, given in zip(groups[0].sim3, FRAMES, strict=True):
        wanted = given.inverse()
        assert found.scale == pytest.approx(wanted.scale, rel=2e-3)
        corners = 50 * np.eye(3)
        assert np.abs(found.apply(given.apply(corners)) - corners).max() < 0.1


def test_an_error_does_not_add_up_round_a_ring() -> None:
    """Where the round closes, parts miss each other; all of them share the gap."""
    random = np.random.default_rng(1)
    points = random.uniform(-10, 10, (50, 3))
    none = Sim3(1.0, np.eye(3), np.zeros(3))
    edges = [
        Edge(n, (n + 1) % 8, none, points, points + [0.004 * REACH if n == 7 else 0.0, 0, 0])
        for n in range(8)
    ]
    found = together(dict.fromkeys(range(8), none), edges, 0, dict.fromkeys(range(8), REACH))
    shifts = np.array([found[n].translation[0] for n in range(8)])
    assert np.abs(np.diff(shifts)).max() < 0.3 * 0.004 * REACH
    assert 0.3 < np.ptp(shifts) / (0.004 * REACH) < 1.0


def test_parts_whose_common_points_contradict_each_other_are_told() -> None:
    submaps = ring()
    mixed = np.random.default_rng(0).permutation(len(submaps[3].xyz))
    submaps[3] = replace(submaps[3], xyz=submaps[3].xyz[mixed])
    groups, apart = joined_groups(submaps)
    assert [group.members for group in groups] == [(0, 1, 2), (3,)]
    assert {(one.first, one.second) for one in apart} >= {(0, 3), (2, 3)}
    parts = [Part((2 * n, 2 * n + 1)) for n in range(4)]
    names = {number: f"{number}.jpg" for number in range(8)}
    (told,) = told_apart(apart, groups, submaps, parts, names)
    assert told.second == ("6.jpg", "7.jpg") and {"0.jpg", "5.jpg"} <= set(told.first)
    assert told.common == sum(one.common for one in apart)


def test_photos_that_stand_elsewhere_forbid_a_join() -> None:
    """Common points fit, as of two places with the same facade, but a photo of both parts does not."""
    submaps = ring()[:2]
    away = pycolmap.Rigid3d(pycolmap.Rotation3d(turned(60, 1)), np.array([30.0, 0, 0]))
    second = {**submaps[1].poses, 0: away * submaps[0].poses[0]}
    groups, apart = joined_groups([submaps[0], replace(submaps[1], poses=second)])
    assert len(groups) == 2 and len(apart) == 1


def test_points_in_a_line_join_nothing() -> None:
    submaps = ring()[:2]
    line = np.linspace(0, 1, 40)[:, None] * [10.0, 0, 0]
    flat = [
        replace(one, tracks=np.arange(40), xyz=sim3.apply(line))
        for one, sim3 in zip(submaps, FRAMES, strict=False)
    ]
    groups, apart = joined_groups(flat)
    assert len(groups) == 2 and not apart


def test_a_photo_stands_where_its_own_part_says() -> None:
    submaps = ring()
    wrong = moved(submaps[0].poses[0], Sim3(1.0, np.eye(3), np.array([0.3, 0, 0])))
    submaps[1] = replace(submaps[1], poses={**submaps[1].poses, 0: wrong})
    group = Group((0, 1), tuple(frame.inverse() for frame in FRAMES[:2]))
    parts = [Part((0, 1)), Part((2, 3), (0,))]
    placed = placed_photos(submaps, group, parts)
    assert sorted(placed) == [0, 1, 2, 3]
    centre = placed[0].inverse().translation
    assert np.abs(centre - [-3, 0, 12]).max() < 1e-9
    assert np.abs(placed[2].inverse().translation - [37, 0, 12]).max() < 1e-9
    assert np.abs(placed[3].rotation.matrix() - facing(90, -60)).max() < 1e-9


def test_a_lens_is_the_mean_of_its_parts() -> None:
    submaps = ring()[:2]
    submaps[1] = replace(submaps[1], cameras={1: (np.array([830.0, 0.04]), 4)})
    assert mean_lenses(submaps)[1] == pytest.approx([820.0, 0.03])
