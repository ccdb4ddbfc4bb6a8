"""Training when GPU memory runs out or numbers stop being numbers: it goes on, or one sentence tells."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from scripts.lib.core.console import UserError
from scripts.lib.scene.scene import load_scene
from scripts.lib.train import trainer as trainers
from scripts.lib.train.options import TrainOptions, resolve
from scripts.lib.train.step import AutogradStep
from scripts.lib.train.trainer import BROKEN, Trainer
from tests.unit.splat_scene import make_gaussians, make_views, write_scene

COUNT = 300


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    monkeypatch.setattr(trainers, "FEWEST", 10)
    write_scene(tmp_path / "scene.zip", make_gaussians(), make_views(6))
    options = TrainOptions(steps=100, max_gaussians=COUNT, sh_degree=1, resolution=0)
    return Trainer(load_scene(tmp_path / "scene.zip"), resolve(options, "cpu"))


class Failing:
    """A step that runs out of memory the first times, holding a large tensor as it does."""

    at_once = 1

    def __init__(self, failures: int, *, half_way: bool = False) -> None:
        self.failures, self.half_way = failures, half_way
        self.held: list[weakref.ref[torch.Tensor]] = []
        self.calls = 0

    def lost(self) -> int:
        return 0

    def unsure(self) -> bool:
        return False

    def broken(self) -> bool:
        return True

    def __call__(self, parameters, views, plan, generator, adjust, norms) -> None:  # type: ignore[no-untyped-def]
        self.calls += 1
        if len(self.held) < self.failures:
            self._fail(parameters)
        AutogradStep()(parameters, views, plan, generator, adjust, norms)

    def _fail(self, parameters) -> None:  # type: ignore[no-untyped-def]
        large = torch.zeros(1000)
        self.held.append(weakref.ref(large))
        if self.half_way:
            parameters.steps += 1
        raise torch.cuda.OutOfMemoryError(f"no room beside {len(large)} numbers")


def watched(trainer: Trainer, step: Failing, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each recovery finds the failed step's tensors gone."""
    gone: list[bool] = []
    shed: Callable[[], None] = trainer._shed

    def shed_and_look() -> None:
        gone.append(all(reference() is None for reference in step.held))
        shed()

    monkeypatch.setattr(trainer, "optimise", step)
    monkeypatch.setattr(trainer, "_shed", shed_and_look)
    return gone


def test_recovery_begins_when_the_failed_step_is_gone(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Failing(2)
    gone, before = watched(trainer, step, monkeypatch), len(trainer.parameters)
    trainer.advance()
    assert gone == [True, True] and step.calls == 3
    assert len(trainer.parameters) == trainer.max_gaussians == before * 3 // 4 * 3 // 4
    assert trainer.step == 1 and trainer.parameters.steps == 1 and len(trainer.adapted) == 2
    trainer.advance()
    assert step.calls == 4


def test_half_a_step_is_not_repeated(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Failing(1, half_way=True)
    gone = watched(trainer, step, monkeypatch)
    trainer.advance()
    assert gone == [True] and step.calls == 1
    assert trainer.step == 1 and trainer.parameters.steps == 1
    trainer.advance()
    assert trainer.step == 2 and trainer.parameters.steps == 2


def test_memory_that_never_suffices_is_one_sentence(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "optimise", Failing(100))
    with pytest.raises(UserError, match=r"no memory left .* train_splat.resolution lower"):
        trainer.advance()


@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "sh"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_broken_gaussian_is_put_out(trainer: Trainer, name: str, value: float) -> None:
    trainer.advance()
    trainer.parameters[name][5] = value
    psnr = trainer.measure()
    assert psnr is not None and math.isfinite(psnr)
    assert trainer.parameters.finite().all() and trainer.adapted == [BROKEN]
    for _ in range(6):
        trainer.advance()
    assert trainer.parameters.finite().all() and trainer.position_gradients.isfinite().all()
    assert len(trainer.parameters) <= COUNT


def test_broken_moments_count_too(trainer: Trainer) -> None:
    trainer.parameters.moments("means")[1][7, 2] = math.inf
    trainer.advance()
    assert trainer.parameters.finite().all() and trainer.adapted == [BROKEN]


def test_a_run_that_diverged_is_stopped(trainer: Trainer) -> None:
    trainer.parameters["means"][:20] = math.nan
    with pytest.raises(
        UserError, match=r"diverged: after step 1, .* of .* Gaussians .* not finite"
    ):
        trainer.advance()
