"""Cameras that training and judging may correct, against scenes whose cameras are known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from scripts import evaluate_splat
from scripts.lib.core.files import read_json
from scripts.lib.measure import evaluate
from scripts.lib.measure.pose_refinement import refined
from scripts.lib.render.rasterise import rasterise
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.scene import Scene, load_scene, usual_depths
from scripts.lib.splat.gaussians import write_ply
from scripts.lib.train.cameras import (
    POSE_BOUND,
    REFINED,
    Focals,
    Poses,
    camera_rate,
    rigid,
)
from scripts.lib.train.checkpoint import Checkpoints
from scripts.lib.train.loop import train
from scripts.lib.train.note import TrainingNote, read_note
from scripts.lib.train.options import Settings, TrainOptions, resolve
from scripts.lib.train.parameters import NAMES
from scripts.lib.train.trainer import Trainer
from tests.unit.splat_scene import make_gaussians, make_views, write_scene

CPU = torch.device("cpu")
PIXEL = 1 / 60  # radians, and about half as many units: see make_views


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    path = tmp_path_factory.mktemp("ring") / "undistorted.zip"
    write_scene(path, make_gaussians(), make_views(16))
    return load_scene(path)


def shaken(scene: Scene, pixels: float) -> Scene:
    """Every camera turned and shifted by so many pixels, standard deviation of each of six motions."""
    random = np.random.default_rng(0)
    motions = random.normal(0, pixels * PIXEL, (len(scene), 6)) * [1, 1, 1, 2, 2, 2]
    moved = rigid(torch.tensor(motions)).numpy() @ scene.world_to_camera
    return dataclasses.replace(scene, world_to_camera=moved)


def settings(**options: object) -> Settings:
    common = {
        "steps": 240,
        "max_gaussians": 400,
        "sh_degree": 1,
        "resolution": 0,
    }
    return resolve(TrainOptions(**common | options), "cpu")  # type: ignore[arg-type]


def trained(scene: Scene, **options: object) -> Trainer:
    trainer = Trainer(scene, settings(**options))
    while not trainer.finished():
        trainer.advance()
    return trainer


def beside(found: np.ndarray, true: np.ndarray) -> float:
    """Mean distance in pixels of points of the scene in pictures of cameras (V, 4, 4) found and true."""
    points = np.random.default_rng(1).uniform(-0.5, 0.5, (50, 3))
    spots = []
    for cameras in (found, true):
        seen = np.einsum("vij,nj->vni", cameras[:, :3, :3], points) + cameras[:, None, :3, 3]
        spots.append(seen[..., :2] / seen[..., 2:])
    return float(np.linalg.norm(spots[0] - spots[1], axis=2).mean() / PIXEL)


def in_world(trainer: Trainer) -> np.ndarray:
    """The cameras of a trainer in world units."""
    cameras = trainer.cameras().double().numpy()
    moved = cameras.copy()
    moved[:, :3, 3] *= trainer.frame.radius
    moved[:, :3, 3] -= cameras[:, :3, :3] @ trainer.frame.centre
    return moved


def common_motion(poses: Poses, start: torch.Tensor) -> torch.Tensor:
    """Shift, change of scale and turn that cameras (V, 4, 4) have in common, from their definitions."""
    start = start.double()
    moved = rigid(poses.motions.double()) @ start
    before, after = (-(c[:, :3, :3].mT @ c[:, :3, 3:])[..., 0] for c in (start, moved))
    shifts, places = after - before, before - before.mean(dim=0)
    scale = (shifts * places).sum() / places.square().sum()
    return torch.cat([shifts.mean(dim=0), scale[None]])


def test_small_motions_are_exponentials() -> None:
    motions = torch.randn(9, 6, dtype=torch.float64) * 0.05
    exact = torch.zeros(9, 4, 4, dtype=torch.float64)
    x, y, z = motions[:, 0], motions[:, 1], motions[:, 2]
    for (row, column), value in {(2, 1): x, (0, 2): y, (1, 0): z}.items():
        exact[:, row, column], exact[:, column, row] = value, -value
    exact[:, :3, 3] = motions[:, 3:]
    assert torch.allclose(rigid(motions), torch.linalg.matrix_exp(exact), atol=1e-9, rtol=0)


def test_cameras_move_late_and_come_to_rest() -> None:
    rates = np.array([camera_rate(share) for share in np.linspace(0, 1, 1001)])
    moving = np.flatnonzero(rates) / 1000
    assert REFINED[0] <= moving[0] < moving[-1] < REFINED[1]
    assert rates.max() < 1 and rates[940] < 0.01 and (np.abs(np.diff(rates)) < 0.03).all()


@pytest.mark.parametrize("line", [False, True])
def test_what_cameras_do_together_is_taken_out(scene: Scene, line: bool) -> None:
    """Gradients that pull all cameras one way leave their mean place and scale as they were, to 1e-6."""
    cameras = scene.world_to_camera.copy()
    if line:  # where no place tells a turn about the line
        cameras[:, :3, 3] = -cameras[:, :3, :3] @ np.array([0.1, 0, 0]) * np.arange(16)[:, None]
    start, count = torch.tensor(cameras), len(cameras)
    poses = Poses(start, torch.full((count,), 60.0), torch.full((count,), 2.0), CPU)
    random = torch.Generator().manual_seed(0)
    common = torch.randn(1, 6, generator=random)
    for step in range(60):
        rows = torch.randperm(count, generator=random)[:3]
        gradients = common + 0.5 * torch.randn(3, 6, generator=random)
        poses.learn(rows, torch.full_like(gradients, torch.nan) if step == 30 else gradients, 1.0)
    assert poses.values.abs().mean() > 0.1 and poses.values.abs().max() < POSE_BOUND + 0.2
    assert common_motion(poses, start).abs().max() < 1e-6
    kept = poses.values.clone()
    poses.settle()
    assert torch.allclose(poses.values, kept, atol=1e-4), "nothing is left to take out"


def test_a_common_turn_is_taken_out_whole(scene: Scene) -> None:
    """The world turned, moved and grown a little is no motion of cameras at all."""
    start = torch.tensor(scene.world_to_camera)
    poses = Poses(start, torch.full((16,), 60.0), torch.full((16,), 2.0), CPU)
    turn = rigid(torch.tensor([[0.004, -0.002, 0.003, 0.01, 0.0, -0.02]], dtype=torch.float64))[0]
    moved = start @ turn
    moved[:, :3, 3] *= 1.003
    change = moved @ torch.linalg.inv(start)
    R = change[:, :3, :3]
    turns = torch.stack([R[:, 2, 1], R[:, 0, 2], R[:, 1, 0]], dim=1)
    poses.values.copy_(torch.cat([turns, change[:, :3, 3]], dim=1) / poses.units)
    assert poses.values.abs().max() > 0.3
    for _ in range(3):
        poses.settle()
    assert poses.values.abs().max() < 0.01


def test_slope_of_a_focal_length(scene: Scene) -> None:
    """What the picture's own gradient says of a longer lens, against finite differences."""
    gaussians, view = make_gaussians(), make_views()[0]

    def colour(factor: float) -> torch.Tensor:
        K = torch.tensor(view.K, dtype=torch.float32)
        K[:2, :2] *= factor
        values = [
            torch.tensor(array, dtype=torch.float32)
            for array in (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities)
        ]
        sh = torch.tensor(gaussians.sh0)[:, None]
        camera = torch.tensor(view.world_to_camera, dtype=torch.float32)[None]
        size, shown = (view.width, view.height), (values[2].exp(), values[3].sigmoid())
        return rasterise(values[0], values[1], *shown, sh, camera, K[None], size)[0][0]

    y, x = torch.meshgrid(torch.arange(view.height), torch.arange(view.width), indexing="ij")
    weights = (torch.sin(x / 9) + torch.cos(y / 7))[..., None].expand(-1, -1, 3)
    found = float(Focals.gradient(colour(1.0), weights, torch.tensor(view.K)))
    numeric = [float((colour(factor) * weights).double().sum()) for factor in (1.002, 0.998)]
    assert found == pytest.approx((numeric[0] - numeric[1]) / 0.004, rel=0.1)


