"""The stage: two splats into one frame, compared from the cameras of both captures; places and pictures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scripts.lib.contracts.changes import Changes
from scripts.lib.contracts.registration import Registration
from scripts.lib.core.console import Progress
from scripts.lib.core.geo import Sim3
from scripts.lib.core.options import Options, option
from scripts.lib.splat.gaussians import read_ply
from scripts.lib.splat.rotation import carried

if TYPE_CHECKING:
    from scripts.lib.measure.changes.compare import Camera, Exposure, Score, Side
    from scripts.lib.measure.changes.places import Place
    from scripts.lib.measure.evaluate import Views

Float = npt.NDArray[np.float64]

MOST_PLACES = 24
EXPOSED_BY = 8  # views that tell how bright the captures are against each other


@dataclass(frozen=True)
class ChangesOptions(Options):
    """Map of what changed between two captures of one place."""

    resolution: int = option(
        480, "Longest side of the pictures that are compared.", 64, 4096, unit="pixels"
    )
    views: int = option(
        24, "Cameras of each capture from which both scenes are compared, spread evenly.", 2, 1000
    )
    photos: int = option(
        32,
        "Photos of each capture that tell how far a scene is from its own photos, spread evenly.",
        2,
        1000,
    )
    least_percent: float = option(
        0.02,
        "A place that makes less of the compared pixels is not told; raise it if there are too many.",
        0,
        100,
        unit="%",
    )
    seed: int = option(0, "Seed of the random samples.", 0, 2**31 - 1, shared=True)


@dataclass(frozen=True)
class SplatFiles:
    """What is compared of a scene: its splat, which tells of its training, and its photos."""

    trained: Path  # splat.ply
    ply: Path  # splat.clean.ply
    scene: Path  # undistorted.zip


def sim3_of(registration: Registration) -> Sim3:
    """The similarity of registration.json."""
    matrix = np.array(registration.reference_from_scene)
    scale = float(np.cbrt(np.linalg.det(matrix[:3, :3])))
    return Sim3(scale, matrix[:3, :3] / scale, matrix[:3, 3])


def find_changes(
    reference: SplatFiles,
    scene: SplatFiles,
    registration: Registration,
    options: ChangesOptions,
    device: str,
) -> tuple[Changes, dict[str, bytes]]:
    """changes.json, and the pictures of changes.zip by name.

    Raises UserError when a splat was trained on other photos than those of its undistorted.zip.
    """
    from scripts.lib.measure.changes import compare
    from scripts.lib.measure.changes.looks import drawn, looked_at, three

    began = time.monotonic()
    sim3 = sim3_of(registration)
    progress = Progress("find_changes", 2 * options.photos + 4 * options.views)
    before, own = prepared(reference, Sim3(1.0, np.eye(3), np.zeros(3)), options, device)
    progress.update(options.photos)
    after, other = prepared(scene, sim3, options, device)
    progress.update(2 * options.photos)
    identity = Sim3(1.0, np.eye(3), np.zeros(3))
    cameras = [
        *cameras_of(own, identity, options.views),
        *cameras_of(other, sim3, options.views),
    ]
    some = cameras[:: max(1, len(cameras) // EXPOSED_BY)]
    light = compare.exposure(before, after, some, options.seed)
    scores, valid = voted(before, after, cameras, light, progress, 2 * options.photos)
    found = places_of((before, after), scores, cameras)
    total = valid * 2  # pixels of both splats
    large = [p for p in found if 100 * p.pixels / max(total, 1) >= options.least_percent]
    large = large[:MOST_PLACES]
    sides = (before, after)
    looks, changed = looked_at(large, sides, scores, cameras, progress)
    told, pictures = drawn(large, sides, scores, cameras, looks, light, registration.metres, total)
    pixels = float(sum(np.prod(camera.size) for camera in cameras))
    return Changes(
        scene=registration.scene,
        reference=registration.reference,
        views=len(cameras),
        resolution=options.resolution,
        compared_percent=100 * valid / pixels,
        changed_percent=100 * changed / max(valid, 1.0),
        noise_before=_rms(before),
        noise_after=_rms(after),
        gain=three(light.gain),
        offset=three(light.offset),
        places=tuple(told),
        smaller=len(found) - len(large),
        device=device,
        seconds=round(time.monotonic() - began, 2),
    ), pictures


def prepared(
    files: SplatFiles, sim3: Sim3, options: ChangesOptions, device: str
) -> tuple[Side, Views]:
    """A splat in the common frame with its noise, and the photos that told it, in its own frame."""
    from scripts.lib.measure import evaluate
    from scripts.lib.measure.changes.compare import Side
    from scripts.lib.measure.changes.noise import own_noise
    from scripts.lib.render.renderer import Renderer

    views = evaluate.choose_views(files.trained, files.scene, evaluate.Purpose.JUDGE)
    views = replace(views, scene=views.scene.at_most(options.resolution))
    # Photos that training has not seen among the others, as many as there are.
    others = [index for index in range(len(views.scene)) if index not in set(views.indices)]
    kept = [others[place] for place in evaluate.spread(len(others), options.photos)]
    noisy = replace(views, indices=sorted({*kept, *views.indices[: options.photos]}))
    gaussians = read_ply(files.ply)
    noise = own_noise(Renderer(gaussians, device), noisy)
    return Side(Renderer(carried(gaussians, sim3), device), noise), views


def cameras_of(views: Views, sim3: Sim3, count: int) -> list[Camera]:
    """At most `count` cameras of a capture, spread evenly, in the frame that `sim3` leads to."""
    from scripts.lib.measure.changes.compare import Camera
    from scripts.lib.measure.evaluate import spread

    scene, found = views.scene, []
    centres = sim3.apply(scene.centres)
    for index in spread(len(scene), count):
        pose = np.eye(4)
        pose[:3, :3] = scene.world_to_camera[index, :3, :3] @ sim3.rotation.T
        pose[:3, 3] = -pose[:3, :3] @ centres[index]
        found.append(Camera(scene.names[index], pose, scene.K[index], scene.sizes[index]))
    return found


def voted(
    before: Side,
    after: Side,
    cameras: Sequence[Camera],
    light: Exposure,
    progress: Progress | None = None,
    done: int = 0,
) -> tuple[tuple[Score, Score], float]:
    """In how many views the Gaussians of each splat differ, and how many pixels could be compared."""
    from scripts.lib.measure.changes import compare

    votes, valid = (compare.Vote(before.renderer), compare.Vote(after.renderer)), 0.0
    for number, camera in enumerate(cameras, 1):
        view = compare.compare_view(before, after, camera, light)
        valid += float(view.valid.sum())
        for vote in votes:
            vote.add(view)
        if progress:
            progress.update(done + number)
    return (votes[0].score(), votes[1].score()), valid


def places_of(
    sides: tuple[Side, Side], scores: tuple[Score, Score], cameras: Sequence[Camera]
) -> list[Place]:
    """The places that changed; Gaussians a few pixels from each other, as the cameras see them, are one."""
    from scripts.lib.measure.changes.places import JOIN_PX, find_places

    means = [side.renderer.means.double().cpu().numpy() + side.renderer.origin for side in sides]
    seen = means[0][scores[0].pixels > 0]
    middle = np.median(seen, axis=0) if len(seen) else np.zeros(3)
    pixel = np.median(
        [
            np.linalg.norm(c.world_to_camera[:3, :3] @ middle + c.world_to_camera[:3, 3])
            / c.K[0, 0]
            for c in cameras
        ]
    )
    return find_places(means, scores, float(JOIN_PX * pixel))


def _rms(side: Side) -> float:
    return float(np.sqrt(np.median(side.noise.square)))


def sentence(changes: Changes) -> str:
    """What was found, for the log and the report."""
    kinds = [place.kind for place in changes.places]
    counts = [f"{kinds.count(k)} {k}" for k in ("appeared", "gone", "changed") if k in kinds]
    many = f"{len(kinds)} place{'' if len(kinds) == 1 else 's'}"
    return (
        f"{many} differ{'s' if len(kinds) == 1 else ''} between {changes.reference} and {changes.scene}"
        + (f" ({', '.join(counts)})" if counts else "")
        + f": {changes.changed_percent:.1f} % of what both show"
    )
