"""One true run on a cut-down capture by a phone, photos to page; tests look at it and change only copies."""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from scripts.lib.scene.scene import load_scene
from scripts.lib.splat.gaussians import read_ply
from scripts.lib.web.verify import problems
from tests.truth import align, read_truth
from tests.unit.web.crate_validator import found_in
from tests.workflow.conftest import (
    CUT_DOWN_FILES,
    CUT_DOWN_PHOTOS,
    CUT_DOWN_UNUSABLE,
    Checkout,
)

BEFORE_PAGE = {"import_photos", "extract_features", "match_photos", "map_scene", "undistort"}
BEFORE_PAGE |= {"train_splat", "evaluate_splat", "clean_splat", "compress_splat", "check_codecs"}
BEFORE_PAGE |= {"render_poster", "bundle_web"}


def stage_json(run: Checkout, name: str) -> dict:
    return json.loads((run.path / "results" / "cut" / f"{name}.json").read_text())


def test_soft_frames_and_copies_are_left_out(finished: Checkout) -> None:
    photos = stage_json(finished, "photos")["photos"]
    assert len(photos) == CUT_DOWN_FILES
    assert {p["file"] for p in photos if not p["kept"]} == set(CUT_DOWN_UNUSABLE)


def test_all_photos_are_registered(finished: Checkout) -> None:
    sfm = stage_json(finished, "sfm")
    assert sfm["photos"] == sfm["registered"] == CUT_DOWN_PHOTOS
    assert sfm["reprojection_error_px"] < 1.5
    georef = stage_json(finished, "georef")
    assert georef["georeferenced"] and georef["rmse_horizontal_m"] < 0.5


def test_both_lenses_are_found(finished: Checkout, lens: Path) -> None:
    """Landscape and portrait photos have lenses of their own, whose truth is known."""
    truth = read_truth(lens)
    found = {
        (c["width"], c["height"]): c["focal_px"] for c in stage_json(finished, "sfm")["cameras"]
    }
    for camera in truth["cameras"].values():
        assert found[camera["width"], camera["height"]] == pytest.approx(camera["fx"], rel=0.02)


def test_cameras_stand_where_they_stood(finished: Checkout, lens: Path) -> None:
    """In metres after a similarity; the yard measures 16 m."""
    scene = load_scene(finished.path / "results" / "cut" / "undistorted.zip", 100)
    _, errors = align(scene, read_truth(lens))
    assert len(errors) == CUT_DOWN_PHOTOS and errors.max() < 0.1


