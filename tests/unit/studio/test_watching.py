"""A training that goes on, as the API tells it: how long it still takes, and what the scene looks like."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from scripts.lib.contracts.live import Live
from scripts.lib.contracts.progress import Progress, SceneProgress, StageProgress
from scripts.lib.contracts.record import write
from scripts.lib.studio.watching import PICTURE
from scripts.lib.train import live as train_live
from tests.unit.studio.conftest import Served


def training(served: Served) -> tuple[str, Live]:
    """A run in training, as its programs leave it."""
    job = served.submitted()
    served.studio.store.set_state(job, "active", only_from="queued")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    stages = (
        StageProgress("map_scene", "done", 20.0, expected=20.0, known=True),
        StageProgress("train_splat", "running", None, expected=20.0, elapsed=0.0),
        StageProgress("bundle_web", "waiting", None, expected=20.0),
    )
    results = served.studio.home.results(job)
    (results / "yard").mkdir(parents=True)
    run = Progress(
        state="running",
        updated=now,
        seconds=20.0,
        eta_seconds=40.0,
        percent=33.3,
        jobs={},
        scenes={"yard": SceneProgress(33.3, stages)},
    )
    write(results / Progress.file, run)
    live = Live(
        updated=now,
        step=100,
        steps=2000,
        eta_seconds=600.0,
        gaussians=5000,
        psnr=21.5,
        picture="a.jpg",
        pictured=90,
    )
    write(results / "yard" / Live.file, live)
    (results / "yard" / PICTURE).write_bytes(b"JPEG")
    return job, live


def test_a_training_is_shown(served: Served) -> None:
    job, live = training(served)
    told = served.call("GET", f"/jobs/{job}")[1]
    (scene,) = told["scenes"]
    shown = scene["training"]
    assert (shown["step"], shown["steps"], shown["gaussians"]) == (100, 2000, 5000)
    assert shown["psnr"] == 21.5
    assert served.call("GET", shown["picture"]) == (200, b"JPEG")
    train = scene["stages"][1]
    assert 590 <= train["eta_seconds"] <= 600 and told["percent"] < 10
    assert "eta_seconds" not in scene["stages"][2]  # its pace is not known
    results = served.studio.home.results(job)
    write(results / "yard" / Live.file, replace(live, picture=None))
    told = served.call("GET", f"/jobs/{job}")[1]
    assert "picture" not in told["scenes"][0]["training"]


def test_a_training_that_is_over_is_not_shown(served: Served) -> None:
    job, _ = training(served)
    results = served.studio.home.results(job)
    (results / "yard" / Live.file).unlink()
    assert "training" not in served.call("GET", f"/jobs/{job}")[1]["scenes"][0]


def test_both_sides_name_the_picture_alike() -> None:
    assert train_live.PICTURE == PICTURE
