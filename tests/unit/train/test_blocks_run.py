"""A scene in two blocks by the programs of the workflow: planned, trained, killed, continued and merged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scripts import merge_blocks, plan_blocks, train_block, train_coarse, train_splat
from scripts.lib.contracts.blocks import Blocks
from scripts.lib.contracts.record import read
from scripts.lib.contracts.train import Train
from scripts.lib.core.console import UserError
from scripts.lib.measure.metrics import psnr
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.blocks import within
from scripts.lib.scene.scene import load_scene
from scripts.lib.scene.split import split_scene
from scripts.lib.splat.gaussians import read_ply
from scripts.lib.train.blocks_run import part_of
from scripts.lib.train.checkpoint import Checkpoints
from scripts.lib.train.note import read_note
from scripts.lib.train.options import TrainOptions
from tests.unit.splat_scene import make_gaussians, make_views, write_scene

OPTIONS = {
    "preset": "draft",
    "steps": 250,
    "sh_degree": 0,
    "max_gaussians": 600,
    "test_every": 6,
    "sky": False,
    "checkpoint_every": 1e-6,
}


def words(folder: Path, name: str, *more: object) -> list[str]:
    """What all programs that train are told."""
    told = ["--scene", folder / "undistorted.zip", "--options", json.dumps(OPTIONS)]
    told += ["--ply", folder / f"{name}.ply", "--metrics", folder / f"{name}.json"]
    told += ["--checkpoints", folder / f"{name}.checkpoints", "--device", "cpu", *more]
    return [str(word) for word in told]


def block_words(folder: Path, number: int, name: str = "") -> list[str]:
    more = ("--plan", folder / "plan.json", "--coarse", folder / "coarse.ply", "--block", number)
    return words(folder, name or str(number), *more)


def merge_words(folder: Path, *numbers: int) -> list[str]:
    told = ["--plan", "plan.json", "--coarse", "coarse.ply", "coarse.json", "--blocks"]
    told += [f"{number}.ply" for number in numbers]
    told += ["--numbers", *(f"{number}.json" for number in numbers)]
    told += ["--ply", "splat.ply", "--metrics", "train.json"]
    return [word if word.startswith("--") else str(folder / word) for word in told]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files of a scene in two blocks, and `one.ply`, the same trained as one."""
    folder = tmp_path_factory.mktemp("blocks")
    write_scene(folder / "undistorted.zip", make_gaussians(150), make_views(18))
    plan = ["--scene", str(folder / "undistorted.zip"), "--blocks", "2"]
    plan_blocks.main([*plan, "--plan", str(folder / "plan.json")])
    train_coarse.main(words(folder, "coarse"))
    for number in (1, 2):
        train_block.main(block_words(folder, number))
    merge_blocks.main(merge_words(folder, 1, 2))
    train_splat.main(words(folder, "one"))
    return folder


def held_out(folder: Path, ply: str) -> float:
    """dB of a splat on the test photos."""
    scene, renderer = load_scene(folder / "undistorted.zip"), Renderer(read_ply(folder / ply))
    judged = split_scene(scene, 6).judged
    found = []
    for row, photo in zip(judged, scene.photos(judged), strict=True):
        view = (scene.world_to_camera[row], scene.K[row], scene.sizes[row])
        found.append(psnr(renderer.picture(*view), photo.astype(np.float32) / 255))
    return float(np.mean(found))


def test_two_blocks_show_what_one_training_shows(folder: Path) -> None:
    """The seam goes through the middle of what all photos show."""
    merged, one, coarse = (held_out(folder, f"{n}.ply") for n in ("splat", "one", "coarse"))
    assert merged > one - 0.2, (merged, one, coarse)
    assert merged > coarse, (merged, coarse)


def test_each_gaussian_comes_from_the_block_that_owns_its_place(folder: Path) -> None:
    plan, metrics = read(Blocks, folder / "plan.json"), read(Train, folder / "train.json")
    splat = read_ply(folder / "splat.ply")
    assert [part.number for part in metrics.blocks] == [0, 1, 2]
    assert metrics.gaussians == len(splat) == sum(part.kept for part in metrics.blocks)
    sources = ["coarse.ply", "1.ply", "2.ply"]
    begin = 0
    for part, name in zip(metrics.blocks, sources, strict=True):
        rows = splat.take(np.arange(begin, begin + part.kept))
        begin += part.kept
        made = read_ply(folder / name)
        assert part.gaussians == len(made)
        cell = plan.blocks[part.number - 1].cell
        own = within(made.means, cell) if part.number else ~within(made.means, plan.bounds)
        assert np.array_equal(rows.means, made.means[own])
    assert all(part.kept > 20 for part in metrics.blocks[1:])


def test_the_numbers_are_those_of_all_trainings(folder: Path) -> None:
    metrics = read(Train, folder / "train.json")
    parts = [read(Train, folder / f"{name}.json") for name in ("coarse", 1, 2)]
    assert metrics.steps == sum(part.steps for part in parts)
    assert metrics.seconds == pytest.approx(sum(part.seconds for part in parts), abs=0.02)
    assert metrics.peak_memory_mb == max(part.peak_memory_mb for part in parts)
    assert metrics.split == read(Train, folder / "one.json").split, "of the whole scene"
    steps = [point.step for point in metrics.curve]
    assert steps == sorted(steps) and steps[-1] == metrics.steps
    note, one = read_note(folder / "splat.ply"), read_note(folder / "one.ply")
    assert note is not None and one is not None
    assert note == one, "later stages find the same test photos"


class Killed(BaseException):
    """The machine is taken away."""


def test_a_block_that_was_killed_goes_on_and_ends_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, kept = Checkpoints.save, []

    def save(store: Checkpoints, step: int, state: object) -> None:
        keep(store, step, state)  # type: ignore[arg-type]
        kept.append(step)
        if len(kept) == 90:
            raise Killed

    monkeypatch.setattr(Checkpoints, "save", save)
    with pytest.raises(Killed):
        train_block.main(block_words(folder, 1, "again"))
    assert not (folder / "again.ply").exists()
    train_block.main(block_words(folder, 1, "again"))
    assert read(Train, folder / "again.json").resumed_from == kept[89]
    assert (folder / "again.ply").read_bytes() == (folder / "1.ply").read_bytes()


def test_photos_do_in_a_block_what_they_do_in_the_whole(folder: Path) -> None:
    scene, plan = load_scene(folder / "undistorted.zip"), read(Blocks, folder / "plan.json")
    whole = split_scene(scene, 6)
    options = TrainOptions(test_every=6)
    for planned in plan.blocks:
        part, split = part_of(scene, planned, options)
        assert part.names == planned.photos
        for own, all_of in ((split.trained, whole.trained), (split.judged, whole.judged)):
            names = {scene.names[row] for row in all_of} & set(planned.photos)
            assert {part.names[row] for row in own} == names and names


def test_blocks_of_another_plan_are_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="has 2 blocks, but 1 were trained; run plan_blocks again"):
        merge_blocks.main(merge_words(folder, 1))
    with pytest.raises(UserError, match="has no block 3; run plan_blocks again"):
        train_block.main(block_words(folder, 3))
