"""What a step's kernels note for the CPU, on their stand-in: lists that were too short, broken numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scripts.lib.render.losses import cuda as losses
from scripts.lib.render.rasterise import cuda as rasteriser
from scripts.lib.render.rasterise.cuda import room as rooms
from scripts.lib.scene.scene import load_scene
from scripts.lib.train import trainer as trainers
from scripts.lib.train.fused import FusedStep
from scripts.lib.train.kernels import geometry_cuda, harmonics_cuda
from scripts.lib.train.options import TrainOptions, resolve
from scripts.lib.train.parameters import NAMES
from scripts.lib.train.trainer import BROKEN, Trainer
from tests.stages.cuda_stand_in import kernels_on, needs_compiler
from tests.unit.splat_scene import make_gaussians, make_views, write_scene

pytestmark = needs_compiler
MODULES = (losses, rasteriser, geometry_cuda, harmonics_cuda)
STEPS = 7


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "scene.zip"
    write_scene(path, make_gaussians(50), make_views(3))
    return path


def fresh(scene: Path, **more: bool) -> Trainer:
    """A trainer whose steps are fused, on the CPU."""
    options = TrainOptions(
        steps=200, max_gaussians=70, batch_size=2, sh_degree=1, resolution=0, test_every=0, **more
    )
    trainer = Trainer(load_scene(scene), resolve(options, "cpu"))
    trainer.optimise = FusedStep("cuda", 1, 64 * 48, torch.device("cpu"))
    return trainer


def trained(trainer: Trainer, steps: int = STEPS) -> Trainer:
    """The same after some steps."""
    with kernels_on("cpu", *MODULES):
        for _ in range(steps):
            trainer.advance()
        trainer.settle()
    return trainer


def same(one: Trainer, other: Trainer) -> bool:
    """Whether two trainers hold the same numbers."""
    pairs = [(one.position_gradients, other.position_gradients)]
    for name in NAMES:
        pairs.append((one.parameters[name], other.parameters[name]))
        pairs += zip(one.parameters.moments(name), other.parameters.moments(name), strict=True)
    for a, b in [(one.adjust.exposures, other.adjust.exposures)]:
        if a is not None and b is not None:
            pairs += zip(a.tensors().values(), b.tensors().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and one.step == other.step


def test_lost_steps_are_done_again(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With lists that are too short at first a run ends in the same numbers, exposures included, also when it
    was stopped in between: a checkpoint waits for the lost steps."""
    wanted = trained(fresh(scene, exposure=True))
    assert wanted.parameters.steps == wanted.step == STEPS
    monkeypatch.setattr(rooms, "GUESS", 0.6)
    monkeypatch.setattr(rooms, "SHORTEST", 1)
    looks: list[int] = []
    look = rooms.Room.look
    monkeypatch.setattr(rooms.Room, "look", lambda room: looks.append(look(room)) or looks[-1])
    stopped, found = (fresh(scene, exposure=True) for _ in range(2))
    with kernels_on("cpu", *MODULES):
        stopped.advance()  # a round has two
        assert not looks
        found.restore(stopped.state())
    assert found.step == 1 and looks[0] == 1
    looks.clear()
    trained(found, STEPS - 1)
    assert any(looks)
    assert same(found, wanted)
    assert found.parameters.steps == STEPS


def test_broken_gaussians_are_mended(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the next round, which otherwise does not look for them."""
    looked: list[int] = []
    mend = trainers.repair
    monkeypatch.setattr(trainers, "repair", lambda *given: looked.append(1) or mend(*given))
    trainer = trained(fresh(scene), 4)
    assert not looked
    trainer.parameters["means"][3] = torch.nan
    with kernels_on("cpu", *MODULES):
        trainer.advance()
        assert not looked
        trainer.advance()
    assert looked == [1] and BROKEN in trainer.adapted
    assert trainer.parameters.finite().all()