def test_quality_is_measured(finished: Checkout) -> None:
    evaluation = stage_json(finished, "eval")
    assert evaluation["psnr"] > 15
    assert len(evaluation["views"]) == -(-CUT_DOWN_PHOTOS // 8)
    train = stage_json(finished, "train")
    assert train["gaussians"] == len(read_ply(finished.path / "results" / "cut" / "splat.ply"))


def test_every_stage_tells_how_it_ran_and_manifest_and_report_pass_it_on(
    finished: Checkout,
) -> None:
    """Settings of each stage and versions of what it used, from its own JSON to what people read."""
    home = finished.path / "results" / "cut"
    manifest = json.loads((home / "web" / "manifest.json").read_text())
    report = (home / "report.html").read_text()
    for name, package, option in (
        ("photos", "pillow", "import_photos.jpeg_quality"),
        ("features", "pycolmap", "extract_features.peak_threshold"),
        ("pairs", "pycolmap", "match_photos.exhaustive_limit"),
        ("sfm", "pycolmap", "map_scene.retry_below"),
        ("undistort", "pycolmap", "undistort.max_side"),
        ("train", "torch", "train_splat.ssim_weight"),
        ("eval", "torch", "evaluate_splat.refine_poses"),
        ("clean", "torch", "clean_splat.min_views"),
        ("compress", "numba", "compress_splat.desktop_loss_db"),
        ("codecs", "torch", "check_codecs.max_loss_db"),
        ("tour", "av", "render_tour.crf"),
    ):
        made = stage_json(finished, name)
        assert option.split(".")[1] in made["options"], name
        assert made["versions"][package] and made["machine"]["python"], name
        assert f"<code>{option}</code>" in report and made["versions"][package] in report, name
        if name != "tour":  # it is no part of the page
            told = manifest["stages"][name]
            assert {key: made[key] for key in ("versions", "machine")}.items() <= told.items(), name
            assert option.split(".")[1] in told["options"], name
    split, counts = (stage_json(finished, "train")[key] for key in ("split", "split_counts"))
    assert counts["one_set"] == (CUT_DOWN_PHOTOS < 32) and not set(split["judged"]) & set(
        split["trained"]
    )
    assert {view["name"] for view in stage_json(finished, "eval")["views"]} == set(split["judged"])
    assert set(stage_json(finished, "codecs")["views"]) == set(split["judged"])
    assert set(stage_json(finished, "clean")["views"]) == set(split["steering"])
    assert f"Of {CUT_DOWN_PHOTOS} photos, " in report and "used for training" in report


def test_the_crate_of_the_page_tells_every_step(finished: Checkout, tmp_path: Path) -> None:
    """What is required and what is recommended, but that the workflow inside has an absolute address."""
    web = finished.path / "results" / "cut" / "web"
    assert found_in(web, tmp_path) == {"The SoftwareApplication id SHOULD be an absolute URI"}
    graph = json.loads((web / "ro-crate-metadata.json").read_text())["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    ran = [item for item in entities if item.startswith("#control/")]
    assert set(ran) == {f"#control/{rule}" for rule in BEFORE_PAGE}
    moments = [entities[f"#run/{rule}"] for rule in BEFORE_PAGE]
    assert all(moment["startTime"] <= moment["endTime"] for moment in moments)
    for before, after in (("import_photos", "map_scene"), ("train_splat", "bundle_web")):
        assert entities[f"#run/{before}"]["endTime"] <= entities[f"#run/{after}"]["startTime"]
    options = stage_json(finished, "train")["options"]
    assert entities["#train_splat/option/steps/value"]["value"] == options["steps"]
    assert "#run/train_splat/max_rss" in entities, "from its benchmark"
    kinds = [entity.get("@type", []) for entity in graph]  # a text, or several in a list
    assert not any(kind == "ContainerImage" or "ContainerImage" in kind for kind in kinds)
    text = (web / "ro-crate-metadata.json").read_text()
    assert str(finished.path) not in text and f'"{platform.node()}"' not in text


def test_nothing_to_be_done_afterwards(finished: Checkout) -> None:
    """What a change runs again is shown with stand-ins (test_wiring.py)."""
    assert finished.planned() == {}


def test_the_bundle_verifies(finished: Checkout) -> None:
    assert problems(finished.path / "results" / "cut" / "web") == []
    codecs = stage_json(finished, "codecs")
    assert codecs["passed"] and {"sog", "mobile_sog", "spz"} <= set(codecs["formats"])
    assert (finished.path / "results" / "cut" / "tour.mp4").stat().st_size > 10_000


def test_killed_training_continues_with_the_same_command(
    finished: Checkout, tmp_path: Path
) -> None:
    """`kill -9` of the training process; the workflow fails, and the same command goes on from there."""
    run = Checkout(shutil.copytree(finished.path, tmp_path / "run", symlinks=True))
    arguments = ["results/cut/train.json", "--config"]
    arguments += ["train_splat={steps: 400, checkpoint_every: 0.2}"]
    workflow = subprocess.Popen(
        run.command(*arguments),
        cwd=run.path,
        env=run.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    checkpoints = run.path / "results" / "cut" / "checkpoints"
    try:
        for _ in range(3000):
            assert workflow.poll() is None, workflow.communicate()[0]
            if any(checkpoints.glob("[!.]*.pt")):
                break
            time.sleep(0.02)
        for process in psutil.Process(workflow.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name().startswith("python"):
                    process.kill()
        assert "scripts.train_splat" in workflow.communicate(timeout=60)[0]
        assert workflow.returncode != 0 and any(checkpoints.glob("[!.]*.pt"))
        result = run.snakemake(*arguments)
        assert result.returncode == 0, result.stdout
        train = stage_json(run, "train")
        assert train["steps"] == train["curve"][-1]["step"] == 400
        assert 0 < train["resumed_from"] < 400
        assert not checkpoints.exists()
    finally:
        workflow.kill()
