"""The keeper with the real Snakemake: what it is started with, and how a run's end is told."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from scripts.lib.contracts.outcome import Outcome
from scripts.lib.contracts.progress import Progress, SceneProgress, StageProgress
from scripts.lib.contracts.record import read, write
from scripts.lib.contracts.request import RequestedScene, RunRequest
from scripts.lib.contracts.stop import Stop
from scripts.lib.studio import keeper
from scripts.lib.studio.home import address_of
from scripts.lib.studio.lock import take
from scripts.lib.studio.studio import Studio
from tests.unit.studio.conftest import Served

TOKEN, JOB = "0123456789abcdef", "fedcba9876543210"


def few_photos(sample: Path) -> bytes:
    """A zip of two photos: too few for a scene, which the first stage says."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for photo in sorted((sample / "photos").glob("*.jpg"))[:2]:
            archive.write(photo, photo.name)
    return packed.getvalue()


def test_snakemake_runs_and_its_stage_says_what_is_wrong(studio: Studio, sample: Path) -> None:
    folder, upload = studio.home.job(JOB), studio.home.upload(TOKEN)
    folder.mkdir()
    upload.mkdir()
    (upload / "yard.zip").write_bytes(few_photos(sample))
    scene = RequestedScene("yard", address_of(TOKEN, "yard.zip"))
    options = {"preset": "draft", "bundle_web": {"title": "The yard"}}
    write(folder / RunRequest.file, RunRequest(scenes=(scene,), options=options))
    lock = take(folder)
    assert lock is not None
    keeper.keep(folder, "1", lock)
    outcome = read(Outcome, folder / Outcome.file)
    assert outcome.state == "failed" and outcome.scenes["yard"].state == "failed"
    assert (
        outcome.cause is not None and "photos" in outcome.cause and "Traceback" not in outcome.cause
    )
    assert str(studio.home.path) not in outcome.cause and "yard.zip has only" in outcome.cause
    progress = read(Progress, folder / "results" / Progress.file)
    assert {s.rule: s.state for s in progress.scenes["yard"].stages}["import_photos"] == "failed"


def test_what_is_wrong_before_the_first_stage_is_told(studio: Studio) -> None:
    """An option that contradicts another: Snakemake ends before there is any progress."""
    folder = studio.home.job(JOB)
    folder.mkdir()
    (folder / keeper.LOG).write_text('WorkflowError in file "x":\nthis cannot be\nwith that\n')
    request = RunRequest(scenes=(RequestedScene("yard", address_of(TOKEN, "yard.zip")),))
    outcome = keeper.judge(folder, request, 1)
    assert outcome.cause is not None and "this cannot be with that" in outcome.cause
    write(folder / Stop.file, Stop(reason="enough"))
    assert keeper.judge(folder, request, 1).state == "stopped"


def test_a_stage_without_a_word_is_named(tmp_path: Path) -> None:
    stages = (StageProgress("train_splat", "failed", 1.0),)
    progress = Progress(
        state="failed",
        updated="",
        seconds=1.0,
        eta_seconds=None,
        percent=1.0,
        jobs={},
        scenes={"yard": SceneProgress(1.0, stages)},
    )
    assert "train_splat ended without a word" in keeper.failure(progress, tmp_path)
    log = tmp_path / "logs" / "yard" / "train_splat.log"
    log.parent.mkdir(parents=True)
    log.write_text("Step 3\nError: the disk is full; free some\n")
    assert keeper.failure(progress, tmp_path) == "the disk is full; free some"
    assert keeper.failure(None, tmp_path) == ""


def test_a_refused_mail_is_told(served: Served) -> None:
    body = {"scenes": [{"scene": "yard", "source": served.uploaded()}], "email": "a@example.org"}
    code, told = served.call("POST", "/jobs", body)
    assert code == 403 and "no mails" in told["error"]
