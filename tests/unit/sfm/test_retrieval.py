"""Photos that look alike find each other by their coarsest features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from scripts.lib.sfm import retrieval
from scripts.lib.sfm.features import extract_features
from scripts.lib.sfm.options import FeatureOptions
from scripts.lib.sfm.pairs import choose_pairs
from scripts.lib.sfm.retrieval import count_votes, voted_pairs
from scripts.lib.sfm.shortlist import shortlist
from tests.photo_lines import line
from tests.unit.room import FOCAL, SIZE, arc, write_room
from tests.unit.sfm_scene import entry


def test_two_rooms_are_told_apart(tmp_path: Path) -> None:
    names = write_room(tmp_path, arc(5, 60.0), seed=0, prefix="a")
    names += write_room(tmp_path, arc(5, 60.0), seed=1, prefix="b")
    photos = [line(n, width=SIZE[0], height=SIZE[1], focal_px=FOCAL) for n in names]
    options = FeatureOptions(first_octave=0, max_features=1500)
    extract_features(photos, tmp_path, tmp_path / "f.db", options, 2)
    counted = count_votes(tmp_path / "f.db", names)
    votes = counted.toarray()
    assert (votes == votes.T).all() and np.diag(votes).sum() == 0
    inside = np.kron(np.eye(2), np.ones((5, 5))) > 0
    neighbours = np.abs(np.subtract.outer(np.arange(10), np.arange(10))) == 1
    assert votes[inside & neighbours].min() > 3 * max(votes[~inside].max(), 1)
    chosen = choose_pairs(
        [entry(n) for n in names],
        "retrieval",
        exhaustive_limit=2,
        neighbours=3,
        overlap=2,
        votes=lambda: counted,
    )
    assert {("a00.jpg", "a01.jpg"), ("b03.jpg", "b04.jpg")} <= set(chosen.pairs)
    assert sum(a[0] == b[0] for a, b in chosen.pairs) > 0.7 * len(chosen.pairs)


def test_a_large_unordered_set_goes_by_looks() -> None:
    photos = [entry(f"{(n * 7919) % 997}x{n % 7}.jpg") for n in range(40)]
    votes = np.zeros((40, 40), np.int32)
    for step in (1, 2):
        index = np.arange(40 - step)
        votes[index, index + step] = votes[index + step, index] = 30 // step
    chosen = choose_pairs(
        photos, "auto", exhaustive_limit=10, neighbours=4, overlap=3, votes=lambda: csr_array(votes)
    )
    assert chosen.strategy == "retrieval" and "look alike" in chosen.reason
    assert all((photos[n].file, photos[n + 1].file) in chosen.pairs for n in range(39))
    assert len(chosen.pairs) < 4 * 40


def test_a_wrong_gps_is_survived_by_looks() -> None:
    photos = [entry(f"{n}.jpg", latitude=50.0, longitude=14.0 + 0.001 * n) for n in range(30)]
    photos[3] = replace(photos[3], longitude=15.0)
    votes = np.zeros((30, 30), np.int32)
    votes[3, 4] = votes[4, 3] = 50
    chosen = choose_pairs(
        photos,
        "spatial",
        exhaustive_limit=2,
        neighbours=2,
        overlap=3,
        votes=lambda: csr_array(votes),
    )
    assert ("3.jpg", "4.jpg") in chosen.pairs and chosen.by["looks"] >= 1


@given(st.integers(2, 20), st.integers(1, 6), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_voted_pairs_hold_together_what_votes_hold_together(
    count: int, most: int, seed: int
) -> None:
    half = np.triu(np.random.default_rng(seed).integers(0, 12, (count, count)), 1)
    votes = (half + half.T).astype(np.int32)
    pairs = voted_pairs(csr_array(votes), most)
    assert all(0 <= a < b < count for a, b in pairs) and len(set(pairs)) == len(pairs)
    chosen = np.zeros((count, count))
    for a, b in pairs:
        chosen[a, b] = 1
    assert connected_components(chosen)[0] <= connected_components(votes)[0]


def test_pairs_of_the_best_votes_are_taken_those_of_the_first_photos_where_votes_are_equal() -> (
    None
):
    """Written out for every photo against the whole table."""
    half = np.triu(np.random.default_rng(5).integers(0, 8, (30, 30)), 1)
    votes = half + half.T
    chosen = set(voted_pairs(csr_array(votes), 4))
    for i in range(30):
        ranked = [j for j in np.argsort(-votes[i], kind="stable").tolist() if j != i][:4]
        best = [j for rank, j in enumerate(ranked) if rank < 3 or votes[i, j] >= 3]
        assert {(min(i, j), max(i, j)) for j in best} <= chosen


def test_photos_of_a_walk_are_on_each_others_lists() -> None:
    """Photos each show a window of one long row of things, out of order, and much that no other shows."""
    dice = np.random.default_rng(0)
    things = dice.gamma(0.5, size=(3300, 128)) * 32
    order = dice.permutation(100)
    coarse = []
    for place in order:
        seen = things[30 * place : 30 * place + 120] + dice.normal(0, 10, (120, 128))
        coarse.append(as_sift(np.concatenate([seen, dice.gamma(0.5, size=(60, 128)) * 32])))
    coarse[7] = coarse[7][:0]  # a photo without features
    listed = shortlist(coarse, 12)
    assert all((np.diff(others) > 0).all() for others in listed)
    assert all(i in listed[j] for i, others in enumerate(listed) for j in others.tolist())
    assert not len(listed[7]) and not any(i in others for i, others in enumerate(listed))
    near = np.abs(np.subtract.outer(order, order))
    near[7], near[:, 7] = 300, 300
    pairs = [(i, j) for i, j in np.argwhere((near > 0) & (near <= 2)).tolist()]
    assert np.mean([j in listed[i] for i, j in pairs]) > 0.99
    # Far fewer than all, and no more for a photo of many than for one of few.
    assert np.mean([len(others) for others in listed]) < 24


def as_sift(found: np.ndarray) -> np.ndarray:
    """Descriptors of length 512 in whole numbers."""
    found = np.maximum(found, 0)
    return np.minimum(found * 512 / np.linalg.norm(found, axis=1, keepdims=True), 255).astype(
        np.uint8
    )


def test_a_large_set_is_chosen_from_lists_as_from_every_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = write_room(tmp_path, arc(12, 120.0), seed=0, prefix="a")
    photos = [line(n, width=SIZE[0], height=SIZE[1], focal_px=FOCAL) for n in names]
    options = FeatureOptions(first_octave=0, max_features=1500)
    extract_features(photos, tmp_path, tmp_path / "f.db", options, 2)
    every_two = count_votes(tmp_path / "f.db", names)
    monkeypatch.setattr(retrieval, "EVERY_TWO_UP_TO", 0)
    monkeypatch.setattr(retrieval, "LISTED", 4)
    listed = count_votes(tmp_path / "f.db", names)
    assert 0 < listed.nnz < every_two.nnz
    assert (listed != listed.T).nnz == 0
    rows, columns = listed.nonzero()
    assert (listed.toarray()[rows, columns] == every_two.toarray()[rows, columns]).all()
    assert (
        count_votes(tmp_path / "f.db", names, 6).nnz > listed.nnz
    )  # for those who match with many
    best, chosen = set(voted_pairs(every_two, 2, 0)), set(voted_pairs(listed, 2, 0))
    assert len(best & chosen) >= 0.9 * len(best)
