"""What a training shows while it goes on: a picture that is near the photo, numbers, and no other result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.lib.contracts.live import Live
from scripts.lib.contracts.record import read
from scripts.lib.measure.metrics import psnr
from scripts.lib.scene.scene import load_scene
from scripts.lib.train import live
from scripts.lib.train.live import PICTURE, Watched
from scripts.lib.train.options import Capture, TrainOptions, resolve
from scripts.lib.train.trainer import Trainer
from scripts.train_splat import main
from tests.unit.splat_scene import make_gaussians, make_views, write_scene

STEPS = 60
OPTIONS = {"steps": STEPS, "max_gaussians": 300, "sh_degree": 1, "resolution": 0}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "undistorted.zip"
    write_scene(path, make_gaussians(), make_views())
    return path


def trained(scene: Path, folder: Path) -> bytes:
    """The splat of a whole run in a folder."""
    folder.mkdir()
    arguments = ["--scene", scene, "--options", json.dumps(OPTIONS), "--device", "cpu"]
    arguments += ["--ply", folder / "splat.ply", "--metrics", folder / "train.json"]
    main([str(argument) for argument in arguments])
    return (folder / "splat.ply").read_bytes()


def test_looking_changes_nothing_and_leaves_nothing(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    before = trained(scene, tmp_path / "unseen")
    for name in ("NUMBERS_SECONDS", "PICTURE_SECONDS"):
        monkeypatch.setattr(live, name, 0.0)
    monkeypatch.setattr(live, "SHARE", 1e9)
    monkeypatch.setattr(live, "write_bytes", lambda path, data: seen.append(len(data)))
    assert trained(scene, tmp_path / "seen") == before
    assert len(seen) >= STEPS - 1
    assert {path.name for path in (tmp_path / "seen").iterdir()} == {"splat.ply", "train.json"}


@pytest.fixture
def trainer(scene: Path) -> Trainer:
    loaded = load_scene(scene, 0)
    options = TrainOptions(**OPTIONS)  # type: ignore[arg-type]
    made = Trainer(loaded, resolve(options, "cpu", Capture.of(loaded.sizes)))
    for _ in range(STEPS // 2):
        made.advance()
    return made


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_picture_shows_the_photo_that_it_names(trainer: Trainer, tmp_path: Path) -> None:
    clock = Clock()
    watched = Watched(tmp_path, clock)
    watched.look(trainer)
    assert not list(tmp_path.iterdir()), "the first step compiles: there is no pace yet"
    trainer.advance()
    clock.now += 10
    watched.look(trainer)
    told = read(Live, tmp_path / Live.file)
    assert (told.step, told.steps, told.pictured) == (STEPS // 2 + 1, STEPS, STEPS // 2 + 1)
    assert told.eta_seconds == pytest.approx(10 * (STEPS // 2 - 1))
    assert told.gaussians == len(trainer.parameters)
    assert told.picture is not None
    shown = np.asarray(Image.open(tmp_path / PICTURE), np.float32) / 255
    index = trainer.scene.names.index(told.picture)
    photo = trainer.scene.photos([index])[0].astype(np.float32) / 255
    others = [n for n in range(len(trainer.scene)) if n != index]
    closest = max(psnr(shown, p.astype(np.float32) / 255) for p in trainer.scene.photos(others))
    assert psnr(shown, photo) > closest


def test_pictures_take_a_hundredth_of_the_time(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, drawn = Clock(), []

    def slow(_: object, __: object) -> None:
        drawn.append(clock.now)
        clock.now += 3.0

    monkeypatch.setattr(Watched, "_draw", slow)
    monkeypatch.setattr(live, "write", lambda *_: None)
    watched = Watched(tmp_path, clock)
    begun = clock.now
    while clock.now - begun < 3000:
        clock.now += 1.0
        watched.look(trainer)
    assert 3 * len(drawn) <= 0.011 * 3000 + 3 and len(drawn) >= 9


def test_a_full_disk_costs_only_the_picture(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    clock = Clock()
    monkeypatch.setattr(live, "write_bytes", full)
    watched = Watched(tmp_path, clock)
    watched.look(trainer)
    clock.now += 10
    watched.look(trainer)
    assert not list(tmp_path.iterdir())
