"""Quality by depth: full-frame figures hide a soft background behind a sharp foreground. Needs torch.

The pixels of all judged photos are divided into three bands of about as many pixels each, by the depth of
what the splat shows there. What shows nothing solid, or the sky, is a band of its own.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from scripts.lib.contracts.eval import DepthBand
from scripts.lib.measure.evaluate import PERFECT, Views
from scripts.lib.measure.pose_refinement import SOLID
from scripts.lib.render.renderer import Picture

Float = npt.NDArray[np.float64]
Band = Literal["near", "middle", "far"]

BANDS: tuple[Band, ...] = ("near", "middle", "far")
# Depths are counted in steps of half a percent, so that no photo has to be kept until all are seen. The
# range holds any scene, in millimetres as in kilometres; what lies outside counts at its ends.
STEP = 0.005
LOWEST = np.log(1e-6)
STEPS = int(np.ceil((np.log(1e9) - LOWEST) / STEP))


def scene_depth(views: Views, index: int, depth: torch.Tensor, alpha: torch.Tensor) -> Picture:
    """Depth (H, W) of the scene in the photo at `index`; infinite for the sky, or nothing solid.

    depth, alpha: of the photo's camera, as from `Renderer.depth`.
    """
    found: Picture = depth.cpu().numpy().astype(np.float32)
    found[(alpha.cpu().numpy() <= SOLID) | (found <= 0)] = np.inf
    scene = views.scene
    if views.sky_from is not None:
        middle = scene.centres[views.split.trained].mean(axis=0)
        R, t = scene.world_to_camera[index, :3, :3], scene.world_to_camera[index, :3, 3]
        found[_distance(found, scene.K[index], R @ middle + t) >= views.sky_from] = np.inf
    return found


def _distance(depth: Picture, K: Float, place: Float) -> Picture:
    """Distance (H, W) of what is seen at `depth` (H, W) from a `place` (3,) in the camera's frame."""
    height, width = depth.shape
    x = (np.arange(width, dtype=np.float32) + 0.5 - K[0, 2]) / K[0, 0]
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5 - K[1, 2]) / K[1, 1]
    across, down, along = place
    found: Picture = np.sqrt(
        (x * depth - across) ** 2 + (y * depth - down) ** 2 + (depth - along) ** 2
    )
    return found


def tally(render: Picture, photo: Picture, depth: Picture) -> Float:
    """How many pixels of one photo (H, W, 3) show each depth, and the sum of their square errors.

    (2, STEPS + 1), the last column for an infinite depth (H, W); photos add up. Pixels that a mask hides
    (NaN in the photo) are left out.
    """
    shown = ~np.isnan(photo).any(axis=2)
    errors = np.mean((render[shown].astype(np.float64) - photo[shown]) ** 2, axis=1)
    away = depth[shown].astype(np.float64)
    columns = np.full(len(away), STEPS)
    solid = np.isfinite(away)
    steps = np.floor((np.log(away[solid]) - LOWEST) / STEP).astype(np.int64)
    columns[solid] = steps.clip(0, STEPS - 1)
    return np.stack([np.bincount(columns, weight, STEPS + 1) for weight in (None, errors)])


def bands(total: Float) -> tuple[DepthBand, ...]:
    """Near, middle, far and beyond, from the sum of the `tally` of all photos; none without a pixel."""
    pixels = total[0]
    solid = np.flatnonzero(pixels[:STEPS])
    found = []
    if len(solid):
        counts = pixels[solid]
        centres = (np.cumsum(counts) - counts / 2) / counts.sum()  # of each step, as a quantile
        for number, name in enumerate(BANDS):
            inside = solid[np.floor(len(BANDS) * centres) == number]
            if len(inside):  # a flat scene may be one step deep
                nearest, farthest = np.exp(LOWEST + STEP * np.array([inside[0], inside[-1] + 1]))
                found.append(_band(name, total, inside, float(nearest), float(farthest)))
    if pixels[STEPS]:
        found.append(_band("beyond", total, np.array([STEPS])))
    return tuple(found)


def _band(
    name: Literal[Band, "beyond"],
    total: Float,
    columns: npt.NDArray[np.int64],
    nearest: float | None = None,
    farthest: float | None = None,
) -> DepthBand:
    pixels, error = total[:, columns].sum(axis=1)
    psnr = -10 * np.log10(max(error / pixels, 10 ** (-PERFECT / 10)))
    share = float(pixels / total[0].sum())
    return DepthBand(name, float(psnr), share, nearest, farthest)
