"""Cleaning: what no camera saw goes, what the views need stays, and the numbers say which."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from scripts import clean_splat
from scripts.lib.core.console import UserError
from scripts.lib.core.files import read_json
from scripts.lib.measure import visibility
from scripts.lib.measure.clean import CleanOptions, cropped, suspects
from scripts.lib.scene.scene import load_scene
from scripts.lib.splat import pieces
from scripts.lib.splat.gaussians import Gaussians, read_ply, write_ply
from scripts.lib.train.note import TrainingNote, read_note
from tests.unit.splat_scene import make_gaussians, make_views, write_scene

TRUE = 200


def stacked(*parts: Gaussians) -> Gaussians:
    names = parts[0].arrays
    return Gaussians(**{n: np.concatenate([part.arrays[n] for part in parts]) for n in names})


def rubbish() -> Gaussians:
    """20 nearly transparent ones, 10 far ones behind every camera's back, one needle."""
    base = make_gaussians(31, seed=9)
    means, opacities, scales = base.means.copy(), base.opacities.copy(), base.scales.copy()
    opacities[:20] = -8.0
    angle = np.linspace(0, 6, 10)
    means[20:30] = np.stack([40 * np.cos(angle), 40 * np.sin(angle), 0 * angle + 30], 1)
    means[30], scales[30], opacities[30] = [0, 0, 0.9], np.log([1.5, 0.005, 0.005]), 2.0
    return dataclasses.replace(base, means=means, opacities=opacities, scales=scales)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("clean")
    truth = make_gaussians(TRUE)
    write_scene(base / "undistorted.zip", truth, make_views())
    write_ply(base / "splat.ply", stacked(truth, rubbish()), (TrainingNote(64, 4).comment(),))
    return base


def run(folder: Path, out: Path, **options: object) -> tuple[Gaussians, dict]:
    arguments = ["--ply", folder / "splat.ply", "--scene", folder / "undistorted.zip"]
    arguments += ["--output", out / "clean.ply", "--metrics", out / "clean.json"]
    arguments += ["--options", json.dumps(options)]
    clean_splat.main([str(argument) for argument in arguments])
    return read_ply(out / "clean.ply"), read_json(out / "clean.json")


def test_rubbish_goes_and_the_scene_stays(folder: Path, tmp_path: Path) -> None:
    kept, numbers = run(folder, tmp_path)
    assert len(kept) == numbers["gaussians_after"] and numbers["gaussians_before"] == TRUE + 31
    filters = numbers["filters"]
    assert filters["transparent"]["count"] == 20 and filters["transparent"]["applied"]
    assert filters["needle"] | {"psnr": 0} == {"count": 1, "applied": True, "psnr": 0}
    gone = [f["count"] for f in filters.values() if f["applied"]]
    assert sum(gone) == TRUE + 31 - len(kept)
    assert np.linalg.norm(kept.means, axis=1).max() < 5, "the far ones are still there"
    assert len(kept) >= 0.95 * TRUE, "more than rubbish was left out"
    assert numbers["psnr_after"] >= numbers["psnr_before"] - 0.05
    assert read_note(tmp_path / "clean.ply") == TrainingNote(64, 4)


def test_a_splat_in_pieces_is_cleaned_to_the_same_bytes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crop = {"box": [[-3, -3, -3], [3, 3, 3]]}
    for name in ("whole", "pieces"):
        (tmp_path / name).mkdir()
    _, whole = run(folder, tmp_path / "whole", crop=crop)
    monkeypatch.setattr(pieces, "WHOLE", 0)
    monkeypatch.setattr(pieces, "PIECE", 50)
    _, numbers = run(folder, tmp_path / "pieces", crop=crop)
    assert (tmp_path / "pieces" / "clean.ply").read_bytes() == (
        tmp_path / "whole" / "clean.ply"
    ).read_bytes()
    for key in ("gaussians_after", "cropped"):
        assert numbers[key] == whole[key]
    for name, told in whole["filters"].items():
        assert numbers["filters"][name]["count"] == told["count"]
        assert numbers["filters"][name].get("psnr") == pytest.approx(told.get("psnr"), abs=1e-3)


def test_what_training_called_sky_is_not_too_far(folder: Path, tmp_path: Path) -> None:
    """The note in the PLY says where the sky begins; the ten far ones stand 50 units away."""
    for begins, count in ((45.0, 0), (60.0, 10)):
        note = TrainingNote(64, 4, sky_from=begins)
        write_ply(tmp_path / "splat.ply", read_ply(folder / "splat.ply"), (note.comment(),))
        shutil.copy(folder / "undistorted.zip", tmp_path)
        _, numbers = run(tmp_path, tmp_path, min_views=0)  # or they went as unseen
        assert numbers["filters"]["far"]["count"] == count
        assert read_note(tmp_path / "clean.ply") == note


