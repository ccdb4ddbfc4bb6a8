"""Stated certainty against known truth: 95 % of the errors lie inside what is said of them."""

from __future__ import annotations

import numpy as np
import pycolmap
import pytest

from scripts.lib.core.geo import fit_sim3
from scripts.lib.sfm.adjust import Prior, free_adjustment, position_adjustment
from scripts.lib.sfm.covariance import Certainty, certainty
from scripts.lib.sfm.lenses import free_parameters
from tests.unit.sfm_scene import centres, looking, room_points, true_model

WITHIN = 1.96  # standard deviations: 95 % of a normal distribution


def ring(count: int = 14) -> list[tuple[np.ndarray, np.ndarray]]:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return [
        looking([2.2 * np.cos(a), 2.2 * np.sin(a), 0.4 * (i % 3 - 1)], [0, 0, 0])
        for i, a in enumerate(angles)
    ]


POSES = ring()
TRUTH = {f"v{number:03d}.jpg": centre for number, (centre, _) in enumerate(POSES, 1)}


def certainty_of(model: pycolmap.Reconstruction, priors: dict[str, Prior] | None) -> Certainty:
    free = {number: free_parameters(camera, False) for number, camera in model.cameras.items()}
    found = certainty(model, free, priors)
    assert found is not None
    return found


def test_errors_of_a_free_model_lie_inside_what_is_stated() -> None:
    inside, focal = [], []
    for seed in range(10):
        model = true_model(POSES, room_points(400, seed), 0.5, seed=seed)
        assert free_adjustment(model, False, frozenset())
        found, names = centres(model), sorted(TRUTH)
        # In the frame that the certainty is stated in, the true cameras are the found ones' nearest.
        true = np.array([TRUTH[name] for name in names])
        moved = fit_sim3(true, np.array([found[name] for name in names])).apply(true)
        stated = certainty_of(model, None)
        for name, place in zip(names, moved, strict=True):
            inside.append(
                np.abs(found[name] - place) < WITHIN * np.sqrt(np.diag(stated.centres[name]))
            )
        focal.append(abs(model.cameras[1].params[0] - 800.0) / stated.lenses[1][0])
        assert stated.unit_deviation == pytest.approx(0.5, rel=0.1)
    assert np.mean(inside) > 0.9
    assert np.mean(np.array(focal) < WITHIN) >= 0.8  # ten of them only


def test_errors_of_a_model_held_by_positions_lie_inside_what_is_stated() -> None:
    inside, whole = [], []
    for seed in range(10):
        random = np.random.default_rng(seed)
        model = true_model(POSES, room_points(400, seed), 0.5, seed=seed)
        priors = {
            name: Prior(place + random.normal(0, [0.1, 0.1, 0.2]), 0.1, 0.2)
            for name, place in TRUTH.items()
        }
        assert position_adjustment(priors, seed)(model, False, frozenset())
        found, stated = centres(model), certainty_of(model, priors)
        names = sorted(TRUTH)
        for name in names:
            inside.append(
                np.abs(found[name] - TRUTH[name]) < WITHIN * np.sqrt(np.diag(stated.centres[name]))
            )
        scale = fit_sim3(
            np.array([TRUTH[name] for name in names]), np.array([found[name] for name in names])
        ).scale
        whole.append(abs(np.log(scale)) / np.sqrt(stated.motion[6, 6]))
    assert np.mean(inside) > 0.9
    assert np.mean(np.array(whole) < WITHIN) >= 0.8


def test_a_model_that_its_points_do_not_hold_has_no_certainty() -> None:
    model = true_model(POSES[:2], room_points(400), 0.5)
    for number in sorted(model.point3D_ids())[3:]:
        model.delete_point3D(number)
    assert certainty(model, {1: free_parameters(model.cameras[1], False)}) is None
