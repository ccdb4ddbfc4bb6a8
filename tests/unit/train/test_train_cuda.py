"""The fused step on a real GPU against the step by autograd; skipped where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scripts.lib.render.rasterise.cuda import room as rooms
from scripts.lib.scene.scene import load_scene
from scripts.lib.train.loop import train
from scripts.lib.train.options import TrainOptions, resolve
from scripts.lib.train.parameters import NAMES
from scripts.lib.train.step import AutogradStep
from scripts.lib.train.trainer import Trainer
from tests.bench.cloud import make_scene
from tests.unit.splat_scene import make_gaussians, make_views, picture_shift, unsteady, write_scene

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


@pytest.mark.parametrize("photos", [1, 3])
@pytest.mark.parametrize("antialiased", [False, True])
def test_steps_agree(photos: int, antialiased: bool, tmp_path: Path) -> None:
    """From one start the two steps end in the same parameters and see the same gradients, noise apart."""
    scene = make_scene(tmp_path / "scene.zip", 3000, (320, 200), 6)
    options = TrainOptions(
        steps=100, max_gaussians=3000, batch_size=photos, resolution=0, antialiased=antialiased
    )
    settings = replace(resolve(options, "cuda"), means_rate=1.0, drop=0.0, precisions=("single",))
    first, second = Trainer(scene, settings), Trainer(scene, settings)
    second.optimise = AutogradStep()
    for trainer in (first, second):
        trainer.step = 50  # all bands in use
        torch.manual_seed(0)
        trainer.parameters["sh"].copy_(0.3 * torch.randn_like(trainer.parameters["sh"]))
        trainer.parameters["quats"].copy_(torch.randn_like(trainer.parameters["quats"]))
        trainer.parameters["scales"].add_(0.5 * torch.randn_like(trainer.parameters["scales"]))
    start = {name: first.parameters[name].clone() for name in NAMES}
    for trainer in (first, second):
        trainer.advance()
    assert torch.allclose(first.position_gradients, second.position_gradients, rtol=2e-2, atol=1e-9)
    for name in NAMES:
        # Adam's first step moves every number by its rate, whatever its gradient: the moments tell more.
        for a, b in zip(
            first.parameters.moments(name), second.parameters.moments(name), strict=True
        ):
            close = torch.isclose(a, b, rtol=2e-2, atol=1e-3 * float(b.abs().max()))
            assert close.float().mean() > 0.999, name
        if name != "means":  # these are shaken
            moved = (second.parameters[name] - start[name]).abs() > 0
            near = torch.isclose(first.parameters[name], second.parameters[name], atol=1e-3)
            assert near[moved].float().mean() > 0.99, name


@pytest.mark.parametrize("exposure", [False, True])
def test_nothing_waits_for_the_gpu(exposure: bool, tmp_path: Path) -> None:
    """Between rounds of growth a step only hands work over: torch would raise where it waits."""
    scene = make_scene(tmp_path / "scene.zip", 3000, (320, 200), 6)
    options = TrainOptions(
        steps=10_000, max_gaussians=5000, batch_size=3, resolution=0, exposure=exposure, sky=False
    )
    trainer = Trainer(scene, resolve(options, "cuda"))
    for _ in range(12):  # after these the sizes of lists are known for passes of any kind
        trainer.advance()
    try:
        torch.cuda.set_sync_debug_mode("error")
        for _ in range(8):
            trainer.advance()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    trainer.settle()
    assert trainer.parameters.steps == trainer.step == 20


def test_lost_steps_are_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists that are too short at first change nothing in the end, rounding apart."""
    scene = make_scene(tmp_path / "scene.zip", 3000, (320, 200), 6)
    options = TrainOptions(steps=1000, max_gaussians=3000, batch_size=2, resolution=0, sky=False)
    ended, looks = [], list[int]()
    look = rooms.Room.look
    monkeypatch.setattr(rooms.Room, "look", lambda room: looks.append(look(room)) or looks[-1])
    for guess in (1.5, 0.6):
        monkeypatch.setattr(rooms, "GUESS", guess)
        looks.clear()
        trainer = Trainer(scene, replace(resolve(options, "cuda"), drop=0.0))
        for _ in range(12):  # a round has 10
            trainer.advance()
        trainer.settle()
        assert any(looks) == (guess < 1) and trainer.parameters.steps == trainer.step == 12
        ended.append(trainer.parameters)
    for name in NAMES:
        for a, b in zip(*(parameters.moments(name) for parameters in ended), strict=True):
            assert (a.float() - b.float()).norm() < 2e-2 * a.float().norm(), name


