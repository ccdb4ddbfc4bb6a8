"""Features and matches in parts: what is gathered is what one job leaves, row for row."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import (
    extract_features,
    extract_part,
    gather_features,
    gather_matches,
    match_part,
    match_photos,
    plan_pairs,
)
from scripts.lib.contracts.features import Features
from scripts.lib.contracts.pairs import MatchedPart, Pairs
from scripts.lib.contracts.photos import Photo, Photos, RigView
from scripts.lib.contracts.record import read, write
from scripts.lib.core.console import UserError
from scripts.lib.core.files import add_to_zip, writing_zip
from scripts.lib.sfm.options import MatchOptions
from scripts.lib.sfm.parts import part_of
from scripts.lib.sfm.parts import plan_pairs as planned
from tests.photo_lines import line, report
from tests.unit.room import FOCAL, SIZE, arc, write_room

PARTS = 3
COUNT = 7


def rows(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, with its row number."""
    with closing(sqlite3.connect(database)) as link:
        names = [n for (n,) in link.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            n: link.execute(f"SELECT rowid, * FROM {n} ORDER BY rowid").fetchall() for n in names
        }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of a room of two sizes, taken in one job, and in parts, by the programs."""
    home = tmp_path_factory.mktemp("parts")
    names = write_room(home, arc(COUNT, 60.0))
    with writing_zip(home / "photos.zip") as archive:
        for name in names:
            add_to_zip(archive, name, (home / name).read_bytes())
    lines = [line(n, width=SIZE[0], height=SIZE[1], focal_px=FOCAL) for n in names]
    lines[2] = replace(lines[2], focal_px=FOCAL * 1.2)  # a lens of its own
    write(home / "photos.json", report(*lines))
    (home / "parts").mkdir()
    features = ["--photos", "photos.zip", "--photos-report", "photos.json"]
    features += ["--options", '{"first_octave": 0, "max_features": 1500}']
    matches = ["--options", '{"strategy": "exhaustive", "min_inliers": 12}']
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        extract_features.main([*features, "--database", "one.db", "--metrics", "one.json"])
        photos = ["--photos-report", "photos.json"]
        match_photos.main(
            ["--database", "one.db", *photos, *matches, "--output", "m.db", "--pairs", "m.json"]
        )
        for n in map(str, range(1, PARTS + 1)):
            place = [
                "--database",
                f"parts/features.{n}.db",
                "--metrics",
                f"parts/features.{n}.json",
            ]
            extract_part.main([*features, "--part", n, "--parts", str(PARTS), *place])
        gather_features.main(
            [*features[2:], *gathered("features"), "--database", "f.db", "--metrics", "f.json"]
        )
        chosen = ["--chosen", "parts/chosen.json"]
        plan_pairs.main(["--database", "f.db", *photos, *matches, "--parts", str(PARTS), *chosen])
        for n in map(str, range(1, PARTS + 1)):
            place = ["--database", f"parts/matches.{n}.db", "--metrics", f"parts/matches.{n}.json"]
            match_part.main(["--features", "f.db", *chosen, *matches, "--part", n, *place])
        gather_matches.main(
            ["--features", "f.db", *photos, *chosen, *matches, *gathered("matches")]
            + ["--output", "g.db", "--pairs", "g.json"]
        )
    return home


def gathered(what: str) -> list[str]:
    files = [f"parts/{what}.{number}" for number in range(1, PARTS + 1)]
    return ["--parts", *(f"{f}.db" for f in files), "--numbers", *(f"{f}.json" for f in files)]


def test_gathered_features_are_those_of_one_job(home: Path) -> None:
    one = rows(home / "one.db")
    assert (
        rows(home / "f.db") == one and len(one["keypoints"]) == COUNT and len(one["cameras"]) == 2
    )
    whole, parts = read(Features, home / "one.json"), read(Features, home / "f.json")
    assert (parts.photos, parts.features, parts.device) == (COUNT, whole.features, whole.device)
    sizes = [len(rows(home / "parts" / f"features.{n}.db")["keypoints"]) for n in (1, 2, 3)]
    assert sizes == [2, 2, 3]


def test_gathered_matches_are_those_of_one_job(home: Path) -> None:
    one = rows(home / "m.db")
    assert rows(home / "g.db") == one and len(one["two_view_geometries"]) > COUNT
    whole, parts = read(Pairs, home / "m.json"), read(Pairs, home / "g.json")
    unlike = {"versions", "machine", "ran", "options"}
    assert {k: v for k, v in vars(parts).items() if k not in unlike} == {
        k: v for k, v in vars(whole).items() if k not in unlike
    }
    told = [read(MatchedPart, home / "parts" / f"matches.{n}.json") for n in (1, 2, 3)]
    assert sum(part.pairs for part in told) == whole.pairs
    assert sum(part.verified for part in told) == whole.verified
    # A part hands on no features again.
    assert rows(home / "parts" / "matches.1.db")["keypoints"] == []


def test_parts_of_another_plan_are_refused(home: Path, tmp_path: Path) -> None:
    photos = read(Photos, home / "photos.json")
    write(tmp_path / "photos.json", report(*photos.used[:-1]))
    words = ["--photos-report", str(tmp_path / "photos.json"), *gathered("features")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        with pytest.raises(UserError, match="run extract_part again"):
            gather_features.main(
                [
                    *words,
                    "--database",
                    str(tmp_path / "f.db"),
                    "--metrics",
                    str(tmp_path / "f.json"),
                ]
            )
        lacking = ["--parts", "parts/matches.1.db", "--numbers", "parts/matches.1.json"]
        words = ["--features", "f.db", "--photos-report", "photos.json", *lacking]
        files = ["--output", str(tmp_path / "m.db"), "--pairs", str(tmp_path / "m.json")]
        with pytest.raises(
            UserError, match="parts lacks pairs of chosen.json; run match_part again"
        ):
            gather_matches.main([*words, "--chosen", "parts/chosen.json", *files])
        broken = tmp_path / "broken.db"
        broken.write_bytes(b"SQLite format 3\0 and nothing more" * 100)
        words = [
            word if "features.3.db" not in word else str(broken) for word in gathered("features")
        ]
        files = ["--database", str(tmp_path / "f.db"), "--metrics", str(tmp_path / "f.json")]
        with pytest.raises(UserError, match=r"broken\.db is no database"):
            gather_features.main(["--photos-report", "photos.json", *words, *files])
    assert not list(tmp_path.glob(".*.part*")) and not (tmp_path / "f.db").exists()


@given(st.integers(0, 40), st.integers(1, 12))
def test_parts_are_all_things_in_order_and_about_equal(count: int, parts: int) -> None:
    things = list(range(count))
    found = [part_of(things, number, parts) for number in range(1, parts + 1)]
    assert [thing for part in found for thing in part] == things
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_views_of_the_same_two_panoramas_are_in_one_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.lib.sfm.match_run.require_photos_in", lambda *_: None)
    photos: list[Photo] = []
    for name in "abcd":
        for side in "123":
            view = RigView(rig="r", sensor=side, frame=name, panorama=True)
            photos.append(line(f"{name}_{side}.jpg", width=9, height=9, rig=view))
    photos.append(line("e.jpg", width=9, height=9))
    chosen = planned(tmp_path / "f.db", photos, MatchOptions(strategy="exhaustive"), 4)
    every = sorted(pair for part in chosen.parts for pair in part)
    wanted = [
        (a.file, b.file)
        for a, b in combinations(photos, 2)
        if a.rig is None or b.rig is None or a.rig.frame != b.rig.frame
    ]
    assert every == sorted(wanted) and all(chosen.parts)
    where: dict[tuple[str, str], set[int]] = {}
    for number, part in enumerate(chosen.parts):
        for a, b in part:
            if b != "e.jpg":
                where.setdefault((a[0], b[0]), set()).add(number)
    assert len(where) == 6 and all(len(numbers) == 1 for numbers in where.values())