def test_shaken_cameras_come_back_and_exact_ones_stay(scene: Scene) -> None:
    """Cameras off by a pixel end nearer the truth, the splat better; exact ones stay. All keep the frame."""
    wrong = shaken(scene, 0.7)
    for given in (wrong, scene):
        free = trained(given, refine_poses=True)
        start = given.world_to_camera[free.split.trained]
        true = scene.world_to_camera[free.split.trained]
        poses = free.adjust.poses
        assert poses is not None
        common = common_motion(poses, torch.tensor(free.frame.cameras(start)))
        assert common.abs().max() < 1e-6, "the frame is still that of GPS"
        before, after = beside(start, true), beside(in_world(free), true)
        print(before, after)
        if given is scene:
            assert after < 0.2
        else:
            assert after < 0.6 * before
            fixed, found = (trainer.measure() for trainer in (trained(given), free))
            print(fixed, found)
            assert fixed is not None and found is not None and found > fixed


def test_few_photos_keep_their_cameras(tmp_path: Path) -> None:
    write_scene(tmp_path / "scene.zip", make_gaussians(), make_views(12))
    trainer = Trainer(load_scene(tmp_path / "scene.zip"), settings(refine_poses=True))
    assert trainer.adjust.poses is None and "10 photos are too few" in trainer.adapted[0]


