"""The certainty of a model of many photos, by blocks, against that of the whole matrix."""

from __future__ import annotations

import numpy as np
import pycolmap
import pytest

from scripts.lib.sfm import adjust, lens_prior, many
from scripts.lib.sfm.adjust import Prior
from scripts.lib.sfm.covariance import Certainty, certainty, certainty_of_many
from scripts.lib.sfm.lenses import free_parameters
from scripts.lib.sfm.many import factored, many_normal_equations
from scripts.lib.sfm.normal import normal_equations
from tests.unit.sfm_scene import centres, facing, position_errors, true_model

POSES = [  # along a street, looking at its one side
    (
        np.array([1.2 * n, 0.2 * (n % 3), 1.6 + 0.3 * (n % 2)]),
        facing(90 + 10 * (n % 5 - 2), 3 * (n % 2)),
    )
    for n in range(30)
]
LENS = pycolmap.Camera(
    model="OPENCV", width=1024, height=768, params=[800, 802, 513, 383, 0.002, 0.001, 5e-4, -3e-4]
)


@pytest.fixture(scope="module")
def street() -> pycolmap.Reconstruction:
    random = np.random.default_rng(0)
    points = random.uniform([-3, 5, 0], [39, 9, 6], (900, 3))
    model = true_model(POSES, points, 0.4)
    model.cameras[1].model = LENS.model
    model.cameras[1].params = LENS.params
    return model


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "LEAST_BLOCK", 3)


def free_of(model: pycolmap.Reconstruction) -> dict[int, list[int]]:
    return {n: list(free_parameters(camera, True)) for n, camera in model.cameras.items()}


def priors_of(model: pycolmap.Reconstruction) -> dict[str, Prior]:
    random = np.random.default_rng(1)
    return {
        image.name: Prior(image.projection_center() + random.normal(0, 0.3, 3), 0.5, 0.8)
        for number, image in model.images.items()
        if number % 3
    }


def assert_same(found: Certainty | None, whole: Certainty | None) -> None:
    assert found is not None and whole is not None
    assert found.unit_deviation == pytest.approx(whole.unit_deviation)
    for number, deviations in whole.lenses.items():
        assert found.lenses[number] == pytest.approx(deviations, rel=1e-4)
    assert found.centres.keys() == whole.centres.keys()
    for name, covariance in whole.centres.items():
        size = np.sqrt(np.diag(covariance))
        scaled = (found.centres[name] - covariance) / np.outer(size, size)
        assert np.abs(scaled).max() < 1e-4, name
    size = np.sqrt(np.diag(whole.motion)) + 1e-30
    assert np.abs((found.motion - whole.motion) / np.outer(size, size)).max() < 1e-4


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("usual", [False, True])
def test_blocks_say_what_the_whole_matrix_says(
    street: pycolmap.Reconstruction, held: bool, usual: bool
) -> None:
    priors = priors_of(street) if held else None
    given = (street, free_of(street), priors, [1] if usual else [])
    assert_same(certainty_of_many(*given), certainty(*given))


def test_the_matrix_is_the_same_in_blocks(street: pycolmap.Reconstruction) -> None:
    found = many_normal_equations(street, free_of(street), True)
    whole = normal_equations(street, free_of(street), True)
    assert found is not None and whole is not None
    assert len(found.blocks.diagonal) == 3
    order = [[image.name for image in whole.images].index(image.name) for image in found.images]
    at = [
        *(6 * row + k for row in order for k in range(6)),
        *range(6 * len(order), len(whole.towards)),
    ]
    assert found.towards == pytest.approx(whole.towards[at], rel=1e-6, abs=1e-6)
    solved = factored(found.blocks.plus(np.ones(len(at))))
    assert solved is not None
    wanted = np.linalg.solve(whole.information + np.eye(len(at)), whole.towards)[at]
    assert solved.solve(found.towards[:, None])[:, 0] == pytest.approx(wanted, rel=1e-5, abs=1e-9)


def test_a_step_of_the_lens_is_the_same(
    street: pycolmap.Reconstruction, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, far = [], []
    for most in (1000, 5):
        monkeypatch.setattr(lens_prior, "DENSE_UP_TO", most)
        model = pycolmap.Reconstruction(street)
        far.append(lens_prior._step(model, [1], [], priors_of(street)))
        params.append(np.array(model.cameras[1].params))
    assert far[0] == pytest.approx(far[1], rel=1e-5) and far[0] > lens_prior.ARRIVED
    assert params[0] == pytest.approx(params[1], rel=1e-7)
    assert np.abs(params[0] - street.cameras[1].params).max() > 0


def test_too_many_photos_of_the_same_have_no_blocks(
    street: pycolmap.Reconstruction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "LARGEST_BLOCK", 3)
    assert certainty_of_many(street, free_of(street)) is None


def test_an_adjustment_of_many_photos_begins_undamped(
    street: pycolmap.Reconstruction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By factors of a sparse matrix, to the same solution; one of few photos is as Ceres begins it."""
    found = []
    for most in (1000, 5):
        monkeypatch.setattr(adjust, "DENSE_UP_TO", most)
        options = adjust.adjustment_options()
        usual = options.ceres.solver_options.initial_trust_region_radius
        adjust.solve_by_size(options, street)
        begun = options.ceres.solver_options.initial_trust_region_radius
        assert (begun > 1000 * usual) == (most == 5)
        model = pycolmap.Reconstruction(street)
        assert adjust.free_adjustment(model, False, frozenset())
        found.append(centres(model))
    assert options.ceres.max_num_images_direct_sparse_cpu_solver >= 5000
    assert 0 < position_errors(*found).max() < 3e-4
