"""Measuring a splat and its encoded files on photos with known answers."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scripts import check_codecs, clean_splat, compress_splat, evaluate_splat
from scripts.lib.core.console import UserError
from scripts.lib.core.files import read_json, reading_zip
from scripts.lib.encode import codecs
from scripts.lib.measure import evaluate, evaluation
from scripts.lib.render.device import Device
from scripts.lib.scene.scene import load_scene
from scripts.lib.scene.split import Split
from scripts.lib.splat import pieces
from scripts.lib.splat.gaussians import Gaussians, read_ply, write_ply
from scripts.lib.train.note import TrainingNote, read_note
from tests.unit.splat_scene import make_gaussians, make_views, write_scene


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The true splat, its photos, and copies that stand for encoded files: faint and wrong."""
    base = tmp_path_factory.mktemp("scene")
    truth = make_gaussians(bands=3)
    write_scene(base / "undistorted.zip", truth, make_views())
    write_ply(base / "splat.ply", truth, (TrainingNote(64, 4).comment(),))
    write_ply(base / "close.ply", moved(truth, 1e-4))
    write_ply(base / "wrong.ply", moved(truth, 0.1))
    return base


def moved(gaussians: Gaussians, by: float) -> Gaussians:
    return dataclasses.replace(gaussians, means=gaussians.means + np.float32(by))


def test_true_splat_reproduces_its_photos(folder: Path, tmp_path: Path) -> None:
    arguments = ["--ply", folder / "splat.ply", "--scene", folder / "undistorted.zip"]
    arguments += ["--eval", tmp_path / "eval.json", "--renders", tmp_path / "renders.zip"]
    evaluate_splat.main([str(argument) for argument in arguments])
    result = read_json(tmp_path / "eval.json")
    assert result["psnr"] > 35 and result["ssim"] > 0.95 and result["held_out"]  # JPEG's own loss
    names = [view["name"] for view in result["views"]]
    assert sorted(names) == ["photo_00.jpg", "photo_04.jpg", "photo_08.jpg"]
    psnrs = [view["psnr"] for view in result["views"]]
    assert psnrs == sorted(psnrs) and result["psnr"] == pytest.approx(np.mean(psnrs))
    with reading_zip(tmp_path / "renders.zip") as archive:
        assert len(archive.namelist()) == 9
        error = Image.open(io.BytesIO(archive.read("photo_04.jpg.error.jpg")))
        assert error.size == (64, 48) and np.asarray(error).mean() < 30


def test_far_from_the_origin_is_as_sharp(folder: Path, tmp_path: Path) -> None:
    offset = (4096.0, -2048.0, 64.0)
    truth = make_gaussians()
    write_scene(tmp_path / "near.zip", truth, make_views(2))
    far = dataclasses.replace(truth, means=truth.means + np.float32(offset))
    write_scene(tmp_path / "far.zip", truth, make_views(2, offset))
    pictures = {}
    for name, gaussians in (("near", truth), ("far", far)):
        views = evaluate.choose_views(
            tmp_path / "none.ply", tmp_path / f"{name}.zip", evaluate.Purpose.JUDGE
        )
        pictures[name] = next(evaluate.render_views(gaussians, views, "cpu"))
    assert np.abs(pictures["near"] - pictures["far"]).max() < 0.02


