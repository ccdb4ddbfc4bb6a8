"""Fewer tracks for the mapping, and the colours of its points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from scripts.lib.sfm import incremental
from scripts.lib.sfm.colours import colour_points
from scripts.lib.sfm.mapping import run_mapper
from scripts.lib.sfm.matching import verified_matches, verified_pairs
from scripts.lib.sfm.options import MapOptions
from scripts.lib.sfm.thinning import PER_PAIR, join, thinned, write_thinned
from tests.unit.sfm_scene import (
    centres,
    looking,
    own_matches,
    position_errors,
    synthetic,
    true_model,
)


def test_every_photo_and_pair_keeps_enough(tmp_path: Path) -> None:
    synthetic(tmp_path / "m.db", frames=8, points=3000)
    matches = verified_matches(tmp_path / "m.db")
    with pycolmap.Database.open(tmp_path / "m.db") as link:
        places = {i.image_id: link.read_keypoints(i.image_id) for i in link.read_all_images()}
    counts = {number: len(xy) for number, xy in places.items()}
    left = thinned(counts, matches, places)
    assert left is not None
    assert sum(map(len, left.values())) < 0.7 * sum(map(len, matches.values()))
    for pair, kept in left.items():
        assert len(kept) >= min(PER_PAIR, 0.9 * len(matches[pair]))
    write_thinned(tmp_path / "m.db", tmp_path / "thin.db", left)
    assert verified_pairs(tmp_path / "thin.db").keys() == verified_pairs(tmp_path / "m.db").keys()
    # A few features are left out of nothing.
    assert thinned(counts, {pair: found[:30] for pair, found in matches.items()}, places) is None


def test_tracks_with_two_features_of_a_photo_are_left_out() -> None:
    matches = {
        (1, 2): np.array([[0, 0], [1, 1]]),
        (2, 3): np.array([[0, 0]]),
        (1, 3): np.array([[1, 0]]),
    }
    tracks = join({1: 2, 2: 2, 3: 1}, matches)
    assert len(tracks.track) == 0  # all of them hang together, through two features of photo 1
    tracks = join({1: 2, 2: 2, 3: 1}, {(1, 2): matches[1, 2]})
    assert len(tracks.track) == 4 and tracks.track.max() == 1


def test_the_last_adjustment_has_all_tracks(tmp_path: Path) -> None:
    truth, _ = synthetic(tmp_path / "m.db", frames=10, points=4000)
    attempt = run_mapper("incremental", tmp_path / "m.db", tmp_path, MapOptions(), 2)
    assert attempt.registered == 10
    assert attempt.models[0].num_points3D() > 0.9 * truth.num_points3D()
    assert position_errors(centres(attempt.models[0]), centres(truth)).max() < 0.002


def test_photos_that_thinned_tracks_leave_out_are_placed_by_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, _ = synthetic(tmp_path / "m.db", frames=12, points=600)
    grown = []

    def without_the_last(
        counts: dict[int, int], matches: dict[tuple[int, int], np.ndarray], places: object
    ) -> dict[tuple[int, int], np.ndarray]:
        return {pair: rows for pair, rows in matches.items() if max(counts) not in pair}

    def counted(*arguments: object) -> list[pycolmap.Reconstruction]:
        grown.append(as_it_is(*arguments))
        return grown[-1]

    as_it_is = incremental.grown
    monkeypatch.setattr(incremental, "thinned", without_the_last)
    monkeypatch.setattr(incremental, "grown", counted)
    attempt = run_mapper("incremental", tmp_path / "m.db", tmp_path, MapOptions(), 2)
    assert len(grown) == 1  # not begun anew
    assert attempt.registered == 12
    assert position_errors(centres(attempt.models[0]), centres(truth)).max() < 0.002


def test_a_small_model_beside_the_largest_does_not_grow_over_its_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthetic(tmp_path / "m.db", frames=10, points=300)
    as_it_is = incremental.grown

    def with_a_small_one(*arguments: object) -> list[pycolmap.Reconstruction]:
        largest = as_it_is(*arguments)[0]
        small = pycolmap.Reconstruction(largest)
        for frame in sorted(small.reg_frame_ids())[3:]:
            small.deregister_frame(frame)
        return [largest, small]

    monkeypatch.setattr(incremental, "grown", with_a_small_one)
    attempt = run_mapper("incremental", tmp_path / "m.db", tmp_path, MapOptions(), 2)
    assert [model.num_reg_images() for model in attempt.models] == [10, 3]


def test_thinned_tracks_that_place_too_few_photos_are_not_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthetic(tmp_path / "m.db", frames=8, points=300)
    monkeypatch.setattr(incremental, "thinned", lambda *_: {})
    assert run_mapper("incremental", tmp_path / "m.db", tmp_path, MapOptions(), 2).registered == 8


def test_points_have_the_colour_that_their_photos_show(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    points = random.uniform(-1, 1, (200, 3)) + [0, 0, 0.5]
    poses = [looking([3 * np.cos(a), 3 * np.sin(a), 0.5], [0, 0, 0.5]) for a in (0.0, 0.5, 1.0)]
    model = true_model(poses, points)
    assert own_matches(model)
    for number in model.reg_image_ids():
        Image.new("RGB", (1024, 768), (200, 100, 50)).save(tmp_path / model.image(number).name)
    colour_points(model, tmp_path)
    colours = np.array([point.color for point in model.points3D.values()])
    assert np.abs(colours.astype(int) - [200, 100, 50]).max() <= 3
