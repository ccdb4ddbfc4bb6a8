"""Depth along rays, against the rasteriser's and where it is known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from scripts.lib.render.along_rays import depths_along
from scripts.lib.render.renderer import Renderer
from scripts.lib.splat.gaussians import Gaussians
from tests.unit.splat_scene import HEIGHT, WIDTH, make_gaussians, make_views

K = np.array([[60.0, 0, WIDTH / 2], [0, 60.0, HEIGHT / 2], [0, 0, 1]])
SIZE = np.array([WIDTH, HEIGHT])


@pytest.mark.parametrize("antialiased", [False, True])
def test_mean_depth_and_alpha_are_those_of_the_rasteriser(antialiased: bool) -> None:
    gaussians = dataclasses.replace(make_gaussians(400), antialiased=antialiased)
    some = np.random.default_rng(1).integers(0, SIZE, (300, 2))
    # Inside the cloud, too: behind the camera and at its sides is something.
    for pose, nearer in (
        (make_views(3)[1].world_to_camera, 0.0),
        (make_views(3)[2].world_to_camera, 1.5),
    ):
        moved = pose.copy()
        moved[2, 3] -= nearer
        found = depths_along(gaussians, moved, K, SIZE, some + 0.5)
        depth, alpha = (layer.numpy() for layer in Renderer(gaussians).depth(moved, K, SIZE))
        x, y = some.T
        assert found.alpha == pytest.approx(alpha[y, x], abs=2e-3)
        solid = found.alpha > 0.1
        assert solid.sum() > 50
        assert found.mean[solid] == pytest.approx(depth[y, x][solid], rel=3e-3)


def sheets(depths: list[float], opacities: list[float]) -> Gaussians:
    """Wide discs across the axis of a camera at the origin."""
    count = len(depths)
    return Gaussians(
        means=np.array([[0, 0, depth] for depth in depths], np.float32),
        quats=np.tile(np.float32([1, 0, 0, 0]), (count, 1)),
        scales=np.log(np.tile([9.0, 9.0, 0.01], (count, 1))).astype(np.float32),
        opacities=np.array([math.log(o / (1 - o)) for o in opacities], np.float32),
        sh0=np.zeros((count, 3), np.float32),
        shN=np.zeros((count, 0, 3), np.float32),
    )


@pytest.mark.parametrize(
    ("opacities", "median"), [([0.3, 0.9], 4.0), ([0.6, 0.9], 2.0), ([0.2, 0.5], 4.0)]
)
def test_the_median_lies_on_a_surface_and_the_mean_between(
    opacities: list[float], median: float
) -> None:
    axis = np.array([[WIDTH / 2, HEIGHT / 2]])
    veiled = sheets([4.0, 2.0], opacities[::-1])  # not in the order of their depth
    found = depths_along(veiled, np.eye(4), K, SIZE, axis)
    first, second = opacities[0], opacities[1] * (1 - opacities[0])
    assert found.alpha[0] == pytest.approx(first + second, rel=1e-4)
    assert found.mean[0] == pytest.approx((2 * first + 4 * second) / (first + second), rel=1e-4)
    assert found.median[0] == median


def test_where_nothing_is_there_is_no_depth() -> None:
    behind = sheets([-3.0], [0.9])
    found = depths_along(behind, np.eye(4), K, SIZE, np.array([[3.5, 3.5], [9.5, 4.5]]))
    assert not found.alpha.any() and not found.median.any() and not found.mean.any()
    assert len(depths_along(behind, np.eye(4), K, SIZE, np.zeros((0, 2))).mean) == 0
