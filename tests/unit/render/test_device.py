"""One device for the whole run: every stage decides alike, with a GPU, without one, or with one of no use."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from scripts import (
    check_codecs,
    clean_splat,
    compress_splat,
    evaluate_splat,
    export_ortho,
    export_points,
    render_poster,
    render_tour,
    train_block,
    train_coarse,
    train_splat,
)
from scripts.lib.contracts.record import write
from scripts.lib.core import card_lock
from scripts.lib.core.console import UserError
from scripts.lib.core.files import read_json
from scripts.lib.render import device
from scripts.lib.render.device import Device, choose_device, on_device, scheduler_of_gpu
from scripts.lib.scene.blocks import plan_blocks
from scripts.lib.scene.scene import load_scene
from scripts.lib.splat.gaussians import write_ply
from scripts.lib.train.note import TrainingNote
from scripts.lib.visit.poster import render
from scripts.lib.workflow.settings import scene_top, workflow_settings
from tests.conftest import ROOT
from tests.unit.geo.places import placed
from tests.unit.splat_scene import make_gaussians, make_views, write_scene

VIEW = {"position": [2, 0, 0.6], "target": [0, 0, 0], "fov": 50, "name": "a", "tour": None}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stages need, tiny."""
    folder = tmp_path_factory.mktemp("made")
    truth = make_gaussians(60)
    write_scene(folder / "undistorted.zip", truth, make_views(6))
    write_ply(folder / "splat.ply", truth, (TrainingNote(64, 3).comment(),))
    (folder / "view.json").write_text(json.dumps(VIEW))
    write(folder / "georef.json", placed(46.8, -92.0, 150.0))
    write(folder / "plan.json", plan_blocks(load_scene(folder / "undistorted.zip"), 1))
    return folder


TRAINED = ("--ply", "{out}/splat.ply", "--metrics", "{out}/train.json")
PLY, SCENE = ("--ply", "{in}/splat.ply"), ("--scene", "{in}/undistorted.zip")
GEOREF = ("--georef", "{in}/georef.json")
MAPS = tuple(word for name in ("ortho", "dsm", "trust") for word in (f"--{name}", "{out}/" + name))
Stage = tuple[Callable[[list[str]], None], tuple[str, ...], dict[str, object]]
STAGES: dict[str, Stage] = {
    "train_splat": (
        train_splat.main,
        (*SCENE, "--ply", "{out}/splat.ply", "--metrics", "{out}/train.json"),
        {"steps": 3, "max_gaussians": 100, "resolution": 0, "sky": False},
    ),
    "train_coarse": (
        train_coarse.main,
        (*SCENE, *TRAINED, "--checkpoints", "{out}/checkpoints"),
        {"steps": 3, "max_gaussians": 100, "sky": False},
    ),
    "train_block": (
        train_block.main,
        (
            *(*SCENE, *TRAINED, "--checkpoints", "{out}/checkpoints", "--block", "1"),
            *("--plan", "{in}/plan.json", "--coarse", "{in}/splat.ply"),
        ),
        {"steps": 3, "max_gaussians": 100, "sky": False},
    ),
    "evaluate_splat": (
        evaluate_splat.main,
        (*PLY, *SCENE, "--eval", "{out}/eval.json", "--renders", "{out}/renders.zip"),
        {},
    ),
    "clean_splat": (
        clean_splat.main,
        (*PLY, *SCENE, "--output", "{out}/clean.ply", "--metrics", "{out}/clean.json"),
        {},
    ),
    "compress_splat": (
        compress_splat.main,
        (*PLY, *SCENE, "--spz", "{out}/splat.spz", "--metrics", "{out}/compress.json"),
        {},
    ),
    "check_codecs": (
        check_codecs.main,
        (*PLY, *SCENE, "--encoded", "{in}/splat.ply", "--metrics", "{out}/codecs.json"),
        {},
    ),
    "render_poster": (
        render_poster.main,
        (*PLY, *SCENE, "--output", "{out}/poster.jpg", "--view", "{out}/view.json"),
        {},
    ),
    "render_tour": (
        render_tour.main,
        (*PLY, "--view", "{in}/view.json", "--film", "{out}/a.mp4", "--stops", "{out}/a.jpg"),
        {"width": 64, "fps": 1},
    ),
    "export_points": (
        export_points.main,
        (*PLY, *SCENE, *GEOREF, "--output", "{out}/a.laz", "--told", "{out}/points.json"),
        {"min_photos": 1},
    ),
    "export_ortho": (
        export_ortho.main,
        (*PLY, *SCENE, *GEOREF, *MAPS, "--told", "{out}/ortho.json"),
        {"min_photos": 1, "max_side": 64},
    ),
}
every_stage = pytest.mark.parametrize("stage", STAGES)


