"""Measure a splat on the photos that judge it: figures of every view, and pictures of each."""

from __future__ import annotations

import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.lib.core.console import Progress
from scripts.lib.core.files import add_to_zip, write_json, writing_zip
from scripts.lib.core.provenance import TRAINING, provenance
from scripts.lib.splat.gaussians import read_ply

if TYPE_CHECKING:
    from scripts.lib.measure.evaluate import Views
    from scripts.lib.render.device import Device
    from scripts.lib.render.renderer import Renderer

Json = dict[str, Any]


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
    measured: list[Json] = []
    with writing_zip(renders) as archive:
        renderer = Renderer(gaussians, device.type)
        for done, index in enumerate(views.indices, 1):
            measured.append(measured_view(views, index, renderer, options, archive))
            progress.update(done)
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


def measured_view(
    views: Views,
    index: int,
    renderer: Renderer,
    options: EvaluateOptions,
    archive: zipfile.ZipFile,
) -> Json:
    """Figures of one view; its render, photo and error map go into `archive`."""
    from scripts.lib.measure import evaluate
    from scripts.lib.measure.pose_refinement import refined

    cameras = views.scene
    name, photo = cameras.names[index], evaluate.photo_of(views, index)
    pose, K = cameras.world_to_camera[index], cameras.K[index]
    render = renderer.picture(pose, K, cameras.sizes[index])
    flip = evaluate.flip(render, photo)
    view = {"name": name, **evaluate.likeness(render, photo), "flip": flip}
    if options.refine_poses:
        nearer = refined(renderer, photo, pose, K, render)
        view["psnr_pose_refined"] = evaluate.likeness(nearer.picture, photo)["psnr"]
        view["pose_moved_px"] = round(nearer.moved_px, 4)
    pictures = {"render": render, "photo": photo, "error": evaluate.error_map(render, photo)}
    for kind, picture in pictures.items():
        add_to_zip(archive, f"{name}.{kind}.jpg", evaluate.jpeg(picture))
    return view
