"""Descriptors are compared exactly, in every way that this machine has, and as COLMAP does it."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray

from scripts.lib.sfm.descriptors import (
    Comparer,
    KernelComparer,
    Limits,
    NumpyComparer,
    comparer,
)
from scripts.lib.sfm.dot_kernel import (
    AVX2,
    AVX512,
    Kernel,
    compile_kernel,
    host_kernel,
    usable_shape,
)
from scripts.lib.sfm.features import extract_features
from scripts.lib.sfm.options import FeatureOptions
from tests.photo_lines import line
from tests.unit.descriptor_set import Bytes, described, seen_again
from tests.unit.room import FOCAL, SIZE, arc, write_room


@cache
def kernels() -> list[Kernel]:
    """The kernels that this processor can run."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    shapes = [AVX512] * bool(features.get("avx512vnni")) + [AVX2] * bool(features.get("avxvnni"))
    return [compile_kernel(shape) for shape in shapes]


def ways() -> list[Comparer]:
    return [NumpyComparer(), *(KernelComparer(kernel) for kernel in kernels())]


def brute_force(one: Bytes, other: Bytes, limits: Limits) -> list[tuple[int, int]]:
    """The definition, in float64 and without haste."""
    if not len(one) or not len(other):
        return []
    angles = np.arccos(np.minimum(one.astype(float) @ other.T.astype(float) / 512**2, 1))

    def nearest(rows: NDArray[np.float64]) -> list[int | None]:
        found: list[int | None] = []
        for row in rows:
            first, second = np.sort(np.append(row, np.pi / 2))[:2]
            near = first <= limits.angle and first < limits.ratio * second
            found.append(int(row.argmin()) if near else None)
        return found

    forth, back = nearest(angles), nearest(angles.T)
    return [(i, j) for i, j in enumerate(forth) if j is not None and back[j] == i]


@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 1), (1, 40), (13, 1), (12, 32), (37, 257), (301, 290), (700, 650)]
)
def test_matches_are_those_of_brute_force(rows: int, columns: int) -> None:
    one = described(rows, 1)
    other = np.concatenate([seen_again(one, 2), described(columns, 3)])[:columns]
    for limits in (Limits(), Limits(ratio=0.95, angle=1.2)):
        expected = brute_force(one, other, limits)
        for way in ways():
            found = way.match(way.pack(one), way.pack(other), limits)
            assert found.dtype == np.uint32 and found.shape == (len(expected), 2)
            assert [tuple(pair) for pair in found.tolist()] == expected
    assert rows < 300 or len(brute_force(one, other, Limits())) > 50


def test_duplicates_match_nothing_and_single_ones_do() -> None:
    one = described(60, 1)
    other = seen_again(one, 2)
    one[7] = one[9]  # two of the same in one photo
    other[4] = other[30]
    one[20], other[50] = 0, 0  # no descriptor at all
    expected = brute_force(one, other, Limits())
    assert len(expected) > 20 and not {7, 9, 20} & {i for i, _ in expected}
    for way in ways():
        found = way.match(way.pack(one), way.pack(other), Limits())
        assert [tuple(pair) for pair in found.tolist()] == expected
        same = way.match(way.pack(other), way.pack(other), Limits()).tolist()
        assert [i for i, _ in same] == [i for i in range(60) if i not in (4, 30, 50)]
        assert all(i == j for i, j in same)


def test_photos_without_features_have_no_matches() -> None:
    none, some = np.zeros((0, 128), np.uint8), described(5, 1)
    for way in ways():
        for one, other in ((none, some), (some, none), (none, none)):
            assert way.match(way.pack(one), way.pack(other), Limits()).shape == (0, 2)


def test_the_largest_products_are_exact_for_any_numbers() -> None:
    random = np.random.default_rng(0)
    one = random.integers(0, 256, (29, 128)).astype(np.uint8)
    other = random.integers(0, 256, (1003, 128)).astype(np.uint8)
    one[3] = other[8] = other[9] = 255
    products = one.astype(np.int64) @ other.T.astype(np.int64)
    for kernel in kernels():
        rows, columns = kernel.best(kernel.pack(one), kernel.pack(other))
        assert (rows[::-1] == np.sort(products, axis=1)[:, -2:].T).all()
        assert (columns[1::-1] == np.sort(products, axis=0)[-2:]).all()
        assert (columns[2] == products.argmax(axis=0)).all()


def test_the_kernel_is_chosen_by_the_processor() -> None:
    assert usable_shape({"avx512vnni": True, "avxvnni": True}) == AVX512
    assert usable_shape({"avxvnni": True, "avx512vnni": False}) == AVX2
    assert usable_shape({"avx2": True}) is None
    assert isinstance(comparer("cpu"), KernelComparer if host_kernel() else NumpyComparer)


def test_real_photos_match_as_by_colmap(tmp_path: Path) -> None:
    names = write_room(tmp_path, arc(3, 30.0))
    photos = [line(n, width=SIZE[0], height=SIZE[1], focal_px=FOCAL) for n in names]
    options = FeatureOptions(first_octave=0, max_features=800)
    extract_features(photos, tmp_path, tmp_path / "f.db", options, 2)
    matching, pairing = pycolmap.FeatureMatchingOptions(), pycolmap.ImportedPairingOptions()
    matching.sift.cpu_brute_force_matcher = True
    matching.skip_geometric_verification = True
    (tmp_path / "pairs.txt").write_text("".join(f"{a} {b}\n" for a, b in pairwise(names)))
    pairing.match_list_path = tmp_path / "pairs.txt"
    pycolmap.match_image_pairs(
        tmp_path / "f.db",
        matching_options=matching,
        pairing_options=pairing,
        device=pycolmap.Device.cpu,
    )
    link = pycolmap.Database.open(tmp_path / "f.db")
    ids = {image.name: image.image_id for image in link.read_all_images()}
    for a, b in pairwise(names):
        theirs = np.asarray(link.read_matches(ids[a], ids[b]))
        one, other = (np.asarray(link.read_descriptors(ids[n]).data) for n in (a, b))
        for way in ways():
            ours = way.match(way.pack(one), way.pack(other), Limits())
            assert len(ours) > 50 and (ours == theirs[np.argsort(theirs[:, 0])]).all()
    link.close()
