"""Interrupted training: killed at any moment, the same command ends with the same bytes."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import boto3
import pytest
import torch
from botocore.stub import Stubber

from scripts.lib.core.console import UserError
from scripts.lib.core.digest import code_digest
from scripts.lib.core.files import read_json
from scripts.lib.scene.scene import load_scene
from scripts.lib.train.checkpoint import Checkpoints, run_key
from scripts.lib.train.options import TrainOptions, resolve
from scripts.lib.train.trainer import Trainer
from scripts.train_splat import main
from tests.conftest import ROOT
from tests.unit.splat_scene import make_gaussians, make_views, write_scene

OPTIONS = {"steps": 120, "max_gaussians": 300, "sh_degree": 1, "checkpoint_every": 0.05}


@pytest.fixture(scope="module")
def scene_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "undistorted.zip"
    write_scene(path, make_gaussians(), make_views())
    return path


def command(scene: Path, folder: Path, **options: object) -> list[str]:
    arguments = ["--device", "cpu", "--scene", scene, "--options", json.dumps(OPTIONS | options)]
    arguments += ["--ply", folder / "splat.ply", "--metrics", folder / "train.json"]
    return [str(argument) for argument in arguments]


@pytest.fixture(scope="module")
def whole(scene_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The splat of a run that was never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    main(command(scene_zip, folder))
    return (folder / "splat.ply").read_bytes()


# Training that says when a checkpoint is kept, and goes on when it is told to.
STEP_BY_STEP = """
import sys
from scripts.lib.core.console import run_main
from scripts.lib.train.checkpoint import Checkpoints
from scripts.train_splat import main
keep = Checkpoints.save
def save(*arguments):
    keep(*arguments)
    print("kept", flush=True)
    sys.stdin.readline()
Checkpoints.save = save
run_main(main)
"""


def start(scene: Path, folder: Path) -> subprocess.Popen[str]:
    """The same command in a process of its own, which waits behind its first checkpoint."""
    process = subprocess.Popen(
        [sys.executable, "-c", STEP_BY_STEP, *command(scene, folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout
    said = []
    while line := process.stdout.readline():
        if line == "kept\n":
            return process
        said.append(line)
    raise AssertionError(f"no checkpoint was kept: {said}")


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_killed_run_ends_with_the_same_bytes(
    scene_zip: Path, tmp_path: Path, whole: bytes, blow: signal.Signals
) -> None:
    process = start(scene_zip, tmp_path)
    process.send_signal(blow)
    output = process.communicate("go on\n", timeout=60)[0]
    if blow == signal.SIGTERM:
        assert process.returncode == 143 and "same command" in output
    else:
        assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "splat.ply").exists()
    main(command(scene_zip, tmp_path))
    metrics = read_json(tmp_path / "train.json")
    assert 0 < metrics["resumed_from"] < metrics["steps"] == 120
    assert [point["step"] for point in metrics["curve"]] == list(range(12, 121, 12))
    assert (tmp_path / "splat.ply").read_bytes() == whole
    assert not (tmp_path / "checkpoints").exists()


def test_state_continues_exactly(scene_zip: Path, tmp_path: Path) -> None:
    """Also across growth, the change to full resolution, and thinning out."""
    settings = resolve(TrainOptions(steps=60, max_gaussians=2500, sh_degree=1), "cpu")
    scene = load_scene(scene_zip)
    store = Checkpoints(tmp_path, "0" * 16)

    def advance(trainer: Trainer, steps: int) -> None:
        for _ in range(steps):
            trainer.advance()

    straight = Trainer(scene, settings)
    advance(straight, 35)
    assert len(straight.parameters) > 2000
    advance(straight, 5)
    first = Trainer(scene, settings)
    advance(first, 17)
    store.save(first.step, first.state())
    second = Trainer(scene, settings)
    state = store.load()
    assert state is not None
    second.restore(state)
    advance(second, 23)
    rows, others = (trainer.parameters.state()["rows"] for trainer in (straight, second))
    for name, values in rows.items():
        for value, other in zip(values, others[name], strict=True):
            assert torch.equal(value, other), name
    assert len(straight.parameters) < 2000


def test_last_two_are_kept_and_damage_falls_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Checkpoints(tmp_path, "a" * 16)
    for step in (1, 2, 3):
        store.save(step, {"step": step})
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / f"{'a' * 16}-00000003.pt").write_bytes(b"half a file")
    assert store.load() == {"step": 2}
    assert "damaged" in capsys.readouterr().out


def test_other_options_are_left_alone(
    scene_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = run_key(scene_zip, {"steps": 5})
    assert key != run_key(scene_zip, {"steps": 6})
    assert key == run_key(scene_zip, {"steps": 5}, code_digest(ROOT, "train_splat"))
    assert key != run_key(scene_zip, {"steps": 5}, "edited"), (
        "a run does not go on under other code"
    )
    Checkpoints(tmp_path / "checkpoints", key).save(3, {"step": 3})
    main(command(scene_zip, tmp_path, steps=5))
    assert "Ignoring 1 checkpoint(s)" in capsys.readouterr().out
    assert read_json(tmp_path / "train.json")["resumed_from"] is None
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1  # another run's, not ours to delete


def test_checkpoint_of_nothing(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "none", "b" * 16).load() is None
    with pytest.raises(UserError):
        run_key(tmp_path / "none.zip", {})


def test_a_bucket_keeps_the_last_two_and_resumes(
    s3: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new machine finds them; a damaged one is left aside, another run's is not touched."""
    key = "c" * 16
    s3.put_object(Bucket="bkt", Key=f"ck/yard/{'d' * 16}-00000009.pt", Body=b"another's")
    with Checkpoints("s3://bkt/ck/yard", key) as store:
        for step in (1, 2, 3):
            store.save(step, {"step": step})
    names = [item["Key"] for item in s3.list_objects_v2(Bucket="bkt")["Contents"]]
    assert [name.rpartition("-")[2] for name in names if key in name] == [
        "00000002.pt",
        "00000003.pt",
    ]
    with Checkpoints("s3://bkt/ck/yard", key) as other:
        assert other.load() == {"step": 3}
        s3.put_object(Bucket="bkt", Key=f"ck/yard/{key}-00000003.pt", Body=b"half a file")
        assert other.load() == {"step": 2}
        other.clear()
        assert other.load() is None
    told = capsys.readouterr().out
    assert "Continuing after step 3 from s3://bkt/ck/yard/" in told and "damaged" in told
    assert len(s3.list_objects_v2(Bucket="bkt")["Contents"]) == 1


