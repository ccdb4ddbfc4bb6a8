"""Lenses under a prior: errors lie inside what is stated, and what photos do not tell stays usual."""

from __future__ import annotations

import numpy as np
import pycolmap

from scripts.lib.sfm.adjust import free_adjustment
from scripts.lib.sfm.covariance import certainty
from scripts.lib.sfm.lens_prior import RICHEST, with_usual_lenses
from scripts.lib.sfm.lenses import free_parameters, parameters, set_lens
from tests.unit.sfm_scene import SIZE, Pose, facing, looking, room_points, true_model

WITHIN = 1.96  # standard deviations: 95 % of a normal distribution
CENTRE = ("cx", "cy")


def lens(seed: int, tangential: float) -> pycolmap.Camera:
    """A lens as they are: off the centre, tangential terms of this size, two radial ones."""
    random = np.random.default_rng(seed)
    made = pycolmap.Camera.create_from_model_name(1, RICHEST, 820.0, *SIZE)
    middle = np.array(SIZE) / 2 + random.uniform(-10, 10, 2)
    around = random.uniform(0, 2 * np.pi)
    p1, p2 = tangential * np.cos(around), tangential * np.sin(around)
    made.params = [820.0, 820.0, *middle, -0.06, 0.015, p1, p2]
    return made


def level(count: int = 10) -> list[Pose]:
    """Photos around a room, all the same way up: principal point and tangential terms look much alike."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return [
        looking([2.2 * np.cos(a), 2.2 * np.sin(a), 0.5 * (i % 3 - 1)], [0, 0, 0])
        for i, a in enumerate(angles)
    ]


def missed(model: pycolmap.Reconstruction, true: pycolmap.Camera, usual: bool) -> np.ndarray:
    """How far the principal point is off, in stated standard deviations (2,)."""
    camera = model.cameras[1]
    found = certainty(model, {1: free_parameters(camera, True)}, None, {1} if usual else ())
    assert found is not None
    known, truth = parameters(camera), parameters(true)
    sigma = dict(zip(known, found.lenses[1], strict=True))
    return np.array([(known[name] - truth[name]) / sigma[name] for name in CENTRE])


def test_errors_lie_inside_what_is_stated_of_all_terms() -> None:
    """Where tangential terms are held at 0 the principal point takes them in, and nothing is said of it."""
    held, free = [], []
    for seed in range(5):
        true = lens(seed, 0.0008)
        model = true_model(level(), room_points(500, seed), 0.3, lens=true, seed=seed)
        assert free_adjustment(model, True, frozenset())
        held.append(missed(model, true, usual=False))
        set_lens(model.cameras[1], RICHEST)
        adjust = with_usual_lenses(free_adjustment, [1], None)
        assert adjust(model, False, frozenset())
        free.append(missed(model, true, usual=True))
    assert np.mean(np.abs(free) < WITHIN) >= 0.9
    assert np.mean(np.abs(held) < WITHIN) < 0.6


def test_what_photos_do_not_tell_stays_usual() -> None:
    """Of a flat block straight down nothing tells the principal point, or the pixels' aspect, from a shift
    or a stretch of all."""
    ground = np.random.default_rng(0).uniform([-60, -60, 0], [60, 60, 0.3], (500, 3))
    poses = [
        (np.array([-40 + 16.0 * i, -30 + 20.0 * j, 60.0]), facing(0.0, -90.0))
        for i in range(4)
        for j in range(4)
    ]
    true = lens(0, 0.0005)
    model = true_model(poses, ground, 0.3, lens=true)
    set_lens(model.cameras[1], RICHEST)
    assert with_usual_lenses(free_adjustment, [1], None)(model, False, frozenset())
    found = parameters(model.cameras[1])
    stated = certainty(model, {1: free_parameters(model.cameras[1], True)}, None, {1})
    assert stated is not None
    sigma = dict(zip(found, stated.lenses[1], strict=True))
    for name, half in zip(CENTRE, np.array(SIZE) / 2, strict=True):
        assert abs(found[name] - half) < 15  # one standard deviation of a lens
        assert abs(found[name] - parameters(true)[name]) < WITHIN * sigma[name]
        assert 5 < sigma[name] < 16
    assert abs(found["fx"] - found["fy"]) < 0.003 * found["fx"]


def test_lenses_that_are_kept_or_of_another_camera_do_not_change() -> None:
    model = true_model(level(), room_points(300), lens=lens(1, 0.0005))
    set_lens(model.cameras[1], RICHEST)
    before = model.cameras[1].params.tolist()
    adjust = with_usual_lenses(free_adjustment, [1], None)
    assert adjust(model, False, frozenset({1}))
    assert model.cameras[1].params.tolist() == before
    other = with_usual_lenses(free_adjustment, [7], None)
    assert other(model, False, frozenset())
    found = parameters(model.cameras[1])
    assert (found["cx"], found["cy"]) == (SIZE[0] / 2, SIZE[1] / 2)


def test_an_adjustment_without_a_solution_is_told() -> None:
    model = true_model(level(), room_points(300), lens=lens(1, 0.0005))
    set_lens(model.cameras[1], RICHEST)
    assert not with_usual_lenses(lambda *_: False, [1], None)(model, False, frozenset())
    for number in sorted(model.point3D_ids())[3:]:
        model.delete_point3D(number)
    assert not with_usual_lenses(lambda *_: True, [1], None)(model, False, frozenset())
