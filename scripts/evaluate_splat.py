"""Render a splat from where the judging photos were taken, and compare it with them.

Needs  splat.ply, undistorted.zip
Leaves eval.json (PSNR, SSIM and FLIP, worst view first) and renders.zip (per view: render, photo, error)
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.lib.core.console import Progress, run_main, say
from scripts.lib.core.files import add_to_zip, write_json, writing_zip
from scripts.lib.core.options import parse_options
from scripts.lib.core.provenance import TRAINING, provenance
from scripts.lib.core.threads import use_threads
from scripts.lib.render.arguments import add_compute_arguments
from scripts.lib.splat.gaussians import read_ply

if TYPE_CHECKING:
    from scripts.lib.render.device import Device


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
) -> dict[str, object]:
    """Measure `ply` on the photos that judge it; write `metrics` and `renders`, return the metrics."""
    from scripts.lib.measure import evaluate
    from scripts.lib.measure.pose_refinement import refined
    from scripts.lib.render.renderer import Renderer

    began = time.monotonic()
    gaussians = read_ply(ply)
    views = evaluate.choose_views(ply, scene, evaluate.Purpose.JUDGE, options.resolution)
    progress = Progress("evaluate_splat", len(views.indices))
    measured: list[dict[str, object]] = []
    with writing_zip(renders) as archive:
        renderer, cameras = Renderer(gaussians, device.type), views.scene
        for done, index in enumerate(views.indices, 1):
            name, photo = cameras.names[index], evaluate.photo_of(views, index)
            pose, K = cameras.world_to_camera[index], cameras.K[index]
            render = renderer.picture(pose, K, cameras.sizes[index])
            flip = evaluate.flip(render, photo)
            view = {"name": name, **evaluate.likeness(render, photo), "flip": flip}
            if options.refine_poses:
                nearer = refined(renderer, photo, pose, K, render)
                view["psnr_pose_refined"] = evaluate.likeness(nearer.picture, photo)["psnr"]
                view["pose_moved_px"] = round(nearer.moved_px, 4)
            measured.append(view)
            add_to_zip(archive, f"{name}.render.jpg", evaluate.jpeg(render))
            add_to_zip(archive, f"{name}.photo.jpg", evaluate.jpeg(photo))
            add_to_zip(
                archive, f"{name}.error.jpg", evaluate.jpeg(evaluate.error_map(render, photo))
            )
            progress.update(done)
    measured.sort(key=lambda view: view["psnr"])  # type: ignore[arg-type, return-value]
    result = {
        "psnr": evaluate.mean(measured, "psnr"),
        "ssim": evaluate.mean(measured, "ssim"),
        "flip": evaluate.mean(measured, "flip"),
        # Beside the main figure, never instead of it: the splat as it is, each photo where it fits best.
        "psnr_pose_refined": evaluate.mean(measured, "psnr_pose_refined")
        if options.refine_poses
        else None,
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


def main(argv: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.evaluate_splat", description=__doc__)
    parser.add_argument("--ply", type=Path, required=True, help="trained splat")
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument("--options", default="{}", help="JSON object, see EvaluateOptions")
    parser.add_argument("--eval", type=Path, required=True, help="eval.json to write")
    parser.add_argument("--renders", type=Path, required=True, help="renders.zip to write")
    add_compute_arguments(parser)
    args = parser.parse_args(argv)
    use_threads(args.threads)
    options = parse_options(EvaluateOptions, args.options)

    from scripts.lib.render.device import on_device

    with on_device(args.device, args.gpus) as device:
        result = evaluate_splat(args.ply, args.scene, options, args.eval, args.renders, device)
    say(f"{args.ply}: PSNR {result['psnr']:.2f} dB, SSIM {result['ssim']:.3f}")


if __name__ == "__main__":
    run_main(main)
