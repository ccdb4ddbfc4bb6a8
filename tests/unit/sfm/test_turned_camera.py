"""The normal matrix of a camera that only turned, of few photos and of many."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from scripts.lib.sfm.turned_camera import _summed, _summed_sparsely


def test_the_matrix_is_the_same_without_its_zeros() -> None:
    random = np.random.default_rng(0)
    width = 40
    columns = np.array([random.choice(width, 5, replace=False) for _ in range(300)])
    half = random.normal(size=(300, 5, 2))
    products = half @ half.transpose(0, 2, 1)
    taken = sparse.csr_matrix(random.random((width, width)) * (random.random((width, width)) < 0.3))
    given = (columns, products, 0.01, random.random(width), taken)
    whole, found = _summed(*given).toarray(), _summed_sparsely(*given).toarray()
    assert np.abs(found - whole).max() < 1e-12 * np.abs(whole).max()
    assert np.abs(np.diag(whole)).min() > 1e-3
