"""Where a photo must have been taken from to look like a splat, which stays as it is. Needs torch.

A photo that judges has its pose from structure from motion, which is a little off, and a render from there
a little beside the photo. Sharp pictures suffer most from that, and it says nothing about the splat. So such
photos are judged a second time from the pose that fits best, found by direct image alignment: Gauss-Newton
steps on the square error, with the mean of both pictures' gradients (Malis, "Improving vision-based control
using efficient second-order minimization techniques", ICRA 2004).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scripts.lib.render.pieces import AnyRenderer
from scripts.lib.render.renderer import Picture
from scripts.lib.train.cameras import rigid

Float = npt.NDArray[np.float64]

STEPS = 12
DAMPING = 1e-3  # of the mean of each kind of motion, at first
FARTHEST = 8.0  # pixels: beyond that a picture shows something else
SETTLED = 0.005  # pixels: a step that is no step
STRIP = 1 << 18  # pixels looked at together
SOLID = 0.5  # alpha from which what a pixel shows has a depth


@dataclass(frozen=True)
class Refined:
    """A pose: world_to_camera (4, 4), its picture, and how far it lies from the first in pixels of a picture
    (root mean square over the picture)."""

    world_to_camera: Float
    picture: Picture
    moved_px: float


def refined(
    renderer: AnyRenderer,
    photo: Picture,
    world_to_camera: Float,
    K: Float,
    first: Picture | None = None,
    layers: tuple[Tensor, Tensor] | None = None,
) -> Refined:
    """The pose near `world_to_camera` (4, 4) whose render comes nearest to `photo` (H, W, 3), NaN if hidden.

    first, layers: the render from there, its depth and alpha, if they were made. Never farther from the photo
    than the first one; where no step brings them nearer, that is what is returned.
    """
    height, width = photo.shape[:2]
    size = (width, height)
    picture = renderer.picture(world_to_camera, K, size) if first is None else first
    best = Refined(world_to_camera, picture, 0.0)
    whole = torch.as_tensor(photo, device=renderer.device)
    counts = ~torch.isnan(whole).any(dim=2)
    whole = whole.nan_to_num()
    depth, alpha = renderer.depth(world_to_camera, K, size) if layers is None else layers
    counts = counts & (alpha > SOLID) & (depth > 0)
    if not counts.any():
        return best
    units = _units(depth, counts, K)
    error, damping = _error(picture, photo), DAMPING
    total = np.zeros(6)
    for _ in range(STEPS):
        render = torch.as_tensor(best.picture, device=renderer.device)
        hessian, gradient = _normal(render, whole, counts, depth, K, units)
        step = _solved(hessian, gradient, damping)
        if np.abs(step).max() < SETTLED:
            break
        pose = rigid(torch.tensor((step * units)[None]))[0].numpy() @ best.world_to_camera
        moved = total + step
        trial = renderer.picture(pose, K, size)
        found = _error(trial, photo)
        if found < error and np.abs(moved).max() <= FARTHEST:
            error, damping, total = found, damping / 4, moved
            best = Refined(pose, trial, _pixels(depth, counts, K, total * units))
        else:
            damping *= 16
    return best


def _error(picture: Picture, photo: Picture) -> float:
    """Mean square error over what is visible."""
    return float(np.nanmean((picture - photo) ** 2))


def _strips(depth: Tensor) -> Iterator[slice]:
    """Rows of a picture, some at a time: all at once the numbers of a large one would fill the memory."""
    height, width = depth.shape
    some = max(1, STRIP // width)
    for begin in range(0, height, some):
        yield slice(begin, min(begin + some, height))


def _flow(depth: Tensor, counts: Tensor, K: Float, rows: slice) -> Tensor:
    """How each pixel that counts in some rows moves (P, 2, 6) by a turn and a shift on the camera's side."""
    down, across = torch.nonzero(counts[rows], as_tuple=True)
    near = 1 / depth[rows][down, across]
    x = (across + 0.5 - K[0, 2]) / K[0, 0]
    y = (down + rows.start + 0.5 - K[1, 2]) / K[1, 1]
    zero = torch.zeros_like(near)
    aside = torch.stack([-x * y, 1 + x * x, -y, near, zero, -x * near], dim=-1) * K[0, 0]
    below = torch.stack([-1 - y * y, x * y, x, zero, near, -y * near], dim=-1) * K[1, 1]
    return torch.stack([aside, below], dim=-2).float()


def _units(depth: Tensor, counts: Tensor, K: Float) -> Float:
    """How much of each kind of motion (6,) moves what counts by a pixel, root mean square."""
    squares = np.zeros(6)
    for rows in _strips(depth):
        flow = _flow(depth, counts, K, rows)
        squares += flow.double().square().sum(dim=(0, 1)).cpu().numpy()
    return 1 / np.sqrt(np.maximum(squares / float(counts.sum()), 1e-24))


def _pixels(depth: Tensor, counts: Tensor, K: Float, motion: Float) -> float:
    """How far a motion (6,) moves what counts, root mean square."""
    total = 0.0
    for rows in _strips(depth):
        flow = _flow(depth, counts, K, rows).double()
        moved = flow @ torch.as_tensor(motion, device=flow.device)
        total += float(moved.square().sum())
    return math.sqrt(total / float(counts.sum()))


def _normal(
    render: Tensor, photo: Tensor, counts: Tensor, depth: Tensor, K: Float, units: Float
) -> tuple[Float, Float]:
    """The normal equations (6, 6) and (6,) of the motion, in `units`, that makes `render` like `photo`."""
    down, across = torch.gradient((render + photo) / 2, dim=(0, 1))
    hessian, gradient = np.zeros((6, 6)), np.zeros(6)
    for rows in _strips(depth):
        counted = counts[rows]
        gradients = torch.stack([across[rows], down[rows]], dim=-1)[counted]  # (P, 3, 2)
        # What is seen moves along the flow, so the colour at a pixel changes the other way.
        flow = _flow(depth, counts, K, rows)
        design = (gradients @ flow).reshape(-1, 6)
        rest = (render[rows] - photo[rows])[counted].reshape(-1)
        hessian += (design.T @ design).double().cpu().numpy()
        gradient += (design.T @ rest).double().cpu().numpy()
    return hessian * np.outer(units, units), gradient * units


def _solved(hessian: Float, gradient: Float, damping: float) -> Float:
    """The step (6,), damped alike for all six motions; nothing where no picture has a gradient."""
    mean = np.trace(hessian) / 6
    if not np.isfinite(mean) or mean <= 0:
        return np.zeros(6)
    step: Float = np.linalg.solve(hessian + damping * mean * np.eye(6), gradient)
    return step
