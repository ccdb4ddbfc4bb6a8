"""Matching: photos of one thing are joined, others are not, and that is said."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from scripts.lib.console import UserError
from scripts.lib.sfm.features import FeatureOptions, extract_features
from scripts.lib.sfm.matching import (
    MatchOptions,
    match_photos,
    not_compared,
    require_photos_in,
    verified_pairs,
)
from tests.unit.photo_files import encoded, picture
from tests.unit.room import FOCAL, SIZE, arc, write_room


def room_features(folder: Path, count: int = 4, stranger: bool = False) -> list[dict[str, object]]:
    """Features of some photos of the room, and of one picture of something else."""
    names = write_room(folder, arc(count, 30.0))
    if stranger:
        (folder / "zz.jpg").write_bytes(encoded(picture(77, *SIZE)))
        names.append("zz.jpg")
    photos: list[dict[str, object]] = [
        {"file": n, "width": SIZE[0], "height": SIZE[1], "focal_px": FOCAL} for n in names
    ]
    options = FeatureOptions(first_octave=0, max_features=2000)
    extract_features(photos, folder, folder / "features.db", options, 2)
    return photos


def test_a_stranger_stays_alone(tmp_path: Path) -> None:
    photos = room_features(tmp_path, stranger=True)
    report = match_photos(
        tmp_path / "features.db", photos, tmp_path / "matches.db", MatchOptions(), 2
    )
    assert report["alone"] == ["zz.jpg"]
    assert report["pairs"] == 10 and report["verified"] == 6 and report["photos"] == 5
    assert report["strategy"] == "exhaustive" and report["reason"]
    found = verified_pairs(tmp_path / "matches.db")
    assert len(found) == 6 and min(pair.inliers for pair in found.values()) >= 15
    every = list(combinations([str(photo["file"]) for photo in photos], 2))
    assert not_compared(tmp_path / "matches.db", every) == []
    assert not_compared(tmp_path / "features.db", every) == every
    assert sum(report["kinds"].values()) == 6 and len(report["links"]) == 6


def test_nothing_in_common_is_refused_with_a_sentence(tmp_path: Path) -> None:
    photos = []
    for seed in (50, 51, 52):
        (tmp_path / f"{seed}.jpg").write_bytes(encoded(picture(seed)))
        photos.append({"file": f"{seed}.jpg", "width": 320, "height": 240})
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
