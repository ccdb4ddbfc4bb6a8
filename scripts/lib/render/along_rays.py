"""How deep a splat is along single rays: mean and median depth, without a whole picture.

A picture's depth (`Renderer.depth`) is a mean: before an edge it lies between the two surfaces, and a veil in
front of a wall pulls it forward. The median, the depth by which half of what a pixel shows is reached, lies
on one of the surfaces (Luiten et al., "Dynamic 3D Gaussians", 2023; Huang et al., "2D Gaussian Splatting",
2024). It needs the Gaussians of a pixel in their order, which the rasterisers do not give away; for the
few thousand rays of a measurement it is computed here, by the same formulas.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from scripts.lib.render.rasterise.constants import FAR, NEAR
from scripts.lib.splat.gaussians import Gaussians

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
EPS2D, ALPHA_MIN, ALPHA_MAX, STOP = 0.3, 1 / 255, 0.999, 1e-4  # as in the rasterisers
EDGE = 0.15  # of the picture's size, beyond which the projection is linearised no further out


@dataclass(frozen=True)
class Depths:
    """Of M rays: mean and median depth along the camera's axis (M,), world units, and alpha (M,) of what is
    there; 0 for nothing."""

    mean: Float
    median: Float
    alpha: Float


def depths_along(
    gaussians: Gaussians, world_to_camera: Float, K: Float, size: npt.ArrayLike, pixels: Float
) -> Depths:
    """What the rays through `pixels` (M, 2) of a picture meet; pixel centres lie at +0.5.

    world_to_camera (4, 4) OpenCV, world units; K (3, 3) pixels; `size` is width and height.
    """
    if not len(pixels):
        return Depths(np.zeros(0), np.zeros(0), np.zeros(0))
    ellipses = _Ellipses.of(gaussians, world_to_camera, K, np.asarray(size, float), pixels)
    rays, owners = _near(ellipses, pixels)
    away = pixels[rays] - ellipses.centres[owners]
    a, b, c = ellipses.covariances[owners].T
    power = (c * away[:, 0] ** 2 - 2 * b * away[:, 0] * away[:, 1] + a * away[:, 1] ** 2) / 2
    alphas = ellipses.opacities[owners] * np.exp(-power / (a * c - b * b))
    alphas = np.minimum(alphas, ALPHA_MAX)
    seen = alphas >= ALPHA_MIN
    rays, depths, alphas = rays[seen], ellipses.depths[owners[seen]], alphas[seen]
    order = np.lexsort((depths, rays))
    return _composited(len(pixels), rays[order], depths[order], alphas[order])


@dataclass(frozen=True)
class _Ellipses:
    """Gaussians on a picture: centres (N, 2) and covariances (N, 3) as a, b, c in pixels, depths (N,),
    opacities (N,) and how far each reaches (N,), in pixels."""

    centres: Float
    covariances: Float
    depths: Float
    opacities: Float
    reach: Float

    @classmethod
    def of(
        cls, gaussians: Gaussians, pose: Float, K: Float, size: Float, pixels: Float
    ) -> _Ellipses:
        """Those that may reach the box around `pixels` (M, 2)."""
        R = pose[:3, :3]
        local = gaussians.means.astype(np.float64) @ R.T + pose[:3, 3]
        opacities = 1 / (1 + np.exp(-gaussians.opacities.astype(np.float64)))
        focal, middle = K[[0, 1], [0, 1]], K[:2, 2]
        edge = EDGE * size / focal
        left, right = -middle / focal - edge, (size - middle) / focal + edge
        shown = (local[:, 2] >= NEAR) & (local[:, 2] <= FAR) & (opacities >= ALPHA_MIN)
        # The widest that any turn could make it: of a large splat, most lies beside the picture.
        some = np.flatnonzero(shown)
        slopes = local[some, :2] / local[some, 2:]
        stretch = focal.max() * np.sqrt(1 + (slopes.clip(left, right) ** 2).sum(axis=1))
        widest = np.exp(gaussians.scales[some].max(axis=1)) * stretch / local[some, 2]
        reach = np.sqrt(-2 * np.log(ALPHA_MIN) * (widest**2 + EPS2D))
        some = some[_beside(focal * slopes + middle, pixels) <= reach]
        local, opacities = local[some], opacities[some]
        slopes = local[:, :2] / local[:, 2:]
        jacobian = np.zeros((len(local), 2, 3))
        jacobian[:, [0, 1], [0, 1]] = focal / local[:, 2:]
        jacobian[:, :, 2] = -focal * slopes.clip(left, right) / local[:, 2:]
        axes = _rotations(gaussians.quats[some].astype(np.float64))
        axes *= np.exp(gaussians.scales[some].astype(np.float64))[:, None]
        spread = (jacobian @ R) @ axes
        a, c = (spread**2).sum(axis=2).T
        b = (spread[:, 0] * spread[:, 1]).sum(axis=1)
        sharp = a * c - b * b
        a, c = a + EPS2D, c + EPS2D
        if gaussians.antialiased:
            opacities = opacities * np.sqrt((sharp / (a * c - b * b)).clip(0))
        longest = (a + c) / 2 + np.sqrt(((a - c) / 2) ** 2 + b * b)
        reach = np.sqrt(2 * np.log(np.maximum(opacities / ALPHA_MIN, 1)) * longest)
        return cls(focal * slopes + middle, np.stack([a, b, c], 1), local[:, 2], opacities, reach)


def _beside(centres: Float, pixels: Float) -> Float:
    """How far centres (N, 2) lie outside the box around pixels (M, 2), (N,); negative inside."""
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    found: Float = np.maximum(low - centres, centres - high).max(axis=1)
    return found


def _rotations(quats: Float) -> Float:
    """Rotation matrices (N, 3, 3) of quaternions (N, 4) wxyz of any length."""
    w, x, y, z = (quats / np.linalg.norm(quats, axis=1, keepdims=True).clip(1e-12)).T
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]
    rows += [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]
    rows += [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
    return np.stack(rows, axis=1).reshape(-1, 3, 3)


def _near(ellipses: _Ellipses, pixels: Float) -> tuple[Index, Index]:
    """Pairs of a ray and an ellipse that may reach it, as their numbers (Q,)."""
    some = np.flatnonzero(_beside(ellipses.centres, pixels) <= ellipses.reach)
    lists = cKDTree(pixels).query_ball_point(ellipses.centres[some], ellipses.reach[some])
    counts = np.fromiter(map(len, lists), np.int64, len(lists))
    rays = np.fromiter(chain.from_iterable(lists), np.int64, int(counts.sum()))
    return rays, some.repeat(counts)


def _composited(count: int, rays: Index, depths: Float, alphas: Float) -> Depths:
    """The depths of `count` rays from all they meet (Q,), by ray and from near to far."""
    logs = np.log1p(-alphas)
    passed = np.cumsum(logs)
    first = np.searchsorted(rays, np.arange(count))  # of each ray
    # What passed before a ray's first Gaussian belongs to other rays.
    passed -= np.concatenate([[0.0], passed])[first][rays]
    weights = np.where(np.exp(passed) > STOP, alphas * np.exp(passed - logs), 0.0)
    alpha = np.bincount(rays, weights, count)
    mean = np.bincount(rays, weights * depths, count) / alpha.clip(1e-12)
    summed = np.cumsum(weights)
    summed -= np.concatenate([[0.0], summed])[first][rays]
    beyond = np.flatnonzero(summed >= alpha[rays] / 2)
    median = np.zeros(count)
    found, at = np.unique(rays[beyond], return_index=True)
    median[found] = depths[beyond[at]]
    return Depths(mean, median, np.asarray(alpha, np.float64))
