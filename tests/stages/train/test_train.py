"""Training on a scene with known answers: it learns, its formulae hold, its options are checked."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scripts.lib.contracts.record import to_json
from scripts.lib.core import provenance
from scripts.lib.core.console import UserError
from scripts.lib.core.files import add_to_zip, read_json, reading_zip, writing_zip
from scripts.lib.measure import evaluate
from scripts.lib.render.rasterise import rasterise
from scripts.lib.render.rasterise.reference import rotations
from scripts.lib.scene.colmap_model import read_model
from scripts.lib.scene.scene import load_scene
from scripts.lib.scene.split import recorded, split_scene
from scripts.lib.splat.gaussians import read_ply
from scripts.lib.train import densify, memory, photos, setup, thinning
from scripts.lib.train.cameras import Poses
from scripts.lib.train.initialise import (
    START_SHARE,
    Frame,
    frame_of,
    initial_tensors,
    topped_up,
)
from scripts.lib.train.note import TrainingNote, read_note
from scripts.lib.train.options import PRESETS, Capture, TrainOptions, resolve
from scripts.lib.train.parameters import NAMES, SH_REST, Parameters
from scripts.lib.train.quality import square_error
from scripts.lib.train.stream import AHEAD, StreamedPhotos
from scripts.lib.train.trainer import Trainer
from scripts.lib.train.views import Schedule, Stack, halved, load_stacks
from scripts.train_splat import main
from tests.unit.splat_scene import (
    make_gaussians,
    make_views,
    photograph,
    picture_shift,
    unsteady,
    write_photos,
    write_scene,
)

OFFSET = (1000.0, -500.0, 20.0)  # a georeferenced scene lies far from the origin
OPTIONS = {"steps": 200, "max_gaussians": 600, "sh_degree": 1, "resolution": 0}


@pytest.fixture(scope="module")
def scene_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "undistorted.zip"
    gaussians = make_gaussians()
    moved = dataclasses.replace(gaussians, means=gaussians.means + np.float32(OFFSET))
    write_scene(path, gaussians, make_views())
    with reading_zip(path) as archive:
        photos = {name: archive.read(name) for name in archive.namelist() if "images/" in name}
    from scripts.lib.core.files import add_to_zip, writing_zip
    from scripts.lib.scene.colmap_model import Model, model_members

    views = make_views(offset=OFFSET)
    model = Model(tuple(views), moved.means.astype(float), np.full((200, 3), 128, np.uint8))
    with writing_zip(path) as archive:
        for name, data in (photos | model_members(model)).items():
            add_to_zip(archive, name, data)
    return path


def run(scene: Path, folder: Path, **options: object) -> dict[str, object]:
    arguments = ["--scene", scene, "--options", json.dumps(OPTIONS | options)]
    arguments += ["--ply", folder / "splat.ply", "--metrics", folder / "train.json"]
    main([str(argument) for argument in arguments] + ["--device", "cpu"])
    return read_json(folder / "train.json")


def test_training_learns_the_scene_and_says_how(scene_zip: Path, tmp_path: Path) -> None:
    metrics = run(scene_zip, tmp_path)
    curve = metrics["curve"]
    assert curve[-1]["psnr"] > 24 and curve[-1]["psnr"] > curve[0]["psnr"] + 3
    assert metrics["steps"] == curve[-1]["step"] == 200 and metrics["resumed_from"] is None
    gaussians = read_ply(tmp_path / "splat.ply")
    assert len(gaussians) == metrics["gaussians"] <= 600 and gaussians.sh_degree == 1
    assert np.abs(np.median(gaussians.means, axis=0) - OFFSET).max() < 0.5  # the scene's own frame
    note = read_note(tmp_path / "splat.ply")
    assert note is not None and (note.resolution, note.test_every) == (64, 8)
    assert not (tmp_path / "checkpoints").exists()
    assert metrics["curve_measured_on"] == "steering" and metrics["split_counts"]["one_set"]
    assert set(provenance.KEYS) <= metrics.keys() and "torch" in metrics["versions"]


def test_what_judges_is_neither_trained_on_nor_looked_at(tmp_path: Path) -> None:
    """Of 36 photos five judge and two others steer: spoiling those that judge changes no byte."""
    truth, views = make_gaussians(40), make_views(36)
    model = write_scene(tmp_path / "whole.zip", truth, views)
    photos = [photograph(truth, view) for view in views]
    for index in range(0, 36, 8):
        photos[index][:] = 255 - photos[index]
    write_photos(tmp_path / "spoilt.zip", model, photos)
    made = {}
    for name in ("whole", "spoilt"):
        made[name] = run(tmp_path / f"{name}.zip", tmp_path / name, steps=20)
    whole, spoilt = (read_ply(tmp_path / name / "splat.ply").arrays for name in made)
    assert all(np.array_equal(whole[name], spoilt[name]) for name in whole)
    assert made["whole"]["curve"][-1]["psnr"] == made["spoilt"]["curve"][-1]["psnr"]
    split = made["whole"]["split"]
    assert split["judged"] == [f"photo_{index:02d}.jpg" for index in range(0, 36, 8)]
    assert (
        len(split["steering"]) == 2 and len(split["trained"]) == made["whole"]["trained_on"] == 29
    )
    note = read_note(tmp_path / "whole" / "splat.ply")
    names = load_scene(tmp_path / "whole.zip").names
    assert note is not None and note.split is not None
    assert to_json(recorded(note.split, names, "").named(names)) == split


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
        ({"stepz": 3}, "stepz"),
    ],
)
def test_wrong_options_are_named(
    scene_zip: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run(scene_zip, tmp_path, **options)


def test_every_preset_exists_on_every_device() -> None:
    assert {preset for preset, _ in PRESETS} == {"draft", "standard", "high"}
    for preset, device in PRESETS:
        assert resolve(TrainOptions(preset=preset), device).device == device
    assert resolve(TrainOptions(steps=7, resolution=0), "cpu").steps == 7


def test_the_work_follows_from_the_capture() -> None:
    """More photos take more steps, more pixels more Gaussians, within bounds; few photos drop more."""
    options = TrainOptions(preset="standard")
    small, middle, large = (
        resolve(options, "cuda", Capture(photos, 2.0 * photos)) for photos in (10, 80, 5000)
    )
    assert small.steps < middle.steps < large.steps
    assert small.max_gaussians < middle.max_gaussians < large.max_gaussians
    assert small.drop > middle.drop > large.drop >= 0
    preset = PRESETS["standard", "cuda"]
    assert small.steps * small.batch_size == preset.views[0]
    assert large.steps * large.batch_size == preset.views[1]
    assert large.max_gaussians == preset.max_gaussians_bounds[1]
    one = resolve(TrainOptions(batch_size=1), "cuda", Capture(80, 160.0))
    assert one.steps == middle.batch_size * middle.steps


def test_exposures_are_told_from_colours(tmp_path: Path) -> None:
    """Photos that came out brighter and darker: the gains are found, and the splat is measured better."""
    path = tmp_path / "scene.zip"
    write_scene(path, make_gaussians(), make_views())
    gains: dict[str, float] = {}
    with reading_zip(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for place, name in enumerate(sorted(name for name in members if name.startswith("images/"))):
        gains[name.removeprefix("images/")] = gain = (
            1.0 if place % 8 == 0 else 0.75 + 0.1 * (place % 6)
        )
        with Image.open(io.BytesIO(members[name])) as photo:
            pixels = np.clip(np.asarray(photo) * gain, 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG" if name.endswith("png") else "JPEG", quality=97)
        members[name] = buffer.getvalue()
    with writing_zip(path) as archive:
        for name, data in members.items():
            add_to_zip(archive, name, data)
    scene, figures = load_scene(path, 0), []
    for exposure in (False, True):
        options = TrainOptions(**OPTIONS | {"steps": 450, "exposure": exposure})
        trainer = Trainer(scene, resolve(options, "cpu"))
        while trainer.step < 450:
            trainer.advance()
        figures.append(trainer.measure())
    assert trainer.adjust.exposures is not None
    found = trainer.adjust.exposures.values[:, :3].mean(dim=1).numpy()
    true = np.log([gains[scene.names[index]] for index in trainer.split.trained])
    assert np.corrcoef(found, true)[0, 1] > 0.9 and abs(found.mean()) < 1e-6
    assert figures[1] > figures[0] + 0.5, "colours of the mean, not of one photo"


def test_cameras_move_back_to_where_they_stood(tmp_path: Path) -> None:
    """Cameras turned by a third of a degree show the scene nearer to where the true ones do."""
    path = tmp_path / "scene.zip"
    write_scene(path, make_gaussians(), make_views())
    scene = load_scene(path, 0)
    turned = unsteady(scene.world_to_camera)
    options = {"refine_poses": True, "test_every": 0, "steps": 600}
    wrong = dataclasses.replace(scene, world_to_camera=turned)
    trainer = Trainer(wrong, resolve(TrainOptions(**OPTIONS | options), "cpu"))
    while trainer.step < trainer.settings.steps:
        trainer.advance()
    truth = scene.world_to_camera, scene.K[0], make_gaussians().means
    start = picture_shift(turned, *truth)
    end = picture_shift(trainer.cameras().numpy(), *truth)
    print("pixels", start, end)
    assert end < 0.6 * start


def test_slopes_of_cameras_follow_from_those_of_gaussians() -> None:
    """What the Gaussians feel, summed up, is what the camera feels: against finite differences."""
    gaussians, view = make_gaussians(), make_views()[0]
    values = [torch.tensor(v, dtype=torch.float32) for v in (gaussians.means, gaussians.quats)]
    scales = torch.exp(torch.tensor(gaussians.scales))
    opacities = torch.sigmoid(torch.tensor(gaussians.opacities))
    sh = torch.tensor(gaussians.sh0)[:, None]
    K, size = torch.tensor(view.K, dtype=torch.float32)[None], (view.width, view.height)
    y, x = torch.meshgrid(torch.arange(view.height), torch.arange(view.width), indexing="ij")
    weights = (torch.sin(x / 9) + torch.cos(y / 7)).double()[..., None]  # smooth, as photos are

    def total(camera: torch.Tensor, means: torch.Tensor, quats: torch.Tensor) -> torch.Tensor:
        colour, _ = rasterise(means, quats, scales, opacities, sh, camera[None].float(), K, size)
        return (colour[0].double() * weights).sum()

    camera = torch.tensor(view.world_to_camera)
    means, quats = (value.clone().requires_grad_() for value in values)
    total(camera, means, quats).backward()
    gradient = Poses.by_gaussians(*values, means.grad, quats.grad, camera.float())
    step, numeric = 2e-3, []
    for column in range(6):
        pair = []
        for sign in (1, -1):
            small = torch.zeros(4, 4, dtype=torch.float64)
            if column < 3:
                a, b = (column + 1) % 3, (column + 2) % 3
                small[b, a], small[a, b] = sign * step, -sign * step
            else:
                small[column - 3, 3] = sign * step
            pair.append(total(torch.linalg.matrix_exp(small) @ camera, *values))
        numeric.append((pair[0] - pair[1]) / (2 * step))
    wanted = torch.stack(numeric).float()
    # Gaussians that come and go at the least visible alpha are in the differences alone.
    assert torch.allclose(gradient, wanted, rtol=0.05, atol=0.03 * float(wanted.abs().max()))


def test_camera_gradients() -> None:
    """The gradient by a small turn and shift of a camera is that of the numbers of its matrix."""
    torch.manual_seed(0)
    pose = torch.eye(4, dtype=torch.float64).repeat(3, 1, 1)
    pose[:, :3, :3] = torch.linalg.qr(torch.randn(3, 3, 3, dtype=torch.float64))[0]
    pose[:, :3, 3] = torch.randn(3, 3, dtype=torch.float64)
    upstream = torch.randn(3, 4, 4, dtype=torch.float64)
    upstream[:, 3] = 0
    delta = torch.zeros(3, 6, dtype=torch.float64, requires_grad=True)
    x, y, z = delta[:, 0], delta[:, 1], delta[:, 2]
    zero = torch.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    turn = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    small = torch.cat([turn, delta[:, 3:, None]], dim=2)
    moved = (
        pose[:, :3]
        + small[:, :, :3] @ pose[:, :3]
        + small[:, :, 3:] @ torch.eye(4)[None, 3:].double()
    )
    (moved * upstream[:, :3]).sum().backward()
    assert torch.allclose(Poses.gradient(pose, upstream), delta.grad)


@pytest.mark.parametrize("coarse", [0.0, 0.5])
def test_photos_left_in_the_zip_train_the_same(
    scene_zip: Path, coarse: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamed photos give the very same Gaussians as loaded ones, and few are held at a time."""
    monkeypatch.setattr(photos, "COARSE_SIDE", 20)
    scene, ends = load_scene(scene_zip, 0), []
    options = TrainOptions(**OPTIONS | {"steps": 40, "batch_size": 2})
    settings = dataclasses.replace(resolve(options, "cpu"), coarse=coarse)
    for place in (memory.PhotoStore.DEVICE, memory.PhotoStore.STREAM):
        found = memory.Fit(settings.max_gaussians, 1, place, "single")
        monkeypatch.setattr(setup, "fit", lambda *_, found=found: found)
        trainer = Trainer(scene, settings)
        while trainer.step < settings.steps:
            trainer.advance()
        ends.append(trainer)
    streamed = ends[1].photos.stacks[0].photos
    assert isinstance(streamed, StreamedPhotos) and len(streamed._found) <= 2 * AHEAD
    assert "decoded when it is needed" in ends[1].adapted[0]
    assert ends[1].measure() == ends[0].measure()
    for name in NAMES:
        assert torch.equal(ends[0].parameters[name], ends[1].parameters[name]), name


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
    for max_gaussians in (50, 3000):
        tensors = initial_tensors(
            scene, frame_of(scene), max_gaussians=max_gaussians, sh_degree=2, seed=0, device=device
        )
        assert round(max_gaussians * START_SHARE) <= len(tensors["means"]) <= max_gaussians
        assert all(torch.isfinite(values).all() for values in tensors.values())


