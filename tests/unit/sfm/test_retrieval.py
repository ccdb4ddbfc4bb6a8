"""Photos that look alike find each other by their coarsest features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from scripts.lib.sfm.features import extract_features
from scripts.lib.sfm.options import FeatureOptions
from scripts.lib.sfm.pairs import choose_pairs
from scripts.lib.sfm.retrieval import count_votes, voted_pairs
from tests.photo_lines import line
from tests.unit.room import FOCAL, SIZE, arc, write_room
from tests.unit.sfm_scene import entry


def test_two_rooms_are_told_apart(tmp_path: Path) -> None:
    names = write_room(tmp_path, arc(5, 60.0), seed=0, prefix="a")
    names += write_room(tmp_path, arc(5, 60.0), seed=1, prefix="b")
    photos = [line(n, width=SIZE[0], height=SIZE[1], focal_px=FOCAL) for n in names]
    options = FeatureOptions(first_octave=0, max_features=1500)
    extract_features(photos, tmp_path, tmp_path / "f.db", options, 2)
    votes = count_votes(tmp_path / "f.db", names)
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
        votes=lambda: votes,
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
        photos, "auto", exhaustive_limit=10, neighbours=4, overlap=3, votes=lambda: votes
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
        photos, "spatial", exhaustive_limit=2, neighbours=2, overlap=3, votes=lambda: votes
    )
    assert ("3.jpg", "4.jpg") in chosen.pairs and chosen.by["looks"] >= 1


@given(st.integers(2, 20), st.integers(1, 6), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_voted_pairs_hold_together_what_votes_hold_together(
    count: int, most: int, seed: int
) -> None:
    half = np.triu(np.random.default_rng(seed).integers(0, 12, (count, count)), 1)
    votes = (half + half.T).astype(np.int32)
    pairs = voted_pairs(votes, most)
    assert all(0 <= a < b < count for a, b in pairs) and len(set(pairs)) == len(pairs)
    chosen = np.zeros((count, count))
    for a, b in pairs:
        chosen[a, b] = 1
    assert connected_components(chosen)[0] <= connected_components(votes)[0]