def test_without_unseen_views_it_says_so(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ply = tmp_path / "splat.ply"
    write_ply(ply, read_ply(folder / "splat.ply"), (TrainingNote(64, 0).comment(),))
    result = measured(ply, folder, tmp_path)
    assert result["held_out"] is False and len(result["views"]) == 8
    assert "There are no test photos" in capsys.readouterr().out


def test_a_splat_that_does_not_tell_its_training_is_not_called_unseen(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = measured(folder / "close.ply", folder, tmp_path)
    assert result["held_out"] is False and len(result["views"]) == 2
    assert "may be among them" in capsys.readouterr().out


def test_each_stage_reads_the_split_of_the_training(folder: Path, tmp_path: Path) -> None:
    """What judges is measured by evaluate_splat and check_codecs alone; the rest looks at what steers."""
    names = load_scene(folder / "undistorted.zip").names
    split = Split([n for n in range(12) if n not in (0, 1, 5, 8, 9)], [5, 9], [0, 8], [1])
    note = TrainingNote(64, 8, split=split.record(names))
    write_ply(tmp_path / "splat.ply", read_ply(folder / "splat.ply"), (note.comment(),))
    shutil.copy(folder / "undistorted.zip", tmp_path)
    judging, steering = ["photo_00.jpg", "photo_08.jpg"], ["photo_05.jpg", "photo_09.jpg"]
    inputs = ["--ply", str(tmp_path / "splat.ply"), "--scene", str(tmp_path / "undistorted.zip")]

    result = measured(tmp_path / "splat.ply", folder, tmp_path)
    assert sorted(view["name"] for view in result["views"]) == judging and result["held_out"]
    counts = {"trained": 7, "steering": 2, "judged": 2, "left_out": 1, "one_set": False}
    assert result["split_counts"] == counts

    cleaned = ["--output", str(tmp_path / "clean.ply"), "--metrics", str(tmp_path / "clean.json")]
    clean_splat.main([*inputs, *cleaned])
    result = read_json(tmp_path / "clean.json")
    assert result["views"] == steering and result["measured_on"] == "steering"
    assert read_note(tmp_path / "clean.ply") == note, "the split travels on"

    inputs[1] = str(tmp_path / "clean.ply")
    made = ["--sog", str(tmp_path / "x.sog"), "--metrics", str(tmp_path / "compress.json")]
    compress_splat.main([*inputs, *made])
    result = read_json(tmp_path / "compress.json")
    assert result["views"] == steering and result["measured_on"] == "steering"
    assert not set(result["views_trained"]) & {*steering, *judging, "photo_01.jpg"}

    checked = ["--encoded", str(tmp_path / "x.sog"), "--metrics", str(tmp_path / "codecs.json")]
    check_codecs.main([*inputs, *checked, "--options", '{"max_loss_db": 9}'])
    result = read_json(tmp_path / "codecs.json")
    assert result["views"] == judging and result["split_counts"] == counts

    write_scene(tmp_path / "other.zip", make_gaussians(20), make_views(11))
    with pytest.raises(UserError, match="trained on other photos than those of .*other.zip"):
        measured(tmp_path / "splat.ply", folder, tmp_path, tmp_path / "other.zip")


@pytest.mark.parametrize("program", [evaluate_splat, check_codecs])
def test_no_later_stage_chooses_its_own_photos(program: ModuleType, tmp_path: Path) -> None:
    arguments = ["--ply", "a.ply", "--scene", "a.zip", "--options", '{"holdout": 3}']
    arguments += (
        ["--eval", "e.json", "--renders", "r.zip"]
        if program is evaluate_splat
        else ["--encoded", "a.sog", "--metrics", "c.json"]
    )
    with pytest.raises(UserError, match="unknown option 'holdout'"):
        program.main(arguments)


def measured(ply: Path, folder: Path, out: Path, scene: Path | None = None) -> dict[str, Any]:
    """What evaluate_splat finds."""
    evaluation.evaluate_splat(
        ply,
        scene or folder / "undistorted.zip",
        evaluation.EvaluateOptions(),
        out / "eval.json",
        out / "renders.zip",
        Device("cpu", "a test"),
    )
    found: dict[str, Any] = read_json(out / "eval.json")
    return found


def test_a_splat_in_pieces_is_measured_alike(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("whole", "pieces"):
        (tmp_path / name).mkdir()
    whole = measured(folder / "splat.ply", folder, tmp_path / "whole")
    monkeypatch.setattr(pieces, "WHOLE", 0)
    monkeypatch.setattr(pieces, "PIECE", 50)
    monkeypatch.setattr(pieces, "read_ply", None)
    some = measured(folder / "splat.ply", folder, tmp_path / "pieces")
    assert some["gaussians"] == whole["gaussians"]
    for key in ("psnr", "ssim", "flip", "psnr_pose_refined", "psnr_exposure_fitted"):
        assert some[key] == pytest.approx(whole[key], abs=0.01), key
    for share, wanted in whole["needles"].items():
        assert some["needles"][share] == pytest.approx(wanted, abs=1e-4), share


def check(folder: Path, name: str, metrics: Path, **options: object) -> None:
    """Run check_codecs on `name` under the suffix of a SOG, decoded as the PLY it is."""
    arguments = ["--ply", folder / "splat.ply", "--scene", folder / "undistorted.zip"]
    arguments += ["--encoded", folder / f"{name}.sog", "--metrics", metrics]
    arguments += ["--options", json.dumps(options)]
    check_codecs.main([str(argument) for argument in arguments])


@pytest.fixture
def decoding_ply(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `x.sog` stand for `x.ply`, so that the gate is tested without an encoder."""
    real = codecs.decode
    monkeypatch.setattr(codecs, "decode", lambda path: real(path.with_suffix(".ply")))
    for name in ("close", "wrong"):
        (folder / f"{name}.sog").write_bytes(b"123")


@pytest.mark.usefixtures("decoding_ply")
def test_faithful_file_passes_the_gate(folder: Path, tmp_path: Path) -> None:
    check(folder, "close", tmp_path / "codecs.json")
    result = read_json(tmp_path / "codecs.json")
    sog, ply = result["formats"]["sog"], result["formats"]["ply"]
    assert result["passed"] and sog["bytes"] == 3 and abs(sog["delta_psnr"]) < 0.1
    assert sog["psnr_to_ply"] > 45 and ply["psnr_to_ply"] == 100 and ply["delta_psnr"] == 0


@pytest.mark.usefixtures("decoding_ply")
def test_lossy_file_is_refused_after_its_numbers_are_written(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="wrong.sog loses .* more than the limit of 0.5 dB"):
        check(folder, "wrong", tmp_path / "codecs.json")
    result = read_json(tmp_path / "codecs.json")
    assert not result["passed"] and result["formats"]["sog"]["delta_psnr"] < -5
    check(folder, "wrong", tmp_path / "codecs.json", max_loss_db=60)


def test_note_survives_in_the_ply(folder: Path, tmp_path: Path) -> None:
    assert read_note(folder / "splat.ply") == TrainingNote(64, 4)
    assert read_note(folder / "close.ply") is None and read_note(tmp_path / "none.ply") is None


def test_a_photo_of_another_exposure_is_fitted() -> None:
    """Gain and offset of each colour are found; what is hidden does not count; nothing is divided by zero."""
    render = np.random.default_rng(0).uniform(0.2, 0.6, (12, 16, 3)).astype(np.float32)
    photo = render * np.float32([1.2, 0.8, 1.1]) + np.float32([0.05, 0.0, -0.04])
    photo[:4] = np.nan
    assert evaluate.visible_psnr(render, photo) < 25
    assert evaluate.visible_psnr(evaluate.exposed_as(render, photo), photo) > 60
    flat = np.full_like(render, 0.3)
    assert evaluate.exposed_as(flat, flat + 0.2) == pytest.approx(flat + 0.2)
    hidden = np.full_like(render, np.nan)
    assert np.array_equal(evaluate.exposed_as(render, hidden), render)