def test_points_without_colours_begin_grey(scene_zip: Path) -> None:
    """Black Gaussians get no gradient; they would end transparent, and training with a traceback."""
    scene = load_scene(scene_zip)
    scene = replace(scene, colours=np.zeros_like(scene.colours))
    how = {"max_gaussians": 300, "sh_degree": 0, "seed": 0, "device": torch.device("cpu")}
    assert not initial_tensors(scene, frame_of(scene), **how)["sh"].any()


def test_copies_keep_to_the_walls_of_a_street() -> None:
    """Where a scene is long, half of the copies stay in its surfaces; of a compact one none needs to."""
    random = np.random.default_rng(0)
    side = random.choice([-4.0, 4.0], 1500)
    street = np.stack([random.uniform(-400, 400, 1500), side, random.uniform(0, 6, 1500)], 1)
    slanted = street @ np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]])
    ball = random.normal(0, 1, (1500, 3))

    def copies(points: np.ndarray) -> np.ndarray:
        made, colours = topped_up(points, points, 6000, 0)
        assert len(made) == len(colours) == 6000 and np.array_equal(made[:1500], points)
        return made[1500:]

    from_wall = np.abs(np.abs(copies(slanted) @ [-0.6, 0.8, 0]) - 4)
    assert 0.4 < (from_wall < 1e-6).mean() < 0.6
    others = copies(ball)
    spread = np.linalg.norm(others[:, None] - ball[None], axis=2).min(axis=1)
    assert (spread > 1e-6).all()
    for few in (1, 2, 5):
        assert np.isfinite(topped_up(ball[:few], ball[:few], 50, 0)[0]).all()


