"""Points eliminated one by one, against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.lib.sfm.schur import eliminated

PHOTOS, POINTS, POSE, LENS = 6, 40, 6, 3


def sightings(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Random rows of a made-up problem: photos 0 to 3 share one lens, the others have one each, shorter
    by a number; a photo may see a point twice."""
    random = np.random.default_rng(seed)
    count = 5 * POINTS
    photo, point = random.integers(0, PHOTOS, count), random.integers(0, POINTS, count)
    jacobian = random.normal(size=(count, 2, POSE + LENS)) * 10.0 ** random.integers(
        -3, 4, POSE + LENS
    )
    whitened = 0.3 * random.normal(size=(count, 2, 3))
    columns = np.full((count, POSE + LENS), -1)
    columns[:, :POSE] = POSE * photo[:, None] + np.arange(POSE)
    camera = np.maximum(photo - 3, 0)
    columns[:, POSE:] = POSE * PHOTOS + LENS * camera[:, None] + np.arange(LENS)
    short = camera > 0
    columns[short, -1] = -1
    jacobian[short, :, -1] = 0.0
    return jacobian, columns, whitened, point, POSE * PHOTOS + 3 * LENS


def dense(
    jacobian: np.ndarray, columns: np.ndarray, whitened: np.ndarray, point: np.ndarray, size: int
) -> np.ndarray:
    J = np.zeros((2 * len(point), size))
    W = np.zeros((2 * len(point), 3 * POINTS))
    for k in range(len(point)):
        for row in range(2):
            for value, column in zip(jacobian[k, row], columns[k], strict=True):
                if column >= 0:
                    J[2 * k + row, column] += value
            W[2 * k + row, 3 * point[k] : 3 * point[k] + 3] = whitened[k, row]
    cross = J.T @ W
    return np.asarray(J.T @ J - cross @ cross.T)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_dense_matrices_give(seed: int) -> None:
    given = sightings(seed)
    found, wanted = eliminated(*given), dense(*given)
    # Against what the sums are made of, before points take away from it: that is where digits go.
    jacobian, columns = given[:2]
    squares = np.zeros(len(wanted))
    np.add.at(squares, columns[columns >= 0], (jacobian**2).sum(axis=1)[columns >= 0])
    scale = np.sqrt(np.outer(squares, squares))
    used = squares > 0
    assert (np.abs(found - wanted)[np.ix_(used, used)] < 1e-12 * scale[np.ix_(used, used)]).all()
    assert not found[~used].any()
    assert np.array_equal(found, found.T)


def test_no_sightings_tell_nothing() -> None:
    none = np.zeros((0, 2, 9)), np.zeros((0, 9), np.int64), np.zeros((0, 2, 3))
    assert not eliminated(*none, np.zeros(0, np.int64), 4).any()
