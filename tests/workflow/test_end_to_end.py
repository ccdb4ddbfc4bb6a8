"""One true run on a cut-down capture by a phone, photos to page; tests look at it and change only copies."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.contracts.record import read
from scripts.lib.contracts.request import RunRequest
from scripts.lib.encode.codecs import decode
from scripts.lib.measure.metrics import psnr
from scripts.lib.scene.scene import load_scene
from scripts.lib.splat.gaussians import read_ply
from scripts.lib.studio import keeper
from scripts.lib.studio.home import Home, opened
from scripts.lib.studio.store import Store
from scripts.lib.studio.studio import Studio
from scripts.lib.web.verify import problems
from tests.truth import align, read_truth
from tests.unit.studio.conftest import SECRET, Served, Serving, serve  # noqa: F401
from tests.unit.web.crate_validator import found_in
from tests.web import browser
from tests.workflow.conftest import (
    CUT_DOWN_FILES,
    CUT_DOWN_PHOTOS,
    CUT_DOWN_UNUSABLE,
    Checkout,
    jobs_per_rule,
)
from tests.workflow.through_studio import HOME as STUDIO
from tests.workflow.through_studio import REACHED, watched

pytestmark = pytest.mark.timeout(1500)  # other work may keep this machine busy

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


def test_killed_training_continues(finished: Checkout) -> None:
    """From its latest checkpoint, after a power cut and after `kill -9` of the training alone."""
    train = stage_json(finished, "train")
    if not (finished.path / STUDIO).exists():
        pytest.skip("without a browser, the run is not interrupted")
    reached = int((finished.path / REACHED).read_text())
    assert train["steps"] == train["curve"][-1]["step"] == train["planned_steps"]
    assert 0 < reached <= train["resumed_from"] < train["steps"]
    assert not (finished.path / "results" / "cut" / "checkpoints").exists()
    assert not list((finished.path / "results" / "cut").glob("live.*"))


@pytest.fixture
def shown(
    finished: Checkout,
    chromium: Any,
    serve: Serving,  # noqa: F811
    tmp_path: Path,
) -> Iterator[tuple[Served, Any]]:
    """A copy of the studio that made the run, with nobody at work in it, and its page."""
    home = shutil.copytree(finished.path / STUDIO, tmp_path / "home", copy_function=os.link)
    for name in ("studio.db", "lock"):  # what is written in place
        (home / name).unlink()
        shutil.copy(finished.path / STUDIO / name, home / name)
    with opened(home) as folder:
        store = Store(folder.database)
        served = serve(Studio(folder, store, SECRET))
        with watched(chromium, served.url) as page:
            yield served, page
        store.close()


def test_the_scene_is_opened_from_the_gallery_drawn_and_deleted(
    finished: Checkout, shown: tuple[Served, Any]
) -> None:
    """And before it is deleted, made again with another quality, which finds no camera anew."""
    served, page = shown
    page.locator(".scene img").wait_for()
    page.locator(".scene a").click()
    with page.expect_popup() as report:
        page.get_by_role("link", name="The report").click()
    report.value.get_by_role("heading", name="How good it is").wait_for()
    report.value.close()
    compare_picture(finished, page)
    page.get_by_role("button", name="Change and run again").click()
    page.get_by_role("dialog").get_by_text("High").click()
    page.get_by_role("button", name="Run again", exact=True).click()
    page.get_by_text("Waiting for its turn").wait_for()
    (job,) = (served.studio.home.path / "jobs").iterdir()
    planned = would_run(finished, job)
    assert planned["train_splat"] == planned["bundle_web"] == 1
    assert not set(planned) & {"import_photos", "extract_features", "match_photos", "map_scene"}
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_role("link", name="Make your first scene").wait_for()
    assert not list((served.studio.home.path / "jobs").iterdir())
    assert not list((served.studio.home.path / "uploads").iterdir())


def compare_picture(finished: Checkout, page: Any) -> None:
    """The page of the scene draws what our own rasteriser draws, from the camera of a test photo."""
    from scripts.lib.visit.poster import render

    home = finished.path / "results" / "cut"
    scene = load_scene(home / "undistorted.zip", 100)
    pose = scene.world_to_camera[
        scene.names.index(stage_json(finished, "eval")["views"][0]["name"])
    ]
    gaussians = decode(home / "web" / "scene.sog")
    wanted = render(gaussians, pose, browser.intrinsics(), browser.SIZE, browser.BACKGROUND)
    address = page.get_by_role("link", name="Open in a window of its own").get_attribute("href")
    other = page.context.new_page()
    other.set_viewport_size({"width": browser.SIZE[0], "height": browser.SIZE[1]})
    other.goto(address + browser.posed(pose))
    other.wait_for_selector(browser.SETTLED, state="attached")
    assert browser.state(other) == "ready"
    assert psnr(browser.drawn(other), wanted) > 30
    other.close()


def would_run(finished: Checkout, job: Path) -> dict[str, int]:
    """What Snakemake would run, started as the keeper starts it."""
    request = read(RunRequest, job / RunRequest.file)
    # The photos are where they were: only this studio is a copy.
    keeper.prepare(job, Home(finished.path / STUDIO), request)
    command = keeper.command("2")[3:]  # behind `python -m snakemake`
    command[command.index("-s") + 1] = str(finished.path / "Snakefile")
    made = Checkout(job).dry_run(*command)
    assert made.returncode == 0, made.stdout
    return jobs_per_rule(made.stdout)