def test_a_focal_length_is_found_and_kept(scene: Scene, tmp_path: Path) -> None:
    """A lens said to be too long by a fiftieth is found with the true splat; the splat's note tells it."""
    renderer, K = Renderer(make_gaussians()), scene.K * [[[1.02], [1.02], [1]]]
    K[:, 2] = scene.K[:, 2]
    K[:, :2, 2] = scene.K[:, :2, 2]
    focals = Focals(torch.tensor([32.0, 32.0]), torch.tensor([16, 3]), CPU)
    photos = [
        renderer.picture(*view)
        for view in zip(scene.world_to_camera, scene.K, scene.sizes, strict=True)
    ]
    for step in range(240):
        index, lens = step % 16, torch.tensor([0])
        now = focals.of(lens, torch.tensor(K[index][None], dtype=torch.float32))
        render = renderer.picture(scene.world_to_camera[index], now[0], scene.sizes[index])
        gradient = focals.gradient(
            torch.tensor(render), torch.tensor(np.sign(render - photos[index])), now[0]
        )
        focals.learn(lens, gradient[None], 1 - step / 240)
    scale, other = focals.scales.tolist()
    assert scale == pytest.approx(1 / 1.02, abs=0.002) and other == 1
    focals.learn(torch.tensor([1]), torch.tensor([1.0]), 1.0)
    assert focals.scales[1] == 1, "three photos cannot tell a lens"
    trainer = Trainer(scene, settings(refine_focal=True))
    note = TrainingNote(64, 8, focal_scales=(scale,))
    write_ply(tmp_path / "splat.ply", trainer.gaussians(), (note.comment(),))
    assert read_note(tmp_path / "splat.ply") == note
    views = evaluate.choose_views(tmp_path / "splat.ply", scene.path, evaluate.Purpose.JUDGE)
    assert np.allclose(views.scene.K[:, 0, 0], scene.K[:, 0, 0] * scale)


def test_lenses_are_told_apart_at_every_size(tmp_path: Path) -> None:
    views = make_views(6)
    zoomed = views[0].K.copy()
    zoomed[:2, :2] *= 1.2
    views[1], views[4] = (dataclasses.replace(views[at], K=zoomed) for at in (1, 4))
    write_scene(tmp_path / "scene.zip", make_gaussians(20), views)
    for resolution in (0, 50, 33):
        assert load_scene(tmp_path / "scene.zip", resolution).lenses.tolist() == [0, 1, 0, 0, 1, 0]
    scene = load_scene(tmp_path / "scene.zip").with_focals([1.0, 1.1])
    assert np.allclose(scene.K[1, 0, 0], 72 * 1.1) and scene.K[0, 0, 0] == 60
    assert np.allclose(usual_depths(scene, [0, 1]), 2.1, atol=0.2)