def test_halves_stand_for_the_one_they_came_from() -> None:
    """Mean and covariance of the two together, and the opacity in the middle, are those of the one."""
    parameters = random_parameters(40, 80)
    parameters["opacities"].copy_(torch.linspace(-4, 2, 40))
    before = {name: parameters[name].clone() for name in NAMES}
    rows = torch.arange(0, 40, 2)
    others = densify.halve(parameters, rows)

    def covariance(values: dict[str, torch.Tensor]) -> torch.Tensor:
        R = rotations(values["quats"])
        return (R * torch.exp(2 * values["scales"])[:, None]) @ R.mT

    ones = {name: parameters[name][rows] for name in NAMES}
    apart = (others["means"] - ones["means"])[:, :, None] / 2
    middle = (ones["means"] + others["means"]) / 2
    old = {name: before[name][rows] for name in NAMES}
    torch.testing.assert_close(middle, old["means"], atol=1e-5, rtol=1e-4)
    both = (covariance(ones) + covariance(others)) / 2 + apart @ apart.mT
    torch.testing.assert_close(both, covariance(old), atol=1e-4, rtol=1e-3)
    fall = torch.exp(-0.5 * (apart.mT @ torch.linalg.solve(covariance(ones), apart))[:, 0, 0])
    alpha = torch.sigmoid(ones["opacities"]) * fall
    covered = 1 - (1 - alpha) ** 2
    wanted = torch.sigmoid(old["opacities"])
    reached = torch.sigmoid(ones["opacities"]) < densify.MOST_OPAQUE - 1e-4
    assert reached.sum() >= 15
    torch.testing.assert_close(covered[reached], wanted[reached], atol=1e-4, rtol=5e-2)
    for name in NAMES:
        assert torch.equal(parameters[name][1::2], before[name][1::2]), name


