"""Matching: photos of one thing are joined, others are not, and that is said."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from scripts.lib.contracts.photos import Photo
from scripts.lib.core.console import UserError
from scripts.lib.sfm import matching
from scripts.lib.sfm.features import extract_features
from scripts.lib.sfm.gpu import PRODUCT_BY_NUMPY_S, PRODUCT_S, Work
from scripts.lib.sfm.match_run import match_photos
from scripts.lib.sfm.matching import (
    match_pairs,
    not_compared,
    require_photos_in,
    verified_matches,
    verified_pairs,
)
from scripts.lib.sfm.options import FeatureOptions, MatchOptions
from tests.photo_lines import line
from tests.unit.photo_files import encoded, picture
from tests.unit.room import FOCAL, SIZE, arc, write_room
from tests.unit.sfm_scene import synthetic


def room_features(folder: Path, count: int = 4, stranger: bool = False) -> list[Photo]:
    """Features of some photos of the room, and of one picture of something else."""
    names = write_room(folder, arc(count, 30.0))
    if stranger:
        (folder / "zz.jpg").write_bytes(encoded(picture(77, *SIZE)))
        names.append("zz.jpg")
    photos: list[Photo] = [line(n, width=SIZE[0], height=SIZE[1], focal_px=FOCAL) for n in names]
    options = FeatureOptions(first_octave=0, max_features=2000)
    extract_features(photos, folder, folder / "features.db", options, 2)
    return photos


def test_a_stranger_stays_alone(tmp_path: Path) -> None:
    photos = room_features(tmp_path, stranger=True)
    report = match_photos(
        tmp_path / "features.db", photos, tmp_path / "matches.db", MatchOptions(), 2
    )
    assert report.alone == ("zz.jpg",)
    assert report.pairs == 10 and report.verified == 6 and report.photos == 5
    assert report.strategy == "exhaustive" and report.reason
    found = verified_pairs(tmp_path / "matches.db")
    assert len(found) == 6 and min(pair.inliers for pair in found.values()) >= 15
    every = list(combinations([str(photo.file) for photo in photos], 2))
    assert not_compared(tmp_path / "matches.db", every) == []
    assert not_compared(tmp_path / "features.db", every) == every
    assert sum(report.kinds.values()) == 6 and len(report.links) == 6


def test_the_number_of_threads_changes_nothing(tmp_path: Path) -> None:
    photos = room_features(tmp_path)
    found = []
    for threads in (1, 3):
        database = tmp_path / f"m{threads}.db"
        report = match_photos(tmp_path / "features.db", photos, database, MatchOptions(), threads)
        link = pycolmap.Database.open(database)
        ids, geometries = link.read_two_view_geometries()
        numbers, pairs = link.read_all_matches()
        matches = {n: np.asarray(m).tolist() for n, m in zip(numbers, pairs, strict=True)}
        link.close()
        facts = {
            pair: (int(g.config), np.asarray(g.inlier_matches).tolist(), np.asarray(g.E).tolist())
            for pair, g in zip(ids, geometries, strict=True)
        }
        found.append((report, matches, facts))
    assert found[0] == found[1]


def test_pairs_that_were_compared_stay_as_they_are(tmp_path: Path) -> None:
    photos = room_features(tmp_path)
    names = [str(photo.file) for photo in photos]
    database = tmp_path / "features.db"
    few = MatchOptions(max_ratio=0.6)
    match_pairs(database, [(names[0], names[1])], few, 2)
    before = verified_pairs(database)
    match_pairs(database, list(combinations(names, 2)), MatchOptions(), 2)
    after = verified_pairs(database)
    assert len(after) == 6 and before.items() <= after.items()
    fresh = tmp_path / "other"
    fresh.mkdir()
    room_features(fresh)
    match_pairs(fresh / "features.db", [(names[1], names[0])], MatchOptions(), 2)
    (more,) = verified_pairs(fresh / "features.db").values()
    (less,) = before.values()
    assert more.inliers > less.inliers


def test_guided_matching_finds_more(tmp_path: Path) -> None:
    photos = room_features(tmp_path, count=3)
    inliers = []
    for guided in (False, True):
        database = tmp_path / f"m{guided}.db"
        options = MatchOptions(guided=guided)
        match_photos(tmp_path / "features.db", photos, database, options, 2)
        inliers.append(sum(pair.inliers for pair in verified_pairs(database).values()))
        names = [str(photo.file) for photo in photos]
        assert not_compared(database, list(combinations(names, 2))) == []
    assert inliers[1] > inliers[0]


def test_nothing_in_common_is_refused_with_a_sentence(tmp_path: Path) -> None:
    photos = []
    for seed in (50, 51, 52):
        (tmp_path / f"{seed}.jpg").write_bytes(encoded(picture(seed)))
        photos.append(line(f"{seed}.jpg", width=320, height=240))
    extract_features(photos, tmp_path, tmp_path / "f.db", FeatureOptions(first_octave=0), 2)
    with pytest.raises(UserError, match="same thing"):
        match_photos(tmp_path / "f.db", photos, tmp_path / "m.db", MatchOptions(), 2)


def test_an_unknown_strategy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="psychic"):
        match_photos(tmp_path / "f.db", [], tmp_path / "m.db", MatchOptions(strategy="psychic"), 2)


@pytest.mark.parametrize("content", [None, b"", b"no database, but long enough to be looked into"])
def test_a_database_that_is_none_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "f.db").write_bytes(content)
    with pytest.raises(UserError, match=r"f\.db .*extract_features"):
        require_photos_in(tmp_path / "f.db", ["a.jpg"], "extract_features")


@pytest.mark.parametrize(
    ("pairs", "features", "threads", "product_s", "worth"),
    [
        (400, 3200, 2, PRODUCT_S, False),  # done before torch is loaded
        (3246, 3200, 16, PRODUCT_S, False),  # many cores
        (3246, 3200, 2, PRODUCT_BY_NUMPY_S, True),  # few, without machine code of our own
        (3246, 8192, 2, PRODUCT_S, True),  # few, and many features
        (20_000, 8192, 16, PRODUCT_S, True),
        (20_000, 3200, 64, PRODUCT_S, False),
    ],
)
def test_a_gpu_compares_where_it_is_done_sooner(
    pairs: int, features: int, threads: int, product_s: float, worth: bool
) -> None:
    assert Work(pairs, pairs * float(features) ** 2).worth_a_gpu(threads, product_s) is worth


def test_portions_are_all_pairs_and_each_of_few_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "PHOTOS_HELD", 16)
    dice = np.random.default_rng(0)
    names = dice.permutation([f"{n:03d}.jpg" for n in range(200)])
    walk = [(names[i], names[i + step]) for i in range(190) for step in range(1, 7)]
    far = [(names[a], names[b]) for a, b in dice.integers(0, 200, (60, 2)) if a != b]
    pairs = sorted({(str(min(pair)), str(max(pair))) for pair in walk + far})
    portions = matching._portions(pairs)
    assert sorted(pair for portion in portions for pair in portion) == pairs
    each = [{name for pair in portion for name in pair} for portion in portions]
    assert max(map(len, each)) <= 16
    # Photos are read again where they are not in the portion before: a few times each, not once a pair.
    read = sum(len(now - before) for before, now in zip([set(), *each], each, strict=False))
    assert read < 4 * len(names)
    assert matching._portions([]) == []


def test_verified_matches_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Row by row, with what pycolmap makes of all rows at once."""
    synthetic(tmp_path / "m.db", frames=6)
    with pycolmap.Database.open(tmp_path / "m.db") as link:
        a, b = sorted(image.image_id for image in link.read_all_images())[:2]
        link.delete_two_view_geometry(a, b)
        degenerate = pycolmap.TwoViewGeometry()
        degenerate.inlier_matches = np.zeros((20, 2), np.uint32)
        link.write_two_view_geometry(b, a, degenerate)
        numbers, geometries = link.read_two_view_geometries()
    read = dict(zip(map(pycolmap.pair_id_to_image_pair, numbers), geometries, strict=True))
    assert (a, b) in read
    wanted = {pair: found.inlier_matches for pair, found in read.items() if int(found.config) > 1}
    found = verified_matches(tmp_path / "m.db")
    assert list(found) == list(wanted) and (a, b) not in found and len(found) > 5
    for pair, matches in found.items():
        assert matches.dtype == np.int64 and np.array_equal(matches, wanted[pair])
    counts = {pair: link.inliers for pair, link in verified_pairs(tmp_path / "m.db").items()}
    assert sorted(counts.values()) == sorted(map(len, found.values()))
