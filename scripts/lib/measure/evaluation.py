"""Measure a splat on the photos that judge it: figures of every view, and pictures of each."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.lib.core.console import Progress
from scripts.lib.core.files import add_to_zip, write_json, writing_zip
from scripts.lib.core.provenance import TRAINING, provenance
from scripts.lib.core.threads import threads
from scripts.lib.splat.gaussians import read_ply

if TYPE_CHECKING:
    from scripts.lib.measure.evaluate import Views
    from scripts.lib.render.device import Device
    from scripts.lib.render.renderer import Picture, Renderer

Json = dict[str, Any]
VIEWS_HELD = 16  # in memory at once, some 100 MB each of 2 megapixels


@dataclass(frozen=True)
class EvaluateOptions:
    """The `evaluate_splat` section of the configuration; "auto" takes what training used."""

    resolution: int | str = "auto"  # long side in pixels; 0: the photos' own size
    refine_poses: bool = True  # measure once more from the poses that fit each photo best


def evaluate_splat(
    ply: Path,
    scene: Path,
    options: EvaluateOptions,
    metrics: Path,
    renders: Path,
    device: Device,
) -> Json:
    """Measure `ply` on the photos that judge it; write `metrics` and `renders`, return the metrics."""
    from scripts.lib.measure import evaluate
    from scripts.lib.render.renderer import Renderer

    began = time.monotonic()
    gaussians = read_ply(ply)
    views = evaluate.choose_views(ply, scene, evaluate.Purpose.JUDGE, options.resolution)
    progress = Progress("evaluate_splat", len(views.indices))
    renderer = Renderer(gaussians, device.type)
    measured: list[Json] = []
    with writing_zip(renders) as archive, ThreadPoolExecutor(threads()) as pool:
        for begin in range(0, len(views.indices), VIEWS_HELD):
            portion = views.indices[begin : begin + VIEWS_HELD]
            seen = [seen_view(views, index, renderer, options) for index in portion]
            for view, pictures in pool.map(judged_view, seen):
                measured.append(view)
                for name, picture in pictures.items():
                    add_to_zip(archive, name, picture)
            progress.update(len(measured))
    measured.sort(key=lambda view: view["psnr"])
    refined = evaluate.mean(measured, "psnr_pose_refined") if options.refine_poses else None
    result = {
        "psnr": evaluate.mean(measured, "psnr"),
        "ssim": evaluate.mean(measured, "ssim"),
        "flip": evaluate.mean(measured, "flip"),
        # Beside the main figure, never instead of it: the splat as it is, each photo where it fits best.
        "psnr_pose_refined": refined,
        "views": measured,
        "held_out": views.held_out,
        "split_counts": views.split.counts(),
        "photos": len(views.scene),
        "resolution": int(views.scene.sizes.max()),
        "gaussians": len(gaussians),
        "device": device.type,
        "device_reason": device.reason,
        "seconds": round(time.monotonic() - began, 2),
        **provenance(options, *TRAINING),
    }
    write_json(metrics, result)
    return result


@dataclass(frozen=True)
class SeenView:
    """One photo (H, W, 3), the splat's picture from its place, and what is known of it already."""

    name: str
    photo: Picture
    render: Picture
    refined: Json  # of its pose, where that was asked for


def seen_view(views: Views, index: int, renderer: Renderer, options: EvaluateOptions) -> SeenView:
    """The photo at `index` and its render."""
    from scripts.lib.measure import evaluate
    from scripts.lib.measure.pose_refinement import refined

    cameras, photo = views.scene, evaluate.photo_of(views, index)
    pose, K = cameras.world_to_camera[index], cameras.K[index]
    render = renderer.picture(pose, K, cameras.sizes[index])
    found: Json = {}
    if options.refine_poses:
        nearer = refined(renderer, photo, pose, K, render)
        found["psnr_pose_refined"] = evaluate.visible_psnr(nearer.picture, photo)
        found["pose_moved_px"] = round(nearer.moved_px, 4)
    return SeenView(cameras.names[index], photo, render, found)


def judged_view(seen: SeenView) -> tuple[Json, dict[str, bytes]]:
    """Figures of one view, and the files of its render, photo and error map."""
    from scripts.lib.measure import evaluate

    render, photo = seen.render, seen.photo
    figures = {**evaluate.likeness(render, photo), "flip": evaluate.flip(render, photo)}
    pictures = {"render": render, "photo": photo, "error": evaluate.error_map(render, photo)}
    files = {f"{seen.name}.{kind}.jpg": evaluate.jpeg(shown) for kind, shown in pictures.items()}
    return {"name": seen.name, **figures, **seen.refined}, files