@pytest.mark.parametrize("limit", [0.0, 4.0])
def test_a_limit_holds_the_longest_axis(limit: float, scene_zip: Path) -> None:
    """Without one, what is long stays long."""
    settings = dataclasses.replace(resolve(TrainOptions(**OPTIONS), "cpu"), axis_ratio=limit)
    trainer = Trainer(load_scene(scene_zip, 0), settings)
    trainer.parameters["scales"][:, 1] += 3
    trainer.advance()
    axes = trainer.parameters["scales"].sort(dim=1).values
    longer = torch.exp(axes[:, 2] - axes[:, 1])
    assert (longer <= 4 + 1e-4).all() if limit else (longer > 15).all()


def test_drawing_follows_the_weights_and_takes_each_once() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.tensor([0.0, 1.0, 3.0, 0.0])
    firsts = torch.cat([densify.draw(weights, 1, generator) for _ in range(4000)])
    counts = torch.bincount(firsts, minlength=4)
    assert counts[0] == counts[3] == 0 and 2.5 < counts[2] / counts[1] < 3.6
    assert sorted(densify.draw(weights, 9, generator).tolist()) == [1, 2]


SHAPES = dict(zip(NAMES, [(3,), (4,), (3,), (), (4, 3)], strict=True))


def random_parameters(count: int, capacity: int) -> Parameters:
    generator = torch.Generator().manual_seed(0)
    tensors = {n: torch.randn(count, *s, generator=generator) for n, s in SHAPES.items()}
    return Parameters(tensors, capacity)


