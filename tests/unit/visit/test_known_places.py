"""Places that many points make trustworthy."""

from __future__ import annotations

import numpy as np

from scripts.lib.visit.known_places import known_places


def test_every_known_place_lies_among_points_and_single_points_make_none() -> None:
    rng = np.random.default_rng(0)
    wall = np.c_[rng.uniform(0, 4, (20_000, 2)), np.full(20_000, 7.0)]
    alone = rng.uniform((-90, -90, 20), (90, 90, 50), (60, 3))
    found = known_places(np.r_[wall, alone], 1000)
    assert 300 < len(found) <= 1000
    assert np.allclose(found[:, 2], 7.0), "a single point makes no place"
    away = np.linalg.norm(wall[:, None, :2] - found[None, :, :2], axis=2).min(axis=1)
    assert away.max() < 0.4, "the whole wall is known"


def test_few_points_know_nothing() -> None:
    assert known_places(np.zeros((0, 3))).shape == (0, 3)
    assert known_places(np.ones((5, 3))).shape == (0, 3)
    assert len(known_places(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]))) == 0
