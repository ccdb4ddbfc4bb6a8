"""Turned Gaussians look from a turned camera as they did before: means, shapes, and colours by direction."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from scripts.lib.core.geo import Sim3
from scripts.lib.render.rasterise.reference import sh_basis
from scripts.lib.render.renderer import Renderer
from scripts.lib.splat.rotation import Y_DOWN, Y_UP, carried, harmonics, harmonics_rotation, rotated
from tests.unit.splat_scene import make_gaussians, make_views

SOME = Rotation.from_euler("xyz", [0.4, -1.1, 2.3]).as_matrix()


def test_the_harmonics_are_those_of_the_renderer() -> None:
    directions = np.random.default_rng(1).standard_normal((40, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    wanted = sh_basis(torch.tensor(directions), 16)[:, 1:].numpy()
    np.testing.assert_allclose(harmonics(directions), wanted, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.sampled_from([1, 2, 3]))
def test_harmonics_turn_exactly_and_by_an_orthogonal_matrix(turn: list[float], degree: int) -> None:
    rotation = Rotation.from_rotvec(turn).as_matrix()
    matrix = harmonics_rotation(rotation, degree)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(len(matrix)), atol=1e-10)
    rng = np.random.default_rng(5)
    directions = rng.standard_normal((30, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    values = rng.standard_normal(len(matrix))
    before = harmonics(directions @ rotation)[:, : len(matrix)] @ values
    after = harmonics(directions)[:, : len(matrix)] @ (matrix @ values)
    np.testing.assert_allclose(after, before, atol=1e-10)


@pytest.mark.parametrize("rotation", [SOME, Y_UP, Y_DOWN], ids=["any", "y_up", "y_down"])
def test_a_turned_world_looks_the_same_from_a_turned_camera(rotation: np.ndarray) -> None:
    made = make_gaussians(80, bands=15)
    view = make_views(3)[1]
    size = np.array([view.width, view.height])
    before = Renderer(made, "cpu").picture(view.world_to_camera, view.K, size)
    pose = view.world_to_camera.copy()
    pose[:3, :3] = pose[:3, :3] @ rotation.T
    after = Renderer(rotated(made, rotation), "cpu").picture(pose, view.K, size)
    assert np.abs(after - before).max() < 2e-3
    # The test would see harmonics that were left as they were.
    wrong = Renderer(made, "cpu").picture(pose, view.K, size)
    assert np.abs(wrong - before).max() > 0.05


def test_a_similarity_scales_distances_and_sizes_alike() -> None:
    made = make_gaussians(20)
    found = carried(made, Sim3(3.0, SOME, np.array([1.0, 2.0, 3.0])))
    np.testing.assert_allclose(found.scales - made.scales, np.log(3.0), atol=1e-6)
    np.testing.assert_allclose(found.means, 3 * made.means @ SOME.T + [1, 2, 3], atol=1e-5)


def test_named_axes_are_proper_and_put_up_where_they_say() -> None:
    for rotation, up in ((Y_UP, [0, 1, 0]), (Y_DOWN, [0, -1, 0])):
        assert np.linalg.det(rotation) == pytest.approx(1)
        np.testing.assert_allclose(rotation @ [0, 0, 1], up)
        np.testing.assert_allclose(rotation @ [1, 0, 0], [1, 0, 0])