def test_adam_is_torch_s_with_a_rate_of_its_own_for_the_higher_bands() -> None:
    parameters = random_parameters(700, 1000)
    rates = {name: 0.01 * (number + 1) for number, name in enumerate(NAMES)}
    theirs = {name: parameters[name].clone().requires_grad_() for name in NAMES if name != "sh"}
    theirs["sh0"] = parameters["sh"][:, :1].clone().requires_grad_()
    theirs["shN"] = parameters["sh"][:, 1:].clone().requires_grad_()
    own = {"sh0": rates["sh"], "shN": rates["sh"] * SH_REST}
    groups = [{"params": [leaf], "lr": (rates | own)[n]} for n, leaf in theirs.items()]
    optimiser = torch.optim.Adam(groups, eps=1e-15)
    for number in range(4):
        generator = torch.Generator().manual_seed(number)
        gradients = {
            n: torch.randn(700, *s, generator=generator) * 10.0**-number for n, s in SHAPES.items()
        }
        parameters.adam(gradients, rates)
        split = {"sh0": gradients["sh"][:, :1], "shN": gradients["sh"][:, 1:]}
        for name, leaf in theirs.items():
            leaf.grad = (gradients | split)[name].clone()
        optimiser.step()
    ours = {name: parameters[name] for name in NAMES}
    ours |= {"sh0": parameters["sh"][:, :1], "shN": parameters["sh"][:, 1:]}
    for name, leaf in theirs.items():
        assert torch.allclose(ours[name], leaf.detach(), atol=2e-6), name


def test_growth_keeps_moments_and_reaches_the_target() -> None:
    parameters = random_parameters(10, 14)
    gradients = {name: torch.ones(10, *shape) for name, shape in SHAPES.items()}
    parameters.adam(gradients, dict.fromkeys(NAMES, 0.1))
    weights = torch.zeros(10)
    weights[:4] = 1.0
    generator = torch.Generator().manual_seed(0)
    assert densify.grow(parameters, 14, weights, generator) == 4
    assert len(parameters) == 14
    for name in NAMES:
        for moment in parameters.moments(name):
            assert (moment[4:10] != 0).all() and (moment[10:] == 0).all(), name
            assert (moment[:4] == 0).all(), name
    with pytest.raises(ValueError, match="capacity of 14"):
        densify.grow(parameters, 15, weights.repeat(2)[:14], generator)


