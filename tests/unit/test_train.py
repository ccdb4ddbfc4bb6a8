"""Training on a scene with known answers: it learns, its formulae hold, its options are checked."""

from __future__ import annotations

import dataclasses
import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.lib.colmap_model import read_model
from scripts.lib.console import UserError
from scripts.lib.files import read_json, reading_zip
from scripts.lib.gaussians import read_ply
from scripts.lib.scene import load_scene
from scripts.lib.train import densify
from scripts.lib.train.initialise import Frame, frame_of, initial_tensors
from scripts.lib.train.note import read_note
from scripts.lib.train.options import SIZES, TrainOptions, resolve
from scripts.lib.train.parameters import NAMES, Parameters
from scripts.lib.train.views import visiting_order
from scripts.train_splat import main
from tests.unit.splat_scene import make_gaussians, make_views, write_scene

OFFSET = (1000.0, -500.0, 20.0)  # a georeferenced scene lies far from the origin
OPTIONS = {"device": "cpu", "steps": 150, "cap": 600, "sh_degree": 1, "resolution": 0}


@pytest.fixture(scope="module")
def scene_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "undistorted.zip"
    gaussians = make_gaussians()
    moved = dataclasses.replace(gaussians, means=gaussians.means + np.float32(OFFSET))
    write_scene(path, gaussians, make_views())
    with reading_zip(path) as archive:
        photos = {name: archive.read(name) for name in archive.namelist() if "images/" in name}
    from scripts.lib.colmap_model import Model, model_members
    from scripts.lib.files import add_to_zip, writing_zip

    views = make_views(offset=OFFSET)
    model = Model(tuple(views), moved.means.astype(float), np.full((200, 3), 128, np.uint8))
    with writing_zip(path) as archive:
        for name, data in (photos | model_members(model)).items():
            add_to_zip(archive, name, data)
    return path


def run(scene: Path, folder: Path, **options: object) -> dict[str, object]:
    arguments = ["--scene", scene, "--options", json.dumps(OPTIONS | options)]
    arguments += ["--ply", folder / "splat.ply", "--metrics", folder / "train.json"]
    main([str(argument) for argument in arguments])
    return read_json(folder / "train.json")


def test_training_learns_the_scene_and_says_how(scene_zip: Path, tmp_path: Path) -> None:
    metrics = run(scene_zip, tmp_path)
    curve = metrics["curve"]
    assert curve[-1]["psnr"] > 24 and curve[-1]["psnr"] > curve[0]["psnr"] + 3
    assert metrics["steps"] == curve[-1]["step"] == 150 and metrics["resumed_from"] is None
    gaussians = read_ply(tmp_path / "splat.ply")
    assert len(gaussians) == metrics["gaussians"] <= 600 and gaussians.sh_degree == 1
    assert np.abs(np.median(gaussians.means, axis=0) - OFFSET).max() < 0.5  # the scene's own frame
    note = read_note(tmp_path / "splat.ply")
    assert note is not None and (note.resolution, note.holdout) == (64, 8)
    assert not (tmp_path / "checkpoints").exists()


def test_same_seed_same_bytes(scene_zip: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(scene_zip, tmp_path / name, steps=40, seed=seed)
    a, b, c = ((tmp_path / name / "splat.ply").read_bytes() for name in "abc")
    assert a == b and a != c


def test_scene_of_one_photo_trains(tmp_path: Path) -> None:
    write_scene(tmp_path / "one.zip", make_gaussians(50), make_views(1))
    metrics = run(tmp_path / "one.zip", tmp_path, steps=20)
    assert metrics["curve"] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"sh_degree": 4}, "sh_degree"),
        ({"preset": "best"}, "preset"),
        ({"device": "tpu"}, "device"),
        ({"stepz": 3}, "stepz"),
    ],
)
def test_wrong_options_are_named(
    scene_zip: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run(scene_zip, tmp_path, **options)


def test_cuda_without_a_gpu_is_refused(scene_zip: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="no CUDA GPU"):
        run(scene_zip, tmp_path, device="cuda")


def test_every_preset_exists_on_every_device() -> None:
    assert {preset for preset, _ in SIZES} == {"draft", "standard", "high"}
    for preset, device in SIZES:
        settings = resolve(TrainOptions(preset=preset), device)
        assert settings.steps == SIZES[preset, device].steps
    assert resolve(TrainOptions(steps=7, resolution=0), "cpu").steps == 7


def test_frame_moves_cameras_and_points_alike() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(5, 3))
    cameras = np.stack([view.world_to_camera for view in make_views(3)])
    frame = Frame(np.array([1.0, 2, 3]), 4.0)
    before = np.einsum("vij,nj->vni", cameras[:, :3, :3], points) + cameras[:, None, :3, 3]
    inner = frame.cameras(cameras)
    after = np.einsum("vij,nj->vni", inner[:, :3, :3], frame.points(points))
    assert np.allclose(after + inner[:, None, :3, 3], before / 4)