@pytest.mark.parametrize(("megabytes", "said"), [(260, "photos at once"), (220, "continuing with")])
def test_goes_on_with_less_memory(megabytes: int, said: str, tmp_path: Path) -> None:
    """Memory that runs out halves what is rendered at once, then the Gaussians; the run goes on."""
    scene = make_scene(tmp_path / "scene.zip", 5000, (1600, 1200), 12)
    settings = resolve(TrainOptions(steps=60, max_gaussians=100_000, resolution=0), "cuda")
    trainer = Trainer(scene, replace(settings, coarse=0.0))
    before = trainer.measure()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    try:
        room = torch.cuda.memory_allocated() + megabytes * 2**20
        torch.cuda.set_per_process_memory_fraction(room / total)
        while trainer.step < settings.steps:
            trainer.advance()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert trainer.step == settings.steps and any(said in told for told in trainer.adapted)
    assert trainer.optimise.at_once < settings.batch_size
    psnr = trainer.measure()
    # With all memory, it gains 0.37 dB in these few steps.
    assert before is not None and psnr is not None and psnr > before + 0.3


def test_exposures_agree(tmp_path: Path) -> None:
    """Both steps learn the same gains and offsets from the same photos."""
    scene = make_scene(tmp_path / "scene.zip", 3000, (320, 200), 6)
    options = TrainOptions(steps=100, max_gaussians=3000, batch_size=2, resolution=0, exposure=True)
    settings = replace(resolve(options, "cuda"), drop=0.0, precisions=("single",))
    first, second = Trainer(scene, settings), Trainer(scene, settings)
    second.optimise = AutogradStep()
    for trainer in (first, second):
        trainer.advance()
        assert trainer.adjust.exposures is not None
    a, b = first.adjust.exposures.first, second.adjust.exposures.first
    assert b.abs().max() > 0 and torch.allclose(a, b, rtol=2e-2, atol=1e-3 * float(b.abs().max()))


def test_cameras_move_back_to_where_they_stood(tmp_path: Path) -> None:
    """Cameras turned by a third of a degree show the scene nearer to where the true ones do."""
    path = tmp_path / "scene.zip"
    write_scene(path, make_gaussians(), make_views())
    scene = load_scene(path)
    turned = unsteady(scene.world_to_camera)
    options = TrainOptions(
        steps=600,
        max_gaussians=600,
        resolution=0,
        test_every=0,
        refine_poses=True,
    )
    trainer = Trainer(replace(scene, world_to_camera=turned), resolve(options, "cuda"))
    while trainer.step < trainer.settings.steps:
        trainer.advance()
    truth = scene.world_to_camera, scene.K[0], make_gaussians().means
    start = picture_shift(turned, *truth)
    end = picture_shift(trainer.cameras().cpu().numpy(), *truth)
    print("pixels before and after", start, end)
    assert end < 0.6 * start


def test_camera_slopes_agree(tmp_path: Path) -> None:
    """Both steps feel the same pull on poses and lenses; a checkpoint brings both back as they were."""
    scene = make_scene(tmp_path / "scene.zip", 3000, (320, 200), 16)
    options = TrainOptions(
        steps=100,
        max_gaussians=3000,
        batch_size=2,
        resolution=0,
        refine_poses=True,
        refine_focal=True,
    )
    settings = replace(resolve(options, "cuda"), drop=0.0, coarse=0.0, precisions=("single",))
    first, second = Trainer(scene, settings), Trainer(scene, settings)
    second.optimise = AutogradStep()
    for trainer in (first, second):
        trainer.step = 60
        trainer.advance()
    for kind in ("poses", "focals"):
        a, b = (getattr(trainer.adjust, kind).first for trainer in (first, second))
        assert b.abs().max() > 0
        assert torch.allclose(a, b, rtol=5e-2, atol=5e-3 * float(b.abs().max())), kind
    back = Trainer(scene, settings)
    back.restore(first.state())
    assert torch.equal(back.cameras(), first.cameras())
    assert back.focal_scales() == first.focal_scales() != [1.0]


def test_learns(tmp_path: Path) -> None:
    """Held-out PSNR after a short run in 16 bits is what the step by autograd reaches in 32."""
    scene = make_scene(tmp_path / "scene.zip", 5000, (320, 200), 12)
    settings = resolve(TrainOptions(steps=300, max_gaussians=5000, resolution=0), "cuda")
    fused = train(scene, settings, None, 0).metrics.curve[-1].psnr
    trainer = Trainer(scene, replace(settings, precisions=("single",)))
    trainer.optimise = AutogradStep()
    while trainer.step < settings.steps:
        trainer.advance()
    assert fused == pytest.approx(trainer.measure(), abs=0.3)