def test_dead_gaussians_move_to_live_ones() -> None:
    parameters = random_parameters(10, 10)
    parameters["opacities"].fill_(2.0)
    parameters["opacities"][3] = -9.0
    before = parameters["means"].clone()
    moved = densify.grow(parameters, 10, torch.ones(10), torch.Generator().manual_seed(0))
    assert moved == 1 and len(parameters) == 10
    changed = (parameters["means"] != before).any(dim=1)
    assert changed.sum() == 2 and changed[3]
    assert (torch.sigmoid(parameters["opacities"]) > densify.DEAD).all()


def test_those_go_that_show_least() -> None:
    weights = torch.tensor([50.0, 0.0, 1.0, 2.0, 40.0, 4.0, 3.0])
    assert thinning.needed(weights, 0.05).tolist() == [0, 4, 5, 6]
    assert thinning.needed(weights, 0.0).tolist() == [0, 2, 3, 4, 5, 6]
    assert thinning.needed(torch.zeros(0)).tolist() == []
    assert thinning.needed(torch.zeros(3)).tolist() == []


def test_what_a_gaussian_shows_is_its_pixels() -> None:
    """Of two discs the one in front hides the other; one beside the image shows nothing."""
    means = torch.tensor([[0.0, 0, 2], [0, 0, 4], [50, 0, 2]])
    parameters = {
        "means": means,
        "quats": torch.tensor([[1.0, 0, 0, 0]]).expand(3, 4).contiguous(),
        "scales": torch.full((3, 3), math.log(0.05)),
        "opacities": torch.full((3,), 9.0),
        "sh": torch.zeros(3, 1, 3),
    }
    K = torch.tensor([[[200.0, 0, 32], [0, 200, 32], [0, 0, 1]]])
    stack = Stack(
        torch.zeros((1, 64, 64, 3), dtype=torch.uint8),
        torch.eye(4)[None],
        K,
        torch.zeros(1, dtype=torch.int64),
        torch.zeros(1, dtype=torch.int64),
    )
    behind = replace(stack, world_to_camera=torch.diag(torch.tensor([1.0, 1, -1, 1]))[None])
    weights = thinning.contributions(parameters, [stack, stack], antialiased=False)
    with pytest.raises(UserError, match="made everything transparent"):
        thinning.contributions(parameters, [behind], antialiased=False)
    # A Gaussian of variance s^2 covers 2 pi s^2 pixels: s = 200 * 0.05 / 2, blurred by 0.3 pixels squared.
    assert weights[0] == pytest.approx(2 * 2 * math.pi * (25 + 0.3), rel=0.05)
    assert 0 < weights[1] < weights[0] / 4 and weights[2] == 0


def test_parameters_come_back_from_their_state() -> None:
    parameters = random_parameters(10, 20)
    gradients = {name: torch.ones(10, *shape) for name, shape in SHAPES.items()}
    parameters.adam(gradients, dict.fromkeys(NAMES, 0.1))
    back = Parameters.restored(parameters.state(), 20, torch.device("cpu"))
    for each in (parameters, back):
        each.adam(gradients, dict.fromkeys(NAMES, 0.1))
    assert all(torch.equal(parameters[name], back[name]) for name in NAMES)


@pytest.mark.parametrize(("counts", "batch"), [((5,), 1), ((7, 3), 4), ((1, 1, 1), 2)])
def test_every_round_of_visits_sees_every_photo_once(counts: tuple[int, ...], batch: int) -> None:
    schedule = Schedule(counts, batch, seed=3)
    length = schedule.steps_per_round
    steps = [schedule.at(step) for step in range(3 * length)]
    for turn in range(3):
        seen = sorted(
            (g, r) for g, rows in steps[turn * length : (turn + 1) * length] for r in rows
        )
        assert seen == [(g, r) for g, count in enumerate(counts) for r in range(count)]
    assert all(len(rows) <= batch for _, rows in steps)
    assert Schedule(counts, batch, seed=3).at(2 * length) == steps[2 * length]  # from anywhere
    if sum(counts) > batch:
        assert steps[:length] != steps[length : 2 * length]


