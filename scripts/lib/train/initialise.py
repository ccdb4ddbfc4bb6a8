"""The first Gaussians: one per point that structure from motion found, as wide as its neighbourhood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import binary_dilation
from scipy.spatial import cKDTree
from torch import Tensor

from scripts.lib.gaussians import SH_C0, SH_COEFFICIENTS
from scripts.lib.scene import Scene

Float = npt.NDArray[np.float64]
# A run starts with this share of its cap, by jittered copies where structure from motion found fewer
# points: Gaussians that are there from the first step end better than late ones.
START_SHARE = 0.9
# Where a photo shows no point near a cell of this grid there is sky or a bare far surface: something is
# put there, this many times as far away as all but the farthest points.
CELLS, CELL_MARGIN, FAR = (18, 12), 1, 1.5
BACKDROP_SHARE = 1 / 20  # of the cap, at most
OPACITY = 0.1


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


def _topped_up(points: Float, colours: Float, fewest: int, seed: int) -> tuple[Float, Float]:
    """Add jittered copies of `points` (frame units), or grey ones in the unit ball when none exist."""
    missing = fewest - len(points)
    if missing <= 0:
        return points, colours
    rng = np.random.default_rng(seed)
    if not len(points):
        return rng.normal(0, 0.5, (missing, 3)), np.full((missing, 3), 0.5)
    spread = np.maximum(points.std(axis=0), 1e-3) / max(len(points), 8) ** (1 / 3)
    picks = rng.integers(0, len(points), missing)
    extra = points[picks] + rng.normal(0, 1, (missing, 3)) * spread
    return np.concatenate([points, extra]), np.concatenate([colours, colours[picks]])


def backdrop_points(scene: Scene) -> tuple[Float, Float]:
    """Points (M, 3), world units, and colours (M, 3), 0..1, for the sky and what else has no points.

    One at the middle of every cell of a photo that neither holds a point nor has one next to it, beyond
    the points of the whole scene and in the photo's colour there.
    """
    places, colours = [np.zeros((0, 3))], [np.zeros((0, 3))]
    if not len(scene.points):
        return places[0], colours[0]
    columns, rows = CELLS
    centre = scene.centres.mean(axis=0)
    reach = FAR * float(np.quantile(np.linalg.norm(scene.points - centre, axis=1), 0.99))
    middles = np.stack(np.meshgrid(np.arange(columns), np.arange(rows), indexing="xy"), -1) + 0.5
    for index, photo in enumerate(scene.photos(range(len(scene)))):
        pose, K, size = scene.world_to_camera[index], scene.K[index], scene.sizes[index]
        seen = scene.points @ pose[:3, :3].T + pose[:3, 3]
        pixels = (seen @ K.T)[seen[:, 2] > 0]
        cells = np.floor(pixels[:, :2] / pixels[:, 2:] / size * CELLS).astype(np.int64)
        cells = cells[((cells >= 0) & (cells < CELLS)).all(axis=1)]
        taken = np.zeros((rows, columns), bool)
        taken[cells[:, 1], cells[:, 0]] = True
        taken = binary_dilation(taken, iterations=CELL_MARGIN, structure=np.ones((3, 3)))
        spots = middles[~taken] / CELLS * size
        rays = np.column_stack([spots, np.ones(len(spots))]) @ np.linalg.inv(K).T @ pose[:3, :3]
        eye = scene.centres[index]
        # Where each ray leaves the ball of `reach` about the scene's centre; the eye lies inside it.
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        along = rays @ (centre - eye)
        depth = along + np.sqrt(np.maximum(along**2 - ((eye - centre) ** 2).sum() + reach**2, 0))
        places.append(eye + rays * depth[:, None])
        at = spots.astype(np.int64)
        colours.append(photo[at[:, 1], at[:, 0]] / 255.0)
    return np.concatenate(places), np.concatenate(colours)


def initial_tensors(
    scene: Scene, frame: Frame, *, cap: int, sh_degree: int, seed: int, device: torch.device
) -> dict[str, Tensor]:
    """Raw parameter tensors by name, at most `cap` rows, in `frame`."""
    points, colours = frame.points(scene.points), scene.colours / 255.0
    backdrop, backdrop_colours = backdrop_points(scene)
    points, colours = _at_most(cap, points, colours, seed)
    room = min(cap - len(points), round(cap * BACKDROP_SHARE))
    backdrop, backdrop_colours = _at_most(room, frame.points(backdrop), backdrop_colours, seed)
    points = np.concatenate([points, backdrop])
    colours = np.concatenate([colours, backdrop_colours])
    points, colours = _topped_up(points, colours, round(cap * START_SHARE), seed)
    neighbours = min(4, len(points))
    distances = cKDTree(points).query(points, k=neighbours)[0].reshape(len(points), -1)[:, 1:]
    width = np.sqrt((distances**2).mean(axis=1)) if neighbours > 1 else np.full(len(points), 0.1)
    # Duplicated points must not become infinitely thin, nor a lone one cover the view.
    width = np.clip(width, 1e-5, np.quantile(width, 0.99) + 1e-5)
    count = len(points)
    tensors = {
        "means": points,
        "quats": np.tile([1.0, 0.0, 0.0, 0.0], (count, 1)),
        "scales": np.log(np.repeat(width[:, None], 3, axis=1)),
        "opacities": np.full(count, np.log(OPACITY / (1 - OPACITY))),
        "sh": np.concatenate(
            [((colours - 0.5) / SH_C0)[:, None], np.zeros((count, SH_COEFFICIENTS[sh_degree], 3))],
            axis=1,
        ),
    }
    return {
        name: torch.tensor(value, dtype=torch.float32, device=device)
        for name, value in tensors.items()
    }
