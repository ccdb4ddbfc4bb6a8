"""How many blocks a scene has: from the option, or from what is known of its photos before the first job."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.contracts.benchmark import read_benchmarks
from scripts.lib.workflow import parts
from scripts.lib.workflow.block_forecast import sentences
from scripts.lib.workflow.blocks import (
    DIVIDED,
    KEY,
    MOST,
    Division,
    all_but,
    automatic,
    count_photos,
    divided,
    divisions,
    only,
    rules_for,
    tables,
    told_to_jobs,
)
from scripts.lib.workflow.cost import PRICES, read_prices
from scripts.lib.workflow.limits import LEAST_SECONDS, seconds_allowed


def options(**blocks: Any) -> dict[str, dict[str, dict[str, Any]]]:
    """Of scenes; the parts of their features and matches are asked for as the blocks are."""
    return {
        scene: {"train_splat": {"blocks": count}, "extract_features": {"parts": count}}
        for scene, count in blocks.items()
    }


@pytest.mark.parametrize(
    ("photos", "blocks"),
    [(0, 1), (1, 1), (600, 1), (601, 2), (1000, 2), (1001, 3), (2000, 5), (10**6, MOST)],
)
def test_blocks_by_photos(photos: int, blocks: int) -> None:
    assert automatic(photos) == blocks


def test_photos_are_counted_without_reading_one(tmp_path: Path) -> None:
    folder, archive = tmp_path / "photos", tmp_path / "photos.zip"
    (folder / "more").mkdir(parents=True)
    names = ("a.jpg", "b.JPG", "more/c.heic", "film.mp4", "log.csv")
    with zipfile.ZipFile(archive, "w") as opened:
        for name in names:
            (folder / name).write_bytes(b"")
            opened.writestr(name, b"")
    assert count_photos(str(folder), tmp_path) == count_photos(str(archive), tmp_path) == 3
    assert count_photos(str(tmp_path / "gone"), tmp_path) == 0


def test_the_option_wins_and_jobs_believe_what_they_are_told(tmp_path: Path) -> None:
    for number in range(700):
        (tmp_path / f"{number}.jpg").write_bytes(b"")
    rows = {name: {"source": str(tmp_path)} for name in ("auto", "given", "one")}
    rows["far"] = {"source": "s3://bucket/photos"}
    chosen = options(auto="auto", given=5, one=1, far="auto")
    found = divisions(chosen, rows, tmp_path, {"far": 0}, None)
    assert {name: one.blocks for name, one in found.items()} == {
        "auto": 2,
        "given": 5,
        "one": 1,
        "far": 1,
    }
    assert found["auto"] == Division(2, 700, 3)
    counted = divisions(chosen, rows, tmp_path, {"far": 1200}, None)
    assert counted["far"] == Division(3, 1200, 5)
    (word,) = told_to_jobs(counted)
    key, _, text = word.partition("=")
    assert key == KEY
    here = {name: {"source": "/nowhere"} for name in rows}
    told = divisions(chosen, here, tmp_path, {}, json.loads(text))
    assert told == {name: replace(one, photos=0) for name, one in counted.items()}
    blocks = {name: one.blocks for name, one in counted.items()}
    assert divided(blocks) == {"auto": 2, "given": 5, "far": 3}


def test_each_rule_is_for_the_scenes_that_it_fits() -> None:
    large = ["yard", "a-b"]
    for name in ("yard", "a-b", "small", "yards", "yar", "nobody"):
        path = f"results/{name}/splat.ply"
        both = [
            bool(re.fullmatch(f"results/(?P<scene>{pattern})/splat.ply", path))
            for pattern in (only(large), all_but(large))
        ]
        assert both == [name in large, name not in large]
    assert re.fullmatch(f"(?:{all_but([])})/x", "any-name/x")
    assert not re.match(f"(?:{only([])})", "") and not re.match(only([]), "yard")


def test_tables_of_a_scene_name_each_of_its_blocks(tmp_path: Path) -> None:
    rules = ["undistort", *DIVIDED, "train_splat", "clean_splat"]
    one, two = Division(1), Division(2)
    assert rules_for(rules, one) == ["undistort", "train_splat", "clean_splat"]
    assert rules_for(rules, two) == ["undistort", *DIVIDED, "clean_splat"]
    assert tables(rules, one) == ["undistort.tsv", "train_splat.tsv", "clean_splat.tsv"]
    names = tables(rules, two)
    assert names[3:5] == ["train_block.1.tsv", "train_block.2.tsv"] and len(names) == 7
    for number, name in enumerate(names):
        (tmp_path / name).write_text(f"s\tmax_rss\n{number}\t{100 - number}\n")
    found = read_benchmarks(tmp_path / name for name in names)
    assert list(found) == rules_for(rules, two)
    assert (found["train_block"].seconds, found["train_block"].memory_mb) == (7, 97)


def test_tables_of_a_scene_name_each_of_its_parts() -> None:
    rules = ["import_photos", *parts.WHOLE, *parts.IN_PARTS, "map_scene"]
    assert rules_for(rules, Division(4)) == ["import_photos", *parts.WHOLE, "map_scene"]
    in_parts = Division(parts=3)
    assert rules_for(rules, in_parts) == ["import_photos", *parts.IN_PARTS, "map_scene"]
    assert tables(rules, in_parts) == [
        "import_photos.tsv",
        *(f"extract_part.{number}.tsv" for number in (1, 2, 3)),
        "gather_features.tsv",
        "plan_pairs.tsv",
        *(f"match_part.{number}.tsv" for number in (1, 2, 3)),
        "gather_matches.tsv",
        "map_scene.tsv",
    ]


@pytest.mark.parametrize(
    ("photos", "count"), [(0, 1), (600, 1), (601, 2), (1000, 4), (2000, 8), (10**6, parts.MOST)]
)
def test_parts_by_photos(photos: int, count: int) -> None:
    assert parts.automatic(photos) == count


def test_what_is_told_before_the_first_job() -> None:
    prices = read_prices(PRICES)
    lines = sentences(
        {"small": Division(1, 40), "mill": Division(4, 1600), "far": Division(2, 0)}, prices
    )
    assert len(lines) == 2
    assert "'mill' of 1600 photos: a coarse model, then 4 blocks; predicted" in lines[0]
    coarse, each, whole = (int(n) for n in re.findall(r"(\d+) min", lines[0]))
    assert abs(coarse + 4 * each - whole) <= 3 and each > coarse / 4
    assert lines[1] == "scene 'far': a coarse model, then 2 blocks"
    (told,) = sentences({"long": Division(1, 900, 4)}, prices)
    assert told == "scene 'long' of 900 photos: features and matches in 4 parts"


def test_a_block_may_take_its_part_of_the_time() -> None:
    prices = read_prices(PRICES)
    whole, part = (
        seconds_allowed(prices, "train_block", 4000, "standard", count) for count in (1, 10)
    )
    assert 9 < (whole - LEAST_SECONDS) / (part - LEAST_SECONDS) < 10.1