def test_training_goes_on_while_a_checkpoint_is_uploaded(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`save` returns before the upload has ended; the end of the run waits for it."""
    store = Checkpoints("s3://bkt/ck", "e" * 16)
    may_upload, put = threading.Event(), store.place.put

    def slow(*arguments: Any) -> None:
        assert may_upload.wait(60)
        put(*arguments)

    monkeypatch.setattr(store.place, "put", slow)
    state = {"rows": torch.arange(3)}
    with store:
        store.save(5, state)
        state["rows"] += 1  # what training does meanwhile must not get into the checkpoint
        assert store.place.names() == []
        may_upload.set()
    loaded = Checkpoints("s3://bkt/ck", "e" * 16).load()
    assert loaded is not None and loaded["rows"].tolist() == [0, 1, 2]


def test_a_refused_upload_costs_only_the_checkpoint(
    s3: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with Checkpoints("s3://nowhere/ck", "f" * 16) as store:
        store.save(5, {"step": 5})
        store.save(6, {"step": 6})
    told = capsys.readouterr().out
    assert told.count("A checkpoint could not be saved") == 1 and "did not take" in told


def test_a_network_error_is_no_damaged_checkpoint(
    s3: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hours of training lie in S3: when it cannot be read now, the run must not begin at zero."""
    with Checkpoints("s3://bkt/ck", "1" * 16) as store:
        store.save(900, {"step": 900})
    client = boto3.client("s3", region_name="us-east-1")
    failing = Stubber(client)
    monkeypatch.setattr(
        client, "download_file", lambda *_: client.head_object(Bucket="bkt", Key="x")
    )
    failing.add_client_error("head_object", "SlowDown", "Please reduce your request rate", 503)
    with Checkpoints("s3://bkt/ck", "1" * 16) as other, failing:
        names = other.place.names()
        monkeypatch.setattr(other.place, "names", lambda: names)
        monkeypatch.setattr(other.place, "client", lambda: client)
        with pytest.raises(UserError, match="did not give .*SlowDown"):
            other.load()
    assert "damaged" not in capsys.readouterr().out


def test_a_disk_that_fails_is_no_damaged_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Checkpoints(tmp_path, "2" * 16)
    store.save(900, {"step": 900})

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(OSError, match="Input/output"):
        store.load()
    assert "damaged" not in capsys.readouterr().out


def test_a_full_disk_costs_only_the_checkpoint(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last good one stays, nothing half written, told once, and again after one was kept."""
    store = Checkpoints(small_disk, "3" * 16)
    store.save(1, {"step": 1})
    for step in (2, 3):
        store.save(step, {"rows": torch.zeros(1 << 19)})
    assert [path.name for path in small_disk.iterdir()] == [f"{'3' * 16}-00000001.pt"]
    told = capsys.readouterr().out
    assert told.count("A checkpoint could not be saved: no space left for") == 1
    assert store.load() == {"step": 1}
    store.save(4, {"step": 4})
    store.save(5, {"rows": torch.zeros(1 << 19)})
    assert capsys.readouterr().out.count("A checkpoint could not be saved") == 1


@pytest.mark.parametrize("where", ["folder", "bucket"])
def test_training_goes_on_without_checkpoints(
    where: str,
    s3: Any,
    scene_zip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same on any machine: the writing of a state fails as torch tells a full disk."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:664] unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    place = str(tmp_path / "checkpoints") if where == "folder" else "s3://bkt/ck"
    options = command(scene_zip, tmp_path, steps=12, checkpoint_every=1e-6)
    main([*options, "--checkpoints", place])
    assert read_json(tmp_path / "train.json")["steps"] == 12
    assert capsys.readouterr().out.count("A checkpoint could not be saved") == 1
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not list(tmp_path.glob("checkpoints/.*"))


def test_what_killed_runs_were_writing_is_removed(tmp_path: Path) -> None:
    """Also those of other options: each is as large as a checkpoint, and nobody comes back for it."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / f".{'4' * 16}.01234567.part.pt").write_bytes(b"half")
    (folder / f".{'5' * 16}.89abcdef.part.pt").write_bytes(b"half")
    (folder / f".{'4' * 16}-00000039.9b401faa.part.pt").write_bytes(b"")  # a copy on its way
    (folder / f"{'5' * 16}-00000001.pt").write_bytes(b"another run's")
    assert Checkpoints(folder, "4" * 16).load() is None
    assert [path.name for path in folder.iterdir()] == [f"{'5' * 16}-00000001.pt"]


def test_a_checkpoint_that_cannot_be_removed_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The splat is written by then."""
    store = Checkpoints(tmp_path, "6" * 16)
    store.save(1, {"step": 1})

    def refuse(_: str) -> None:
        raise UserError("S3 did not delete it")

    monkeypatch.setattr(store.place, "remove", refuse)
    store.clear()
    assert "were not removed: S3 did not delete it" in capsys.readouterr().out
