"""Where a splat is solid: a grid of cells with their optical depth, and the room between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.transform import Rotation

from scripts.lib.core.activations import sigmoid
from scripts.lib.splat.gaussians import Gaussians
from scripts.lib.splat.pieces import Pieces, Splat, parts_of

Float = npt.NDArray[np.float64]

CELLS = 64  # along the longest side: a place of 64 m gets cells of a metre
CELLS_LARGE = 192  # the same of a splat in pieces
REACH = 1.5  # standard deviations of a Gaussian that count as its body
MOST_SAMPLES = 9  # along one axis of a Gaussian; a longer one is a floater or the sky
SAMPLES_AT_ONCE = 2_000_000  # points of Gaussians' bodies that are held at a time
SOLID_DEPTH = 0.7  # optical depth of a cell that hides half of what lies behind it


@dataclass(frozen=True)
class Occupancy:
    """A grid of cubic cells: `low` (3,) its corner and `cell` its cell's side in world units.

    depth (X, Y, Z): optical depth of each cell, 0 empty. room (X, Y, Z): distance in world units
    from a cell's centre to the nearest solid one's.
    """

    low: Float
    cell: float
    depth: Float
    room: Float

    @property
    def solid(self) -> npt.NDArray[np.bool_]:
        """Which cells (X, Y, Z) hide at least half of what lies behind them."""
        found: npt.NDArray[np.bool_] = np.greater_equal(self.depth, SOLID_DEPTH)
        return found

    def indices(self, points: npt.ArrayLike) -> Float:
        """Positions (..., 3) in units of cells, whole at a cell's centre."""
        return (np.asarray(points, float) - self.low) / self.cell - 0.5

    def centres(self, indices: npt.ArrayLike) -> Float:
        """World positions (..., 3) of cells."""
        return (np.asarray(indices, float) + 0.5) * self.cell + self.low

    def room_at(self, points: npt.ArrayLike) -> Float:
        """Distance (...) to the nearest solid cell, interpolated; 0 outside of the grid."""
        where = np.moveaxis(self.indices(points), -1, 0)
        found: Float = ndimage.map_coordinates(self.room, where, order=1, mode="constant", cval=0.0)
        return found


SIGHT_STEPS = 96  # along a line of sight, closer than a cell's side


def seen_share(space: Occupancy, position: Float, points: Float) -> float:
    """The share of `points` (P, 3) that nothing solid hides from `position` (3,).

    The last two cells before a point do not count: it lies on something solid itself. What is outside
    of the grid hides nothing.
    """
    length = np.linalg.norm(points - position, axis=1, keepdims=True)
    near = np.clip(1 - 2 * space.cell / np.maximum(length, 1e-9), 0, 1)
    along = np.linspace(0, 1, SIGHT_STEPS)[None, :, None] * near[:, None]
    line = position + along * (points - position)[:, None]
    cells = np.rint(space.indices(line)).astype(int)
    inside = np.asarray(((cells >= 0) & (cells < space.depth.shape)).all(axis=-1))
    cells = np.where(inside[..., None], cells, 0)
    solid = space.solid[cells[..., 0], cells[..., 1], cells[..., 2]]
    hit = np.asarray(np.logical_and(solid, inside))
    return float(1 - hit.any(axis=1).mean())


def sample_counts(
    gaussians: Gaussians, cell: float, most: int = MOST_SAMPLES
) -> npt.NDArray[np.int64]:
    """Along each axis of each Gaussian (N, 3), how many points stand for its body; `most` at most."""
    sigma = np.exp(gaussians.scales.astype(np.float64))
    return np.clip(np.ceil(2 * REACH * sigma / cell), 1, most).astype(np.int64)