def test_halved_photos_are_area_means() -> None:
    photos = torch.arange(2 * 6 * 8 * 3, dtype=torch.uint8).reshape(2, 6, 8, 3)
    K = torch.tensor([[[10.0, 0, 4], [0, 10, 3], [0, 0, 1]]]).expand(2, 3, 3)
    pair = torch.arange(2)
    small = halved(Stack(photos, torch.eye(4).expand(2, 4, 4), K, pair, 0 * pair))
    assert small.size == (4, 3) and float(small.K[0, 0, 2]) == 2.0 and float(small.K[0, 0, 0]) == 5
    mean = photos[0, :2, :2].float().mean(dim=(0, 1))
    assert (small.photos[0, 0, 0].float() - mean).abs().max() <= 0.5


def test_hidden_parts_are_neither_trained_on_nor_judged(tmp_path: Path) -> None:
    """One photo is spoilt on its right half and masked there: it is as if that half did not exist."""
    path = tmp_path / "undistorted.zip"
    write_scene(path, make_gaussians(), make_views())
    with reading_zip(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    picture = np.array(Image.open(io.BytesIO(members["images/photo_00.jpg"])))
    half = picture.shape[1] // 2
    spoilt = picture.copy()
    spoilt[:, half:] = [255, 0, 255]
    mask = np.full(picture.shape[:2], 255, np.uint8)
    mask[:, half:] = 0
    for name, pixels in (("images/photo_00.jpg", spoilt), ("masks/photo_00.jpg.png", mask)):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        members[name] = buffer.getvalue()
    with writing_zip(path) as archive:
        for name, data in members.items():
            add_to_zip(archive, name, data)
    scene = load_scene(path)
    stack = load_stacks(scene, frame_of(scene), [0, 1], torch.device("cpu"))[0]
    assert stack.masks is not None and stack.pick([1], stack.K.device).mask(0).min() == 1
    render = torch.from_numpy(picture).float() / 255
    seen = square_error(render, stack.photos[0], stack.mask(0))
    assert float(seen) < 1e-3 < float(square_error(render, stack.photos[0], None))
    small = halved(stack)
    assert small.mask(0)[:, : small.size[0] // 2].min() == 1 and small.mask(0)[:, -1].max() == 0
    views = evaluate.Views(scene, [0], True, split_scene(scene, 0))
    photo = evaluate.photo_of(views, 0)
    assert np.isnan(photo[:, half:]).all() and not np.isnan(photo[:, : half - 1]).any()
    assert evaluate.image_quality(render.numpy(), photo)["psnr"] > 30
    assert np.isfinite(evaluate.error_map(render.numpy(), photo)).all()


def test_scene_zip_is_what_the_tests_think(scene_zip: Path) -> None:
    with reading_zip(scene_zip) as archive:
        assert len(read_model(archive).views) == 12


def test_chosen_photos_are_kept_from_training(scene_zip: Path, tmp_path: Path) -> None:
    names = load_scene(scene_zip, 0).names
    made = run(scene_zip, tmp_path, steps=20, test_photos=f"{names[3]}, {names[5]}")
    assert made["trained_on"] == len(names) - 2
    note = read_note(tmp_path / "splat.ply")
    assert note is not None and note.test_photos == (names[3], names[5])
    views = evaluate.choose_views(tmp_path / "splat.ply", scene_zip, evaluate.Purpose.JUDGE)
    assert views.indices == [3, 5] and views.held_out


def test_a_note_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Whose words for the photos that judge were others."""
    ply = tmp_path / "splat.ply"
    words = {"resolution": 640, "holdout": 5, "held_out": ["a.jpg"]}
    ply.write_bytes(f"ply\ncomment splatmake {json.dumps(words)}\nend_header\n".encode())
    assert read_note(ply) == TrainingNote(640, 5, ("a.jpg",))


def test_a_note_of_a_later_version_is_read(tmp_path: Path) -> None:
    ply = tmp_path / "splat.ply"
    words = {"resolution": 640, "test_every": 8, "invented_later": [1]}
    ply.write_bytes(f"ply\ncomment splatmake {json.dumps(words)}\nend_header\n".encode())
    note = read_note(ply)
    assert note is not None and (note.resolution, note.test_photos) == (640, ())
