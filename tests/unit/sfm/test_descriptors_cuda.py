"""A GPU finds the same matches as the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.lib.core import card_lock
from scripts.lib.sfm.descriptors import CudaComparer, Limits, NumpyComparer, comparer
from scripts.lib.sfm.gpu import Work, comparing
from tests.unit.descriptor_set import described, seen_again

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


@pytest.mark.parametrize("count", [1, 7, 300, 5000])
def test_matches_are_those_of_the_cpu(count: int) -> None:
    one = described(count, 1)
    other = seen_again(one, 2)
    one[: count // 50] = one[-1]
    other[-(count // 70) :] = other[0]
    cpu, cuda = NumpyComparer(), CudaComparer()
    for limits in (Limits(), Limits(ratio=0.95, angle=1.2)):
        expected = cpu.match(cpu.pack(one), cpu.pack(other), limits)
        found = cuda.match(cuda.pack(one), cuda.pack(other), limits)
        assert np.array_equal(found, expected)
    assert count < 300 or len(expected) > count // 4


def test_none_and_the_largest_numbers() -> None:
    cuda, none = CudaComparer(), np.zeros((0, 128), np.uint8)
    full = np.full((20, 128), 255, np.uint8)
    assert cuda.match(cuda.pack(none), cuda.pack(full), Limits()).shape == (0, 2)
    assert cuda.match(cuda.pack(full), cuda.pack(full), Limits()).shape == (0, 2)
    assert not torch.backends.cuda.matmul.allow_tf32


def test_a_free_gpu_is_taken_for_many_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card_lock, "FOLDER", tmp_path)
    with comparing(Work(4000, 4000 * 8192.0**2), 2) as where:
        assert where == "cuda" and isinstance(comparer(where), CudaComparer)
    with comparing(Work(40, 40 * 8192.0**2), 2) as where:
        assert where == "cpu"
