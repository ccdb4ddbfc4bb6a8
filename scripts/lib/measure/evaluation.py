"""Measure a splat on its test photos: numbers and pictures of every view."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scripts.lib.contracts.eval import Eval, ViewFigures
from scripts.lib.contracts.record import stamped, write
from scripts.lib.core.console import Progress
from scripts.lib.core.files import add_to_zip, writing_zip
from scripts.lib.core.options import Options, option
from scripts.lib.core.provenance import TRAINING
from scripts.lib.core.threads import threads
from scripts.lib.splat.pieces import Splat, opened

if TYPE_CHECKING:
    from scripts.lib.measure.evaluate import Views
    from scripts.lib.render.device import Device
    from scripts.lib.render.pieces import AnyRenderer
    from scripts.lib.render.renderer import Picture

# Views looked at for needles and flicker, spread evenly: each costs a backward pass and four renders.
LOOKED_AT = 8
DEPTHS_AT = 16  # views whose depth is compared with points, spread evenly
VIEWS_HELD = 16  # in memory at once, some 100 MB each of 2 megapixels


@dataclass(frozen=True)
class EvaluateOptions(Options):
    """Quality of the splat on the test photos, at the resolution used in training."""

    refine_poses: bool = option(
        True,
        """Also measure with the camera of each test photo fitted to the finished scene (psnr_pose_refined).
        The difference from the main result shows the effect of small pose errors.""",
    )


def evaluate_splat(
    ply: Path,
    scene: Path,
    options: EvaluateOptions,
    metrics: Path,
    renders: Path,
    device: Device,
) -> Eval:
    """Measure `ply` on its test photos; write `metrics` and `renders`, return the metrics.

    A splat of very many Gaussians is read in pieces.
    """
    with opened(ply, metrics) as found:
        return _evaluated(found.splat, ply, scene, options, metrics, renders, device)


def _evaluated(
    splat: Splat,
    ply: Path,
    scene: Path,
    options: EvaluateOptions,
    metrics: Path,
    renders: Path,
    device: Device,
) -> Eval:
    """`evaluate_splat` of the splat in `ply`."""
    from scripts.lib.measure import depth_bands, evaluate, visibility
    from scripts.lib.measure.depth_error import depth_errors
    from scripts.lib.measure.flicker import flicker
    from scripts.lib.render.pieces import renderer_of

    began = time.monotonic()
    views = evaluate.choose_views(ply, scene, evaluate.Purpose.JUDGE)
    progress = Progress("evaluate_splat", len(views.indices))
    renderer = renderer_of(splat, device.type)
    measured: list[ViewFigures] = []
    depths = np.zeros((2, depth_bands.STEPS + 1))
    with writing_zip(renders) as archive, ThreadPoolExecutor(threads()) as pool:
        for begin in range(0, len(views.indices), VIEWS_HELD):
            portion = views.indices[begin : begin + VIEWS_HELD]
            seen = [seen_view(views, index, renderer, options) for index in portion]
            for view, tally, pictures in pool.map(judged_view, seen):
                measured.append(view)
                depths += tally
                for name, picture in pictures.items():
                    add_to_zip(archive, name, picture)
            progress.update(len(measured))
    measured.sort(key=lambda view: view.psnr)
    some = evaluate.spread_views(views, LOOKED_AT).indices
    result = Eval(
        psnr=_mean([view.psnr for view in measured]),
        ssim=_mean([view.ssim for view in measured]),
        flip=_mean([view.flip for view in measured]),
        psnr_pose_refined=(
            _mean([view.psnr_pose_refined for view in measured]) if options.refine_poses else None
        ),
        psnr_exposure_fitted=_mean([view.psnr_exposure_fitted for view in measured]),
        views=tuple(measured),
        depth_bands=depth_bands.bands(depths),
        depth_errors=depth_errors(splat, evaluate.spread_views(views, DEPTHS_AT)),
        needles=visibility.needles(splat, renderer, views.scene, some),
        flicker=flicker(renderer, views.scene, some),
        held_out=views.held_out,
        split_counts=views.split.counts(),
        photos=len(views.scene),
        resolution=int(views.scene.sizes.max()),
        gaussians=len(splat),
        device=device.type,
        device_reason=device.reason,
        seconds=round(time.monotonic() - began, 2),
    )
    result = stamped(result, options, *TRAINING)
    write(metrics, result)
    return result


def _mean(values: Sequence[float | None]) -> float:
    return float(np.mean(np.array(values, float)))


@dataclass(frozen=True)
class SeenView:
    """One photo (H, W, 3), the splat's picture and depth (H, W) from its pose, and what is known already."""

    name: str
    photo: Picture
    render: Picture
    depth: Picture  # world units, infinite for the sky or nothing
    psnr_refined: float | None = None  # from the pose that fits best, where that was asked for
    moved_px: float | None = None  # how far that is


def seen_view(
    views: Views, index: int, renderer: AnyRenderer, options: EvaluateOptions
) -> SeenView:
    """The photo at `index` and its render."""
    from scripts.lib.measure import depth_bands, evaluate
    from scripts.lib.measure.pose_refinement import refined

    cameras, photo = views.scene, evaluate.photo_of(views, index)
    pose, K = cameras.world_to_camera[index], cameras.K[index]
    render = renderer.picture(pose, K, cameras.sizes[index])
    layers = renderer.depth(pose, K, cameras.sizes[index])
    depth = depth_bands.scene_depth(views, index, *layers)
    seen = SeenView(cameras.names[index], photo, render, depth)
    if not options.refine_poses:
        return seen
    nearer = refined(renderer, photo, pose, K, render, layers)
    psnr = evaluate.visible_psnr(nearer.picture, photo)
    return replace(seen, psnr_refined=psnr, moved_px=round(nearer.moved_px, 4))


def judged_view(seen: SeenView) -> tuple[ViewFigures, npt.NDArray[np.float64], dict[str, bytes]]:
    """Figures of one view, its errors by depth, and the files of its render, photo and error map."""
    from scripts.lib.measure import depth_bands, evaluate

    render, photo = seen.render, seen.photo
    alike = evaluate.image_quality(render, photo)
    pictures = {"render": render, "photo": photo, "error": evaluate.error_map(render, photo)}
    files = {f"{seen.name}.{kind}.jpg": evaluate.jpeg(shown) for kind, shown in pictures.items()}
    figures = ViewFigures(
        name=seen.name,
        psnr=alike["psnr"],
        ssim=alike["ssim"],
        flip=evaluate.flip(render, photo),
        psnr_pose_refined=seen.psnr_refined,
        pose_moved_px=seen.moved_px,
        psnr_exposure_fitted=evaluate.visible_psnr(evaluate.exposed_as(render, photo), photo),
    )
    return figures, depth_bands.tally(render, photo, seen.depth), files
