"""How steady surfaces look while the camera moves: the second thing, beside sharpness, that a film shows.

Two renders from places close to each other show the same surfaces, and between them a surface of the real
world hardly changes its colour. So the second render is warped into the first by the depth of the splat, and
what differs where both show the same surface is flicker: what is drawn at some other depth than it seems,
floaters and needles before a wall, or what looks different from every side. Both renders are smoothed a
little first, because a warped picture is softer. What is left where nothing flickers, when a camera only
turns, is some 0.8 of 255 levels (tests/bench/NOTES.md). Needs torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from scripts.lib.measure.pose_refinement import SOLID
from scripts.lib.render.pieces import AnyRenderer
from scripts.lib.scene.scene import Scene, fit, rescaled

Float = npt.NDArray[np.float64]

# Median motion from one render to the next, as of a slow flight at 30 frames a second.
STEP_PX = 6.0
MOST_SIDE = 1600  # pixels of the longer side at most: about what a screen shows of it
SAME = 0.05  # of the depth: two renders that differ by more show different surfaces
BLUR = (0.25, 0.5, 0.25)  # in each direction, about a Gaussian of 0.7 pixels


@dataclass(frozen=True)
class Seen:
    """A render (H, W, 3), its depth (H, W) in world units, 0 where nothing is solid, and its camera."""

    picture: Tensor
    depth: Tensor
    world_to_camera: Float
    K: Float


def flicker(renderer: AnyRenderer, scene: Scene, indices: Sequence[int]) -> float | None:
    """Mean change of colour, 0 to 1, from one render to the next, half way between the cameras at
    `indices` and their nearest neighbours; None where no two renders show the same."""
    total, pixels = 0.0, 0
    for index in indices:
        near = nearest(scene, index)
        if near is None:
            continue
        poses, (width, height) = scene.world_to_camera, scene.sizes[index].tolist()
        size = fit(width, height, MOST_SIDE)
        K = rescaled(scene.K[[index]], scene.sizes[[index]], [size])[0]
        first = seen(renderer, between(poses[index], poses[near], 0.5), K, size)
        pose = beside(first, poses[near], K)
        if pose is None:
            continue
        found, count = change(first, seen(renderer, pose, K, size))
        total, pixels = total + found, pixels + count
    return total / pixels if pixels else None


def nearest(scene: Scene, index: int) -> int | None:
    """The camera nearest to that at `index` of those that look within 45 degrees of where it looks."""
    away = np.linalg.norm(scene.centres - scene.centres[index], axis=1)
    forward = scene.world_to_camera[:, 2, :3]
    away[(forward @ forward[index] < math.cos(math.pi / 4)) | (away < 1e-9)] = np.inf
    found = int(np.argmin(away))
    return found if np.isfinite(away[found]) else None


def seen(renderer: AnyRenderer, world_to_camera: Float, K: Float, size: npt.ArrayLike) -> Seen:
    """What a camera sees, ready to be compared."""
    picture = torch.as_tensor(renderer.picture(world_to_camera, K, size), device=renderer.device)
    depth, alpha = renderer.depth(world_to_camera, K, size)
    return Seen(picture, torch.where(alpha > SOLID, depth, 0), world_to_camera, K)


def warped(first: Seen, second: Seen) -> tuple[Tensor, Tensor, Tensor]:
    """For each solid pixel of `first` (M,): which it is (H, W) bool, where `second` sees the surface, pixels
    (M, 2), and how far from it (M,)."""
    solid = first.depth > 0
    down, across = torch.nonzero(solid, as_tuple=True)
    ray = torch.stack([across + 0.5, down + 0.5, torch.ones_like(across)], dim=1).double()
    away = first.depth[solid].double()[:, None]
    device = first.depth.device
    # Camera to camera in float64: far from the origin float32 loses the pixels.
    between = second.world_to_camera @ np.linalg.inv(first.world_to_camera)
    turn = torch.as_tensor(second.K @ between[:3, :3] @ np.linalg.inv(first.K), device=device)
    shift = torch.as_tensor(second.K @ between[:3, 3], device=device)
    seen_at = away * (ray @ turn.T) + shift
    return solid, seen_at[:, :2] / seen_at[:, 2:].clamp_min(1e-9), seen_at[:, 2]


def change(first: Seen, second: Seen) -> tuple[float, int]:
    """Sum of the absolute differences of colour (mean of red, green, blue) where both renders show the same
    surface, and the number of such pixels."""
    height, width = first.depth.shape
    solid, at, away = warped(first, second)
    sides = torch.tensor([width, height], device=at.device)
    grid = (2 * at / sides - 1).float()[None, None]
    layers = torch.cat([_smooth(second.picture), second.depth[..., None]], dim=2)
    found = functional.grid_sample(
        layers.permute(2, 0, 1)[None], grid, padding_mode="border", align_corners=False
    )[0, :, 0].T
    inside = (away > 0) & (at >= 0.5).all(dim=1) & (at <= sides - 0.5).all(dim=1)
    same = inside & ((found[:, 3] - away).abs() <= SAME * away)
    difference = found[:, :3] - _smooth(first.picture)[solid]
    return float(difference[same].abs().mean(dim=1).sum()), int(same.sum())


def _smooth(picture: Tensor) -> Tensor:
    planes = functional.pad(picture.permute(2, 0, 1)[:, None], (1, 1, 1, 1), mode="replicate")
    kernel = torch.tensor(BLUR, device=picture.device)
    planes = functional.conv2d(planes, (kernel[:, None] * kernel)[None, None])
    return planes[:, 0].permute(1, 2, 0)


def beside(first: Seen, world_to_camera: Float, K: Float) -> Float | None:
    """A camera (4, 4) on the way from that of `first` to another one, where the picture has moved by about
    STEP_PX; None where the other sees nothing of what `first` shows, or stands at the same place."""
    other = Seen(first.picture, first.depth, world_to_camera, K)
    _, at, away = warped(first, other)
    solid = torch.nonzero(first.depth > 0)
    moved = (at - solid.flip(1) - 0.5).norm(dim=1)[away > 0]
    if not len(moved) or float(moved.median()) < 1e-3:
        return None
    share = min(1.0, STEP_PX / float(moved.median()))
    return between(first.world_to_camera, world_to_camera, share)


def between(one: Float, other: Float, share: float) -> Float:
    """The camera (4, 4) that stands and looks `share` of the way from `one` to `other`."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_matrix(other[:3, :3] @ one[:3, :3].T).as_rotvec()
    centres = [-pose[:3, :3].T @ pose[:3, 3] for pose in (one, other)]
    found = np.eye(4)
    found[:3, :3] = Rotation.from_rotvec(share * turn).as_matrix() @ one[:3, :3]
    found[:3, 3] = -found[:3, :3] @ ((1 - share) * centres[0] + share * centres[1])
    return found
