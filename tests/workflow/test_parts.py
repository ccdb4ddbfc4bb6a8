"""Features and matches of a large scene in parts: who is told what, what is done again. With stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.workflow.parts import EACH, WHOLE
from tests.workflow.conftest import Checkout
from tests.workflow.stand_ins import Call
from tests.workflow.test_wiring import Run, prepared

SHEET = "scene\tsource\textract_features.parts\nyard\tphotos\t3\nsmall\tphotos\t\n"
Calls = dict[tuple[str, str], Call]


@pytest.fixture(scope="module")
def calls(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> tuple[Calls, Calls]:
    """`yard` in three parts, of which the second fails at its first matching, and `small` in one: what was
    called in the run that failed, and in the one after it."""
    run: Run = prepared(checkout, tmp_path_factory.mktemp("parts"), SHEET, {"device": "cpu"})
    wanted = [f"results/{scene}/matches.db" for scene in ("yard", "small")]
    failed = run.start(*wanted, "--keep-going", FAILING="match_part.yard.2")
    assert failed.returncode != 0 and "match_part has no ink" in failed.stdout, failed.stdout
    before = run.calls
    for call in run.stand_ins.calls.iterdir():
        call.unlink()
    after = run.start(*wanted)
    assert after.returncode == 0, after.stdout
    return before, run.calls


def test_only_the_part_that_failed_is_done_again(calls: tuple[Calls, Calls]) -> None:
    before, after = calls
    assert after.keys() == {("match_part", "yard.2"), ("gather_matches", "yard")}
    assert {("match_part", "yard.1"), ("match_part", "yard.3")} <= before.keys()
    assert not {(rule, "yard") for rule in WHOLE} & before.keys()


def test_each_part_is_told_its_number(calls: tuple[Calls, Calls]) -> None:
    every = calls[0] | calls[1]
    for rule in EACH:
        told = [every[rule, f"yard.{number}"].told for number in (1, 2, 3)]
        assert [one["--part"] for one in told] == [["1"], ["2"], ["3"]]
        assert [Path(one["--metrics"][0]).suffixes for one in told] == [
            [f".{n}", ".json"] for n in "123"
        ]
    assert every["extract_part", "yard.2"].told["--parts"] == ["3"]
    assert every["plan_pairs", "yard"].told["--parts"] == ["3"]
    # Parts have the options of what they replace.
    for part, whole in zip(EACH, WHOLE, strict=True):
        mine, theirs = every[part, "yard.1"].options(), every[whole, "small"].options()
        assert mine == (theirs | {"parts": 3} if "parts" in theirs else theirs)


def test_parts_are_gathered_in_their_order(calls: tuple[Calls, Calls]) -> None:
    every = calls[0] | calls[1]
    for rule, what in (("gather_features", "features"), ("gather_matches", "matches")):
        told = every[rule, "yard"].told
        for flag, suffix in (("--parts", "db"), ("--numbers", "json")):
            assert told[flag] == [f"results/yard/parts/{what}.{n}.{suffix}" for n in (1, 2, 3)]


def test_further_groups_of_a_scene_in_parts_take_what_it_found(
    checkout: Checkout, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    sheet = "scene\tsource\textract_features.parts\tcomponents\nyard\tphotos\t2\t2\n"
    (tmp_path / "my.tsv").write_text(sheet)
    snakefile = ("-s", str(checkout.path / "Snakefile"), "--config", "scenes=my.tsv", "device=cpu")
    plan = Checkout(tmp_path).planned(*snakefile)
    assert (plan["extract_part"], plan["match_part"], plan["gather_matches"]) == (2, 2, 1)
    assert (plan["map_scene"], plan["take_component"], plan["undistort"]) == (1, 1, 2)