def body_samples(
    gaussians: Gaussians, cell: float, most: int = MOST_SAMPLES
) -> tuple[Float, Float]:
    """Points (M, 3) spread over the Gaussians' bodies and the optical depth (M,) each adds to a cell.

    A small Gaussian is one point; a long one gets a point a cell along each of its axes.
    """
    sigma = np.exp(gaussians.scales.astype(np.float64))
    counts = sample_counts(gaussians, cell, most)
    alpha = np.minimum(sigmoid(gaussians.opacities), 0.99)
    two = np.sort(sigma, axis=1)[:, 1:]
    cover = np.minimum(1.0, 2 * np.pi * two[:, 0] * two[:, 1] / cell**2)
    axes = axes_of(gaussians.quats)
    points, depths = [], []
    for shape in np.unique(counts, axis=0):
        rows = np.flatnonzero((counts == shape).all(axis=1))
        # The middles of n equal parts, so that two already stand inside of the body.
        lines = [REACH * ((2 * np.arange(n) + 1) / n - 1) for n in shape]
        offsets = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)
        offsets = offsets[(offsets**2).sum(1) <= REACH**2 + 1e-9]
        spread = np.einsum("nij,mj,nj->nmi", axes[rows], offsets, sigma[rows])
        points.append((gaussians.means[rows, None].astype(np.float64) + spread).reshape(-1, 3))
        fall = np.exp(-0.5 * (offsets**2).sum(1))
        depths.append((-np.log1p(-alpha[rows, None] * fall) * cover[rows, None]).ravel())
    return np.concatenate(points), np.concatenate(depths)


def optical_depth(
    gaussians: Gaussians, low: Float, cell: float, shape: tuple[int, int, int], most: int
) -> npt.NDArray[np.float32]:
    """The optical depth of each cell of a grid of `shape` at `low` (3,), in memory that does not grow with N.

    `most` points stand for a Gaussian along each of its axes: a floor of few wide ones has no holes where it
    is large enough.
    """
    depth = np.zeros(int(np.prod(shape)), np.float32)
    middle = low + 0.5 * cell * np.array(shape)
    reach = REACH * np.exp(gaussians.scales.astype(np.float64)).max(axis=1)
    outside = np.abs(gaussians.means - middle).max(axis=1) - reach > 0.5 * cell * max(shape)
    rows = np.flatnonzero(~outside)
    counts = sample_counts(gaussians.take(rows), cell, most).prod(axis=1)
    part_of = np.cumsum(counts) // SAMPLES_AT_ONCE
    for part in np.split(rows, np.flatnonzero(np.diff(part_of)) + 1) if len(rows) else ():
        points, depths = body_samples(gaussians.take(part), cell, most)
        cells = np.floor((points - low) / cell).astype(np.int64)
        inside = ((cells >= 0) & (cells < shape)).all(axis=1)
        flat = np.ravel_multi_index(tuple(cells[inside].T), shape)
        found, where = np.unique(flat, return_inverse=True)
        depth[found] += np.bincount(where, depths[inside], len(found)).astype(np.float32)
    return depth.reshape(shape)


def axes_of(quats: npt.NDArray[np.floating]) -> Float:
    """Rotation matrices (N, 3, 3) of quaternions (N, 4) wxyz of any length; columns are the axes."""
    is_set = quats.any(axis=1, keepdims=True)  # one of zeros does not turn its Gaussian
    turned = np.where(is_set, quats, [1.0, 0.0, 0.0, 0.0])
    return np.asarray(Rotation.from_quat(turned, scalar_first=True).as_matrix(), np.float64)


def measure(splat: Splat, low: npt.ArrayLike, high: npt.ArrayLike, free: Float) -> Occupancy:
    """The occupancy of the box from `low` to `high` (3,); of a splat in pieces, which is a large place, in
    smaller cells.

    `free` (F, 3) are places known to be empty, since a camera was there: their cells and the ones
    around count as empty whatever the splat says.
    """
    bottom, top = np.asarray(low, float), np.asarray(high, float)
    cell = float((top - bottom).max()) / (CELLS_LARGE if isinstance(splat, Pieces) else CELLS)
    shape = np.maximum(np.ceil((top - bottom) / cell).astype(int), 3)
    depth = np.zeros(tuple(shape))
    for _, part in parts_of(splat):
        points, depths = body_samples(part, cell)
        cells = np.floor((points - bottom) / cell).astype(int)
        inside = ((cells >= 0) & (cells < shape)).all(axis=1)
        flat = np.ravel_multi_index(tuple(cells[inside].T), tuple(shape))
        depth += np.bincount(flat, depths[inside], depth.size).reshape(shape)
    for place in np.floor((free - bottom) / cell).astype(int):
        if ((place >= 0) & (place < shape)).all():
            around = tuple(slice(max(0, i - 1), i + 2) for i in place)
            depth[around] = 0.0
    solid = depth >= SOLID_DEPTH
    room = np.full(tuple(shape), np.inf)
    if solid.any():
        room = ndimage.distance_transform_edt(~solid) * cell
    room = np.minimum(room, float(np.linalg.norm(top - bottom)))
    return Occupancy(bottom, cell, depth, room)