def test_an_interrupted_run_refines_the_same(scene: Scene, tmp_path: Path) -> None:
    """Stopped while cameras move and continued from its checkpoint, a run ends in the same numbers."""
    wanted = settings(steps=60, refine_poses=True, refine_focal=True, exposure=True)
    whole, first = Trainer(scene, wanted), Trainer(scene, wanted)
    checkpoints = Checkpoints(tmp_path, "0" * 16)
    for _ in range(45):
        first.advance()
    checkpoints.save(first.step, first.state())
    state = checkpoints.load()
    assert state is not None
    second = Trainer(scene, wanted)
    second.restore(state)
    for trainer in (whole, second):
        while not trainer.finished():
            trainer.advance()
    for name in NAMES:
        assert torch.equal(whole.parameters[name], second.parameters[name]), name
    assert torch.equal(whole.cameras(), second.cameras())
    assert whole.focal_scales() == second.focal_scales() != [1.0]
    metrics = train(scene, wanted, None, 0).metrics.cameras
    assert metrics is not None and metrics.moved is not None and metrics.moved.largest_px > 0
    assert metrics.focal_scales == tuple(whole.focal_scales())


def test_a_photo_finds_its_pose(scene: Scene) -> None:
    """From a pixel and more beside, the pose that a picture was taken from is found to a hundredth."""
    renderer, wrong = Renderer(make_gaussians()), shaken(scene, 1.0)
    for index in range(0, 16, 4):
        K, size, true = scene.K[index], scene.sizes[index], scene.world_to_camera[index]
        photo = renderer.picture(true, K, size)
        found = refined(renderer, photo, wrong.world_to_camera[index], K)
        before = beside(wrong.world_to_camera[index][None], true[None])
        assert before > 0.5 and beside(found.world_to_camera[None], true[None]) < 0.02
        assert np.abs(found.picture - photo).mean() < 1e-3
        there = refined(renderer, photo, true, K)
        assert there.moved_px == 0 and np.array_equal(there.picture, photo)
    black = np.zeros_like(photo)
    assert np.isfinite(refined(renderer, black, true, K).world_to_camera).all()
    assert refined(renderer, np.full_like(photo, np.nan), true, K).moved_px == 0


def test_judged_twice(scene: Scene, tmp_path: Path) -> None:
    """eval.json tells the plain figure and the one from refined poses apart; the option leaves it out."""
    truth, views = make_gaussians(), make_views(16)
    given = shaken(scene, 0.7)
    moved = [
        dataclasses.replace(view, world_to_camera=pose)
        for view, pose in zip(views, given.world_to_camera, strict=True)
    ]
    from scripts.lib.scene.colmap_model import Model
    from tests.unit.splat_scene import photograph, write_photos

    model = Model(tuple(moved), truth.means.astype(float), np.zeros((200, 3), np.uint8))
    write_photos(tmp_path / "scene.zip", model, [photograph(truth, view) for view in views])
    write_ply(tmp_path / "splat.ply", truth, (TrainingNote(64, 4).comment(),))
    results = []
    for options in ("{}", '{"refine_poses": false}'):
        arguments = ["--ply", tmp_path / "splat.ply", "--scene", tmp_path / "scene.zip"]
        arguments += ["--eval", tmp_path / "eval.json", "--renders", tmp_path / "renders.zip"]
        evaluate_splat.main([*map(str, arguments), "--options", options])
        results.append(read_json(tmp_path / "eval.json"))
    twice, once = results
    assert twice["psnr"] == once["psnr"] and once["psnr_pose_refined"] is None
    assert twice["psnr_pose_refined"] > 35 > twice["psnr"] + 5
    assert all(view["psnr_pose_refined"] >= view["psnr"] for view in twice["views"])
    assert all("pose_moved_px" not in view for view in once["views"])