def run(stage: str, made: Path, out: Path, *more: str) -> None:
    main, arguments, options = STAGES[stage]
    words = [word.replace("{in}", str(made)).replace("{out}", str(out)) for word in arguments]
    main([*words, *(["--options", json.dumps(options)] if options else []), *more])


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with an NVIDIA card, without the packages that compile kernels for it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "cuda.core", None)


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose GPU, if it has one, torch does not see."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@every_stage
@pytest.mark.usefixtures("no_kernels")
def test_a_gpu_without_kernels_is_told_once_and_the_cpu_does_it(
    stage: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(stage, made, tmp_path, "--gpus", "1")
    told = [line for line in capsys.readouterr().out.splitlines() if "on the CPU" in line]
    assert len(told) == 1 and "the packages that compile its kernels are missing" in told[0]
    # What to do about it is told once in a run, by the stage that takes longest.
    assert ("pip install" in told[0]) == (stage in ("train_splat", "train_coarse"))
    for path in tmp_path.glob("*.json"):
        if path.name in ("train.json", "eval.json", "clean.json", "compress.json", "codecs.json"):
            numbers = read_json(path)
            assert numbers["device"] == "cpu" and "kernels are missing" in numbers["device_reason"]


@every_stage
@pytest.mark.usefixtures("no_kernels")
def test_cuda_asked_for_without_kernels_is_refused(stage: str, made: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="device is 'cuda', but .* kernels are missing"):
        run(stage, made, tmp_path, "--device", "cuda")
    assert not list(tmp_path.iterdir())


@every_stage
@pytest.mark.usefixtures("no_driver")
def test_a_gpu_that_is_paid_for_is_never_left_idle(
    stage: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_BATCH_JOB_ID", "7")
    with pytest.raises(UserError, match="AWS Batch gave this job a GPU, but PyTorch finds no"):
        run(stage, made, tmp_path, "--gpus", "1")


def test_a_compiler_that_does_not_load_is_as_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The packages are there, but NVRTC's library is not."""

    def missing() -> None:
        raise RuntimeError("Failed to dlopen libnvrtc.so.13\nand a page more")

    bindings = types.ModuleType("cuda.bindings")
    bindings.nvrtc = types.SimpleNamespace(nvrtcVersion=missing)  # type: ignore[attr-defined]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "cuda", types.ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.core", types.ModuleType("cuda.core"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
    assert choose_device("auto", 0, {}).type == "cpu"
    (told,) = capsys.readouterr().out.splitlines()
    assert "are missing (Failed to dlopen libnvrtc.so.13)" in told


@pytest.mark.usefixtures("no_driver")
def test_a_driver_that_is_too_old_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = tmp_path / "version"
    version.write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.256.02  Thu May  2 14:37:44 UTC 2024\n"
    )
    monkeypatch.setattr(device, "DRIVER", version)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert choose_device("auto", 0, {}).type == "cpu"
    (told,) = capsys.readouterr().out.splitlines()
    assert "driver 470.256.02 does not work with this PyTorch, which is built for CUDA 13.0" in told
    with pytest.raises(UserError, match="update the driver"):
        choose_device("cuda", 0, {})


def test_a_card_that_is_too_old_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (6, 1))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "GTX 1080")
    fault = device._fault()
    assert fault is not None and "GTX 1080 has compute capability 6.1" in fault.what


@pytest.mark.usefixtures("no_driver")
def test_without_any_gpu_the_cpu_is_taken_in_silence(capsys: pytest.CaptureFixture[str]) -> None:
    assert choose_device("auto", 1, {}) == Device("cpu", "PyTorch finds no CUDA GPU")
    assert choose_device("cpu", 1, {"AWS_BATCH_JOB_ID": "7"}).type == "cpu"
    assert choose_device("auto", 0, {"AWS_BATCH_JOB_ID": "7"}).type == "cpu"
    assert capsys.readouterr().out == ""
    with pytest.raises(UserError, match="device is 'cuda', but PyTorch finds no CUDA GPU"):
        choose_device("cuda", 0, {})
    with pytest.raises(UserError, match="device is 'tpu'; choose auto, cuda or cpu"):
        choose_device("tpu", 0, {})