def test_a_filter_that_hurts_is_not_applied(folder: Path, tmp_path: Path) -> None:
    """Told to call everything below half opacity transparent, it measures, and leaves it be."""
    kept, numbers = run(folder, tmp_path, min_opacity=0.95)
    entry = numbers["filters"]["transparent"]
    assert entry["count"] > 50 and not entry["applied"]
    assert entry["psnr"] < numbers["psnr_before"] - 0.02
    assert len(kept) > TRUE - 20


def test_it_can_be_switched_off(folder: Path, tmp_path: Path) -> None:
    kept, numbers = run(folder, tmp_path, enabled=False)
    assert len(kept) == TRUE + 31 and numbers["filters"] == {}
    assert (tmp_path / "clean.ply").read_bytes() == (folder / "splat.ply").read_bytes()


def test_switched_off_it_only_crops(folder: Path, tmp_path: Path) -> None:
    """No filter is tried, not even by a crop that keeps all."""
    kept, numbers = run(folder, tmp_path, enabled=False, crop={"sphere": [0, 0, 0, 1000]})
    assert len(kept) == TRUE + 31 and numbers["filters"] == {} and numbers["cropped"] == 0
    kept, numbers = run(folder, tmp_path, enabled=False, crop={"sphere": [0, 0, 0, 5]})
    assert len(kept) == TRUE + 21 and numbers["cropped"] == 10
    assert read_note(tmp_path / "clean.ply") == TrainingNote(64, 4)


def test_filters_and_crop_that_together_leave_nothing_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    """The crop holds only what the filters take: one Gaussian that no camera sees."""
    far = read_ply(folder / "splat.ply").means[TRUE + 20]
    crop = {"sphere": [*far.astype(float).tolist(), 0.5]}
    with pytest.raises(
        UserError, match="holds 1 Gaussians .* all of which the filters would remove"
    ):
        run(folder, tmp_path, crop=crop)
    assert not (tmp_path / "clean.ply").exists()
    kept, _ = run(folder, tmp_path, enabled=False, crop=crop)
    assert len(kept) == 1


def test_a_crop_is_made_and_an_empty_one_refused(folder: Path, tmp_path: Path) -> None:
    kept, numbers = run(folder, tmp_path, crop={"box": [[0, -1, -1], [1, 1, 1]]})
    assert (kept.means[:, 0] >= 0).all() and numbers["cropped"] > 50
    with pytest.raises(UserError, match="leaves no Gaussian"):
        run(folder, tmp_path, crop={"sphere": [100, 0, 0, 1]})


@pytest.mark.parametrize(
    "crop", [{"box": [1, 2]}, {"sphere": [0, 0, 0, -1]}, {"cone": 1}, {"box": 3}]
)
def test_a_crop_that_makes_no_sense_is_refused(crop: dict) -> None:
    with pytest.raises(UserError, match="crop"):
        cropped(np.zeros((3, 3)), crop)


def test_weights_are_what_a_picture_is_made_of(folder: Path) -> None:
    """Blend weights of all Gaussians in a view sum to the picture's opacity, pixel by pixel."""
    gaussians = make_gaussians(TRUE)
    scene = load_scene(folder / "undistorted.zip")
    found = visibility.measure(gaussians, scene, [0], "cpu")
    white = dataclasses.replace(
        gaussians, sh0=np.full((TRUE, 3), 0.5 / 0.28209479177387814, np.float32)
    )
    from scripts.lib.measure.evaluate import Views, render_views
    from scripts.lib.scene.split import split_scene

    views = Views(scene, [0], False, split_scene(scene, 0))
    alpha = next(render_views(white, views, "cpu"))[..., 0]
    assert found.weight.sum() == pytest.approx(alpha.sum(), rel=0.01)
    assert set(np.unique(found.views)) <= {0, 1}
    hidden = stacked(
        gaussians,
        dataclasses.replace(gaussians.take(np.array([0])), means=np.float32([[0, 0, -50]])),
    )
    assert visibility.measure(hidden, scene, [0, 3], "cpu").views[-1] == 0


def test_sheets_and_the_far_are_told_apart() -> None:
    gaussians = make_gaussians(5)
    means, scales = gaussians.means.copy(), gaussians.scales.copy()
    means[0] = [60, 0, 0]
    scales[1] = np.log([3.0, 3.0, 0.01])
    some = dataclasses.replace(gaussians, means=means, scales=scales)
    seen = visibility.Visibility(np.ones(5), np.full(5, 9))
    centres = np.array([[2.0, 0, 0], [-2, 0, 0], [0, 2, 0]])
    masks = suspects(some, seen, centres, gaussians.means.astype(float), CleanOptions())
    assert masks["far"].tolist() == [True, False, False, False, False]
    under_sky = suspects(
        some, seen, centres, gaussians.means.astype(float), CleanOptions(), sky_from=20.0
    )
    assert not under_sky["far"].any()  # it is the sky
    assert masks["sheet"].tolist() == [False, True, False, False, False]
    assert not masks["unseen"].any() and not masks["needle"].any()
