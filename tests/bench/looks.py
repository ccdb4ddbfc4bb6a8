"""What a visitor sees beside sharpness: `python -m tests.bench.looks --scene undistorted.zip SPLAT.ply ...`.

One JSON line for each splat, at the photos' size or --resolution:
- `over_10`, `over_30`: share of the renders of the test photos that Gaussians more than 10 and 30 times as
  long as wide make;
- `flicker`: change of colour of one surface from render to render half way between photos, of 255;
- `steadiness`: the same between a test photo and its nearest neighbour, of the renders and of the photos
  themselves, over the same pixels: what the real place does, with the errors of the depth in both;
- with `--truth` (splats of tests/data/sample, in the frame of --scene): PSNR on the views that the workflow
  never saw, and how far their depth is from the truth: median share, and share of pixels off by over 5 %;
  `walls_and_ground`: of what is flat and upright or level, up to 25 m away, the median error of the median
  depth and of the mean depth, and within which nine of ten of the former lie; `known`: the same three
  without truth, by held-out tracks.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scripts.lib.measure import flicker
from scripts.lib.measure.depth_error import depth_errors
from scripts.lib.measure.metrics import psnr
from scripts.lib.render.along_rays import depths_along
from scripts.lib.render.renderer import Renderer
from scripts.lib.scene.scene import Scene
from scripts.lib.splat.gaussians import Gaussians, read_ply
from tests.bench.judge import Judge, load_decoded
from tests.conftest import ROOT
from tests.truth import align, flat_surfaces, heldback, heldback_depth, read_truth

WRONG = 0.05  # of the depth
LEVELS = 255


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("splats", type=Path, nargs="+")
    parser.add_argument("--scene", type=Path, required=True, help="undistorted.zip")
    parser.add_argument(
        "--resolution", type=int, default=0, help="long side in pixels, 0: as it is"
    )
    parser.add_argument("--truth", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    scene = load_decoded(args.scene).at_most(args.resolution)
    judge = Judge(scene, args.device)
    for path in args.splats:
        gaussians = read_ply(path)
        line: dict[str, Any] = {"bench": "looks", "splat": path.name, "gaussians": len(gaussians)}
        line |= looks(gaussians, judge)
        if args.truth:
            line |= against_truth(gaussians, scene, args.device)
        print(json.dumps(line), flush=True)


def looks(gaussians: Gaussians, judge: Judge) -> dict[str, Any]:
    """What needs no truth."""
    found = steadiness(Renderer(gaussians, judge.device), judge.views.scene, judge.views.indices)
    known = depth_errors(gaussians, judge.views)
    numbers = known and (known.all.median, known.all.mean_depth_median, known.all.within_90)
    return (
        {"psnr": round(judge.psnr(gaussians), 3)}
        | judge.streaks(gaussians)
        | {"steadiness": found, "known": numbers and [round(n, 5) for n in numbers]}
    )


def steadiness(renderer: Renderer, scene: Scene, indices: list[int]) -> dict[str, float]:
    """Change from test photos to their neighbours, of 255."""
    sums = {"renders": 0.0, "photos": 0.0}
    pixels = 0
    for index in indices:
        near = flicker.nearest(scene, index)
        if near is None:
            continue
        pair = [
            flicker.seen(renderer, scene.world_to_camera[i], scene.K[i], scene.sizes[i])
            for i in (index, near)
        ]
        photos = [
            dataclasses.replace(one, picture=torch.tensor(photo, device=renderer.device) / LEVELS)
            for one, photo in zip(pair, scene.photos([index, near]), strict=True)
        ]
        for name, two in (("renders", pair), ("photos", photos)):
            found, count = flicker.change(*two)
            sums[name] += found
        pixels += count
    return {k: round(LEVELS * v / max(pixels, 1), 3) for k, v in sums.items()}


def against_truth(gaussians: Gaussians, scene: Scene, device: str) -> dict[str, Any]:
    """PSNR and depth on the sample's views that nobody trained on."""
    sample = ROOT / "tests" / "data" / "sample"
    truth = read_truth(sample)
    sim3, _ = align(scene, truth)
    renderer = Renderer(gaussians, device)
    depths = heldback_depth(sample)
    quality, errors, flat = [], [], []
    for name, pose, K, photo in heldback(sample, truth, sim3, 0):
        size = (photo.shape[1], photo.shape[0])
        quality.append(psnr(renderer.picture(pose, K, size), photo))
        true = depths[name] * sim3.scale
        depth, alpha = (layer.cpu().numpy() for layer in renderer.depth(pose, K, size))
        depth[alpha <= 0.5] = np.inf  # nothing solid is an error, too
        step = size[0] // true.shape[1]
        at = step // 2
        errors.append(np.abs(depth[at::step, at::step] - true)[true > 0] / true[true > 0])
        rows, columns = np.nonzero(flat_surfaces(sample, name))
        found = depths_along(
            gaussians, pose, K, size, np.stack([columns, rows], axis=1) * step + at + 0.5
        )
        exact = true[rows, columns]
        flat.append(np.abs(np.stack([found.median, found.mean]) / exact - 1))
    error = np.concatenate(errors)
    median, mean = np.concatenate(flat, axis=1)
    surfaces = (np.median(median), np.median(mean), np.quantile(median, 0.9))
    return {
        "heldback_psnr": round(float(np.mean(quality)), 3),
        "depth_error": round(float(np.median(error)), 4),
        "depth_wrong": round(float((error > WRONG).mean()), 4),
        "walls_and_ground": [round(float(value), 5) for value in surfaces],
    }


if __name__ == "__main__":
    main()
