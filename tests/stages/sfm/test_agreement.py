"""Which surveyed points agree: none is left out for errors that chance makes, and a wrong one is found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scripts.lib.sfm.agreement import agreeing, contradictions

EXTENT = np.array([20.0, 20.0, 5.0])  # metres either way


def survey(
    random: np.random.Generator, count: int, error: float, up: float = 1.0, unknown: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Points in a model's own frame and scale, and surveyed with errors of `error` metres, `up` times as
    large in height; of the first points no height is known."""
    places = random.uniform(-1, 1, (count, 3)) * EXTENT
    model = 0.37 * Rotation.random(rng=random).apply(places) + [1.0, 2.0, 3.0]
    surveyed = places + random.normal(0, error, (count, 3)) * [1, 1, up]
    surveyed[:unknown, 2] = np.nan
    return model, surveyed


@pytest.mark.parametrize(
    ("count", "up", "unknown", "draws"),
    [(5, 1, 0, 300), (6, 1, 0, 200), (10, 1, 0, 200), (6, 2, 0, 100), (6, 1, 1, 100)],
)
def test_errors_leave_no_point_out(count: int, up: float, unknown: int, draws: int) -> None:
    """Large ones: a small miss contradicts nothing anyhow."""
    random = np.random.default_rng(1)
    surveys = [survey(random, count, 0.5, up, unknown) for _ in range(draws)]
    assert sum(not agreeing(*one).all() for one in surveys) <= draws // 100


@pytest.mark.parametrize(("count", "unknown"), [(5, 0), (6, 1), (10, 0)])
def test_a_point_wrong_by_a_metre_is_found(count: int, unknown: int) -> None:
    random, found, draws = np.random.default_rng(2), 0, 60
    for _ in range(draws):
        model, surveyed = survey(random, count, 0.01, unknown=unknown)
        turn, wrong = random.uniform(0, 2 * np.pi), random.integers(count)
        surveyed[wrong, :2] += [np.cos(turn), np.sin(turn)]
        found += np.array_equal(np.flatnonzero(~agreeing(model, surveyed)), [wrong])
    assert found >= 0.97 * draws


def test_three_wrong_points_of_ten_are_found() -> None:
    random = np.random.default_rng(3)
    model, surveyed = survey(random, 10, 0.01)
    surveyed[[1, 4, 8]] += random.normal(0, 2, (3, 3))
    assert np.flatnonzero(~agreeing(model, surveyed)).tolist() == [1, 4, 8]


def test_a_miss_counts_less_where_the_fit_is_less_certain() -> None:
    """The same error of a point amid the others, and of one far out."""
    random = np.random.default_rng(4)
    near = random.uniform(-1, 1, (6, 3)) * EXTENT
    places = np.concatenate([near, [near.mean(axis=0), [90.0, 90.0, 0.0]]])
    surveyed = places.copy()
    surveyed[:6] += random.normal(0, 0.1, (6, 3))
    good = np.arange(8) < 6
    expected = contradictions(places, surveyed, good)
    surveyed[6:] += [0.0, 0.0, 3.0]
    amid, far = contradictions(places, surveyed, good)[6:]
    assert expected[6:].max() < 0.3 and amid > 1 > far and np.isinf(expected[:6]).all()


def test_four_points_in_a_row_cannot_judge_the_turn_about_it() -> None:
    row = np.array([[-20.0, 0, 0], [-5, 0, 0], [8, 0, 0], [20, 0, 0], [0, 10, 0]])
    surveyed = row + np.random.default_rng(5).normal(0, 0.001, row.shape)
    surveyed[4] = [0, 6, 8]  # as far from the row
    assert agreeing(row, surveyed).all()
    surveyed[4] = [3, 10, 0]
    assert np.flatnonzero(~agreeing(row, surveyed)).tolist() == [4]