def test_who_gives_a_gpu() -> None:
    assert scheduler_of_gpu(1, {}) is None
    assert scheduler_of_gpu(0, {"AWS_BATCH_JOB_ID": "7"}) is None
    assert scheduler_of_gpu(1, {"AWS_BATCH_JOB_ID": "7"}) == "AWS Batch"
    assert scheduler_of_gpu(0, {"SPLATMAKE_KUBERNETES_JOB": "7"}) is None
    assert scheduler_of_gpu(1, {"SPLATMAKE_KUBERNETES_JOB": "7"}) == "Kubernetes"
    assert scheduler_of_gpu(0, {"SLURM_JOB_GPUS": "2"}) == "Slurm"
    assert scheduler_of_gpu(1, {"SLURM_JOB_ID": "5"}) is None  # a job without GPUs


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Two GPUs that work, as far as the choice goes; holds which was made the current one."""
    chosen: list[int] = []
    monkeypatch.setattr(device, "_obstacle", lambda: None)
    monkeypatch.setattr(device, "_fault", lambda: None)
    monkeypatch.setattr(device, "_card_name", lambda number: f"GPU-{number}")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(card_lock, "FOLDER", tmp_path)
    return chosen


HOLD = (
    "import fcntl, os, sys, time; handle = os.open(sys.argv[1], os.O_RDONLY | os.O_CREAT);"
    " fcntl.flock(handle, fcntl.LOCK_EX); print('held', flush=True); time.sleep(600)"
)


@contextmanager
def another_job(path: Path):  # type: ignore[no-untyped-def]
    """A process that holds the lock of a card."""
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_first_free_card_is_taken(two_cards: list[int], tmp_path: Path) -> None:
    with another_job(tmp_path / "splatmake-gpu-GPU-0.lock"), on_device("auto") as found:
        assert found.type == "cuda" and two_cards == [1]
        with on_device("cuda", 1) as again:  # the same process once more
            assert again.reason == "asked for" and two_cards == [1, 1]


def test_a_card_in_use_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pauses: list[int] = []
    with another_job(tmp_path / "splatmake-gpu-A_1.lock") as process:

        def pause() -> None:
            pauses.append(1)
            if len(pauses) == 3:
                process.kill()
                process.wait()  # its lock ends with it

        with card_lock.claimed(["A/1"], tmp_path, pause) as place:
            assert place == 0 and len(pauses) == 3
    assert capsys.readouterr().out.count("Waiting for the GPU") == 1
    lock = tmp_path / "splatmake-gpu-A_1.lock"
    with another_job(lock):  # free again, and for every user
        pass
    with card_lock.claimed(["B"], tmp_path):
        assert (tmp_path / "splatmake-gpu-B.lock").stat().st_mode & 0o777 == 0o644


def test_a_card_is_taken_only_if_free(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with another_job(tmp_path / "splatmake-gpu-A.lock"):
        with card_lock.claimed_if_free(["A"], tmp_path) as place:
            assert place is None
        with card_lock.claimed_if_free(["A", "B"], tmp_path) as place:
            assert place == 1 and set(card_lock._held) == {"B"}
            with pytest.raises(BlockingIOError), card_lock.claimed_if_free(["B"], tmp_path):
                raise BlockingIOError  # of the block itself
    assert not card_lock._held and not capsys.readouterr().out


def test_where_no_lock_can_be_made_the_card_is_used_all_the_same(tmp_path: Path) -> None:
    with card_lock.claimed(["A"], tmp_path / "missing") as place:
        assert place == 0


def test_a_gpu_that_cannot_count_is_not_used(
    two_cards: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = device._Obstacle("the GPU does not work", "install another torch")
    monkeypatch.setattr(device, "_fault", lambda: fault)
    with on_device("auto") as found:
        assert found == Device("cpu", "the GPU does not work")
        assert not card_lock._held
    assert capsys.readouterr().out.count("on the CPU: the GPU does not") == 1
    with pytest.raises(UserError, match="install another torch"), on_device("cuda"):
        pass


def test_pictures_do_not_depend_on_where_the_origin_is() -> None:
    """The poster of a georeferenced scene is as sharp as that of the same scene at the origin."""
    offset = (4096.0, -2048.0, 64.0)
    near, far = make_gaussians(), make_gaussians()
    far.means[:] += np.float32(offset)
    view, moved = make_views(1)[0], make_views(1, offset)[0]
    size = (view.width, view.height)
    pictures = [
        render(gaussians, camera.world_to_camera, camera.K, size)
        for gaussians, camera in ((near, view), (far, moved))
    ]
    assert np.abs(pictures[0] - pictures[1]).max() < 0.02


def test_the_key_is_one_for_all_rules() -> None:
    settings = workflow_settings({"device": "cpu"}, ROOT)
    row = {"scene": "yard", "source": "photos"}
    assert scene_top(settings, row, ROOT)["device"] == "cpu"
    assert scene_top(settings, row | {"device": "cuda"}, ROOT)["device"] == "cuda"
    with pytest.raises(
        UserError, match="scene 'yard': 'device' is 'tpu'; allowed: auto, cuda, cpu"
    ):
        scene_top(settings, row | {"device": "tpu"}, ROOT)
    with pytest.raises(UserError, match="'device' is 'gpu'; allowed: auto, cuda, cpu"):
        workflow_settings({"device": "gpu"}, ROOT)
