"""Trainings that go on: their numbers and the latest picture, as they leave them beside the results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from scripts.lib.cloud.messages import JobStatus, SceneStatus, Training
from scripts.lib.contracts.live import Live
from scripts.lib.contracts.request import RunRequest
from scripts.lib.studio.records import found

PICTURE = "live.jpg"


def trainings(results: Path, request: RunRequest) -> dict[str, Live]:
    """What the training of each scene says of itself, where one goes on."""
    told = {scene.scene: found(Live, results / scene.scene) for scene in request.scenes}
    return {scene: live for scene, live in told.items() if live}


def with_trainings(status: JobStatus, live: Mapping[str, Live], base: str) -> JobStatus:
    """A run's status with its trainings; `base` is this server's address."""
    scenes = tuple(_scene(scene, live.get(scene.scene), status.id, base) for scene in status.scenes)
    return replace(status, scenes=scenes)


def _scene(scene: SceneStatus, live: Live | None, job: str, base: str) -> SceneStatus:
    trains = any(s.name == Live.stage and s.state == "running" for s in scene.stages or ())
    if live is None or not trains:
        return scene
    # The same address as long as the picture is the same: a browser need not load it again.
    path = f"{base}/files/{job}/{quote(scene.scene)}/{PICTURE}?step={live.pictured}"
    training = Training(
        step=live.step,
        steps=live.steps,
        gaussians=live.gaussians,
        psnr=live.psnr,
        picture=path if live.picture else None,
    )
    return replace(scene, training=training)
