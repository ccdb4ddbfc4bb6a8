"""The first Gaussians: one per point that structure from motion found, as wide as its neighbourhood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from scripts.lib.scene.scene import Scene
from scripts.lib.splat.gaussians import SH_C0, SH_COEFFICIENTS

Float = npt.NDArray[np.float64]
# A run starts with this share of its most Gaussians, by jittered copies where structure from motion found
# fewer points: Gaussians that are there from the first step end better than late ones.
START_SHARE = 0.9
OPACITY = 0.1
# Copies lie about their point by the scene's size over the cube root of its points. Where that is more than
# WIDE_FROM times the usual distance between points, and all the more from WIDE on, some of the copies, up
# to MOST_BESIDE, lie between the NEIGHBOURS of their point instead: BESIDE of the way to two of them.
WIDE_FROM, WIDE, MOST_BESIDE = 2.0, 4.0, 0.5
NEIGHBOURS, BESIDE = 8, 0.7


@dataclass(frozen=True)
class Frame:
    """Training's own frame: (world - centre) / radius. Never rotated, so SH stay as they are."""

    centre: Float
    radius: float

    def points(self, world: Float) -> Float:
        """World points (N, 3) in this frame."""
        return (world - self.centre) / self.radius

    def cameras(self, world_to_camera: Float) -> Float:
        """world_to_camera (V, 4, 4) for points of this frame, camera units divided by the radius."""
        moved = world_to_camera.copy()
        moved[:, :3, 3] = (
            world_to_camera[:, :3, 3] + world_to_camera[:, :3, :3] @ self.centre
        ) / self.radius
        return moved


def frame_of(scene: Scene) -> Frame:
    """Centre of the cameras, and 1.1 times the distance to the farthest one.

    Cameras that hardly move (a panorama) take a quarter of the median distance to the points.
    """
    centre = scene.centres.mean(axis=0)
    radius = 1.1 * float(np.linalg.norm(scene.centres - centre, axis=1).max())
    if len(scene.points):
        depth = float(np.median(np.linalg.norm(scene.points - centre, axis=1)))
        radius = max(radius, depth / 4)
    return Frame(centre, radius or 1.0)


def _at_most(count: int, points: Float, colours: Float, seed: int) -> tuple[Float, Float]:
    """`count` of the points with their colours, drawn at random, in their order."""
    if len(points) <= count:
        return points, colours
    chosen = np.sort(np.random.default_rng(seed).permutation(len(points))[:count])
    return points[chosen], colours[chosen]


def _spacing(points: Float) -> Float:
    """Root mean square distance (N,) from each point (N, 3) to its three nearest others."""
    neighbours = min(4, len(points))
    if neighbours < 2:
        return np.full(len(points), 0.1)
    distances = cKDTree(points).query(points, k=neighbours)[0].reshape(len(points), -1)[:, 1:]
    found: Float = np.sqrt((distances**2).mean(axis=1))
    return found


def topped_up(points: Float, colours: Float, fewest: int, seed: int) -> tuple[Float, Float]:
    """Add copies of `points` (frame units) near them, or grey ones in the unit ball when none exist."""
    missing = fewest - len(points)
    if missing <= 0:
        return points, colours
    rng = np.random.default_rng(seed)
    if not len(points):
        return rng.normal(0, 0.5, (missing, 3)), np.full((missing, 3), 0.5)
    spread = np.maximum(points.std(axis=0), 1e-3) / max(len(points), 8) ** (1 / 3)
    picks = rng.integers(0, len(points), missing)
    extra = points[picks] + rng.normal(0, 1, (missing, 3)) * spread
    beside = round(_share_beside(points, spread) * missing)
    extra[:beside] = _beside(points, picks[:beside], rng)
    return np.concatenate([points, extra]), np.concatenate([colours, colours[picks]])


def _share_beside(points: Float, spread: Float) -> float:
    """Share of the copies that keep to their point's neighbours.

    `spread` (3,), from the size of the whole, is right for a compact scene. Of a long street it makes metres,
    and most copies hang in the air before the cameras.
    """
    ratio = float(np.sqrt((spread**2).mean()) / max(np.median(_spacing(points)), 1e-9))
    return float(np.clip((ratio - WIDE_FROM) / (WIDE - WIDE_FROM), 0, 1)) * MOST_BESIDE


def _beside(points: Float, picks: npt.NDArray[np.int64], rng: np.random.Generator) -> Float:
    """For each of `picks` (M,) a place (3,) in the surface that its neighbours span."""
    count = min(NEIGHBOURS, len(points) - 1)
    places = points[picks]
    if not len(picks) or not count:
        return places
    around = cKDTree(points).query(points, k=count + 1)[1][:, 1:]
    for _ in range(2):
        other = points[around[picks, rng.integers(0, count, len(picks))]]
        places = places + BESIDE * rng.normal(0, 1, (len(picks), 1)) * (other - points[picks])
    return places


def initial_tensors(
    scene: Scene,
    frame: Frame,
    *,
    max_gaussians: int,
    sh_degree: int,
    seed: int,
    device: torch.device,
    start_share: float = START_SHARE,
) -> dict[str, Tensor]:
    """Raw parameter tensors by name in `frame`: up to `max_gaussians` rows, at least `start_share` of it.

    Points that are all black have no colours, as those of some programs: they begin grey. Black ones would
    stay black, because no gradient comes through a colour that is cut off at 0.
    """
    points = frame.points(scene.points)
    colours = scene.colours / 255.0 if scene.colours.any() else np.full_like(points, 0.5)
    points, colours = _at_most(max_gaussians, points, colours, seed)
    points, colours = topped_up(points, colours, round(max_gaussians * start_share), seed)
    width = _spacing(points)
    # Duplicated points must not become infinitely thin, nor a lone one cover the view.
    width = np.clip(width, 1e-5, np.quantile(width, 0.99) + 1e-5)
    return raw_tensors(points, colours, width, OPACITY, sh_degree, device)


def raw_tensors(
    means: Float,
    colours: Float,
    widths: Float,
    opacity: float,
    sh_degree: int,
    device: torch.device,
) -> dict[str, Tensor]:
    """Raw parameters by name of N round Gaussians: means (N, 3), colours (N, 3) in 0..1, widths (N,)."""
    count = len(means)
    tensors = {
        "means": means,
        "quats": np.tile([1.0, 0.0, 0.0, 0.0], (count, 1)),
        "scales": np.log(np.repeat(widths[:, None], 3, axis=1)),
        "opacities": np.full(count, np.log(opacity / (1 - opacity))),
        "sh": np.concatenate(
            [((colours - 0.5) / SH_C0)[:, None], np.zeros((count, SH_COEFFICIENTS[sh_degree], 3))],
            axis=1,
        ),
    }
    return {
        name: torch.tensor(value, dtype=torch.float32, device=device)
        for name, value in tensors.items()
    }