def test_initial_gaussians_respect_the_cap(scene_zip: Path) -> None:
    scene = load_scene(scene_zip)
    device = torch.device("cpu")
    for cap in (50, 3000):
        tensors = initial_tensors(
            scene, frame_of(scene), cap=cap, sh_degree=2, seed=0, device=device
        )
        assert len(tensors["means"]) == min(cap, 2000)
        assert all(torch.isfinite(values).all() for values in tensors.values())


def test_copies_look_like_the_one_they_came_from() -> None:
    """n copies at one place cover a ray through the middle as the original did."""
    opacity = torch.tensor([0.9, 0.5, 0.2, 0.9])
    copies = torch.tensor([1, 2, 5, 60])
    new, shrink = densify.shared_out(opacity, copies)
    through = 1 - (1 - new) ** copies.clamp(max=densify.MOST_COPIES)
    assert torch.allclose(through, opacity, atol=1e-5)
    assert shrink[0] == pytest.approx(1.0) and torch.isfinite(shrink).all() and (shrink > 0).all()
    # The paper's own double sum, for two copies of an opacity of 0.5.
    o = 1 - 0.5**0.5
    assert shrink[1] == pytest.approx(0.5 / (2 * o - o * o / 2**0.5), rel=1e-5)


def test_drawing_follows_the_weights() -> None:
    generator = torch.Generator().manual_seed(0)
    picks = densify.draw(torch.tensor([0.0, 1.0, 3.0, 0.0]), 4000, generator)
    counts = torch.bincount(picks, minlength=4)
    assert counts[0] == counts[3] == 0 and 2.5 < counts[2] / counts[1] < 3.6


def test_growth_keeps_moments_and_reaches_the_target() -> None:
    tensors = {
        name: torch.randn(10, *shape)
        for name, shape in zip(NAMES, [(3,), (4,), (3,), (), (1, 3), (3, 3)], strict=True)
    }
    parameters = Parameters(tensors, 1.0)
    sum(parameters[name].square().sum() for name in NAMES).backward()
    parameters.optimiser.step()
    tensors["opacities"][0] = 5.0
    weights = torch.zeros(10)
    weights[0] = 1.0
    densify.grow(parameters, 14, weights, torch.Generator().manual_seed(0))
    assert len(parameters) == 14
    assert torch.equal(parameters["means"][10:], parameters["means"][:1].expand(4, 3))
    moments = parameters.optimiser.state[parameters["means"]]["exp_avg"]
    assert (moments[1:10] != 0).all() and (moments[10:] == 0).all()
    sum(parameters[name].square().sum() for name in NAMES).backward()
    parameters.optimiser.step()  # the optimiser still knows every row


def test_dead_gaussians_move_to_live_ones() -> None:
    shapes = [(3,), (4,), (3,), (), (1, 3), (0, 3)]
    tensors = {n: torch.randn(10, *s) for n, s in zip(NAMES, shapes, strict=True)}
    tensors["opacities"] = torch.full((10,), 2.0)
    tensors["opacities"][3] = -9.0
    parameters = Parameters(tensors, 1.0)
    moved = densify.relocate_dead(parameters, torch.ones(10), torch.Generator().manual_seed(0))
    assert moved == 1
    distances = (parameters["means"] - parameters["means"][3]).norm(dim=1)
    assert (distances == 0).sum() == 2


def test_visits_can_be_resumed_anywhere() -> None:
    whole = list(islice(visiting_order(5, 0, seed=3), 23))
    assert list(islice(visiting_order(5, 13, seed=3), 10)) == whole[13:]
    assert sorted(whole[:5]) == [0, 1, 2, 3, 4]


def test_scene_zip_is_what_the_tests_think(scene_zip: Path) -> None:
    with reading_zip(scene_zip) as archive:
        assert len(read_model(archive).views) == 12
