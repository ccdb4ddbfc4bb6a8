"""A large scene in blocks: who is told what, in which order, and what is done again. Stages are stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.workflow.blocks import DIVIDED
from scripts.lib.workflow.parts import EACH, IN_PARTS, WHOLE
from tests.workflow.conftest import Checkout
from tests.workflow.stand_ins import Call
from tests.workflow.test_dag import PER_SCENE
from tests.workflow.test_wiring import Run, prepared

SHEET = "scene\tsource\ttrain_splat.blocks\textract_features.parts\nyard\tphotos\t3\t2\nsmall\tphotos\t\t\n"


@pytest.fixture(scope="module")
def run(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`yard` in three blocks, of which the second fails at first, and `small` in one."""
    run = prepared(checkout, tmp_path_factory.mktemp("blocks"), SHEET, {"device": "cpu"})
    failed = run.start("--keep-going", FAILING="train_block.yard.2")
    assert failed.returncode != 0 and "train_block has no ink" in failed.stdout, failed.stdout
    return run


@pytest.fixture(scope="module")
def calls(run: Run) -> tuple[dict[tuple[str, str], Call], dict[tuple[str, str], Call]]:
    """What was called in the run that failed, and in the one after it."""
    before = run.calls
    for call in run.stand_ins.calls.iterdir():
        call.unlink()
    after = run.start()
    assert after.returncode == 0, after.stdout
    return before, run.calls


Calls = tuple[dict[tuple[str, str], Call], dict[tuple[str, str], Call]]


def test_blocks_replace_one_training_and_nothing_else(calls: Calls) -> None:
    before, after = calls
    several = {"train_block": 3, **dict.fromkeys(EACH, 2)}
    each = {(rule, f"yard.{n}") for rule, count in several.items() for n in range(1, count + 1)}
    divided = {(rule, "yard") for rule in (*DIVIDED, *IN_PARTS) if rule not in several} | each
    wanted = {(rule, scene) for rule in PER_SCENE for scene in ("yard", "small")}
    wanted -= {(rule, "yard") for rule in ("train_splat", *WHOLE)}
    wanted |= divided | {("summarise", "")}
    assert before.keys() | after.keys() == wanted


def test_only_the_block_that_failed_is_trained_again(calls: Calls) -> None:
    before, after = calls
    assert {key for key in before if key[1].startswith("yard") and key[0] not in IN_PARTS} == {
        *((rule, "yard") for rule in ("import_photos", "map_scene", "undistort")),
        *((rule, "yard") for rule in ("plan_blocks", "train_coarse")),
        *(("train_block", f"yard.{number}") for number in (1, 3)),
    }
    assert not {key for key in after if key[0] in IN_PARTS}
    trained = {key for key in after if key[0] in ("train_splat", "train_coarse", "train_block")}
    assert trained == {("train_block", "yard.2")}


def test_each_block_is_told_its_number_and_has_its_own_checkpoints(calls: Calls) -> None:
    every = calls[0] | calls[1]
    told = [every["train_block", f"yard.{number}"].told for number in (1, 2, 3)]
    assert [one["--block"] for one in told] == [["1"], ["2"], ["3"]]
    places = [one["--checkpoints"] for one in (*told, every["train_coarse", "yard"].told)]
    assert len({place for (place,) in places}) == 4
    assert all(one["--coarse"] == ["results/yard/blocks/coarse.ply"] for one in told)
    options = every["train_block", "yard.1"].options()
    assert options == every["train_coarse", "yard"].options() and options["blocks"] == 3
    assert every["plan_blocks", "yard"].told["--blocks"] == ["3"]


def test_blocks_are_merged_in_their_order(calls: Calls) -> None:
    told = calls[1]["merge_blocks", "yard"].told
    folder = "results/yard/blocks"
    assert told["--blocks"] == [f"{folder}/{number}.ply" for number in (1, 2, 3)]
    assert told["--numbers"] == [f"{folder}/{number}.json" for number in (1, 2, 3)]
    assert told["--coarse"] == [f"{folder}/coarse.ply", f"{folder}/coarse.json"]
    assert told["--ply"] == ["results/yard/splat.ply"]


def test_cost_and_report_count_every_block_and_part(calls: Calls) -> None:
    for rule in ("cost_scene", "report_scene"):
        tables = [Path(word).name for word in calls[1][rule, "yard"].told["--benchmarks"]]
        assert [name for name in tables if name.startswith("match_")] == [
            "match_part.1.tsv",
            "match_part.2.tsv",
        ]
        assert [name for name in tables if name.startswith("train_")] == [
            "train_coarse.tsv",
            *(f"train_block.{number}.tsv" for number in (1, 2, 3)),
        ]
        small = [
            Path(word).name for word in (calls[0] | calls[1])[rule, "small"].told["--benchmarks"]
        ]
        assert [name for name in small if name.startswith("train_")] == ["train_splat.tsv"]


def test_the_page_tells_how_its_blocks_and_parts_came_about(calls: Calls) -> None:
    every = calls[0] | calls[1]
    steps = {step["name"]: step for step in every["bundle_web", "yard"].options("--steps")}
    assert steps.keys() >= {*DIVIDED, *IN_PARTS} and not steps.keys() & {"train_splat", *WHOLE}
    parts = [f"parts/matches.{number}.db" for number in (1, 2)]
    assert steps["match_part"]["outputs"]["database"] == parts
    assert steps["gather_matches"]["inputs"]["match_parts"] == parts
    plys = [f"blocks/{number}.ply" for number in (1, 2, 3)]
    assert steps["train_block"]["outputs"]["ply"] == plys
    assert steps["merge_blocks"]["inputs"]["plys"] == plys
    # An input without files is the scene's source.
    assert all(
        all(step["inputs"].values()) for name, step in steps.items() if name != "import_photos"
    )
    small = {step["name"] for step in every["bundle_web", "small"].options("--steps")}
    assert small >= {"train_splat", *WHOLE} and not small & {*DIVIDED, *IN_PARTS}


def test_many_photos_are_divided_by_themselves_and_it_is_told(
    checkout: Checkout, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(1001):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(b"")
    (tmp_path / "my.tsv").write_text("scene\tsource\nmill\tphotos\n")
    here = Checkout(tmp_path)
    snakefile = ("-s", str(checkout.path / "Snakefile"), "--config", "scenes=my.tsv", "device=cpu")
    result = here.dry_run(*snakefile)
    assert "scene 'mill' of 1001 photos: a coarse model, then 3 blocks; predicted" in result.stdout
    assert "scene 'mill' of 1001 photos: features and matches in 4 parts" in result.stdout
    plan = here.planned(*snakefile)
    assert plan["train_block"] == 3 and plan["extract_part"] == plan["match_part"] == 4
    whole = here.planned(*snakefile, "train_splat={blocks: 1}", "extract_features={parts: 1}")
    assert not whole.keys() & {"train_block", *IN_PARTS}
    assert all(whole[rule] == 1 for rule in ("train_splat", *WHOLE))
