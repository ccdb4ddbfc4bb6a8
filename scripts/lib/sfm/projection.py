"""Where photos see the points of a model, where the model puts them, and how that changes with each number
of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pycolmap
from scipy import sparse

from scripts.lib.core.geo import Array
from scripts.lib.sfm.tables import Rows, tables

Flags = npt.NDArray[np.bool_]

STEP = 1e-6  # of numeric derivatives, relative


@dataclass(frozen=True)
class Seen:
    """K sightings of a model's points by its P registered photos.

    images, cameras, points: COLMAP's numbers, ascending. photo, camera, point: (K,) rows of those. pixel:
    (K, 2) where the point is seen. local: (K, 3) the point in the camera's frame. projected: (K, 2) pixels
    where the model puts it.
    """

    images: list[int]
    cameras: list[int]
    points: Rows
    photo: Rows
    camera: Rows
    point: Rows
    pixel: Array
    local: Array
    projected: Array

    @property
    def residual(self) -> Array:
        """(K, 2) pixels, seen less projected."""
        return self.pixel - self.projected

    def usable(self) -> Flags:
        """(K,) whether the point lies before the camera and is projected to a pixel."""
        flags: Flags = np.isfinite(self.projected).all(axis=1) & (self.local[:, 2] > 0)
        return flags

    def only(self, rows: Flags) -> Seen:
        """The sightings `rows` (K,), and the points that they see; photos and cameras stay."""
        left, point = np.unique(self.point[rows], return_inverse=True)
        return Seen(
            *(self.images, self.cameras, self.points[left]),
            *(self.photo[rows], self.camera[rows], point),
            *(self.pixel[rows], self.local[rows], self.projected[rows]),
        )

    def turns(self, model: pycolmap.Reconstruction) -> Array:
        """Rotations (P, 3, 3) from the world to each photo's camera."""
        return np.array([_rotation(model.image(number)) for number in self.images])


def seen_by(model: pycolmap.Reconstruction, points: frozenset[int] | None = None) -> Seen:
    """All sightings of the registered photos, photo by photo; with `points`, of those points alone."""
    images = sorted(model.reg_image_ids())
    cameras = sorted({model.image(number).camera_id for number in images})
    found = tables(model)
    rows = np.repeat(np.arange(len(images)), [len(found.seen[number]) for number in images])
    none = np.zeros(0, np.int64)
    point = np.concatenate([none, *(found.seen[number] for number in images)])
    xy = np.concatenate([np.zeros((0, 2)), *(found.pixels[number] for number in images)])
    wanted = found.lengths > 0
    if points is not None:
        wanted &= np.isin(found.points, np.array(sorted(points), np.int64))
    at = np.searchsorted(found.points, point)
    kept = wanted[at]
    rows, xy = rows[kept], xy[kept]
    # Rows of the points that are seen, which are nearly all: counted, not sorted.
    used = np.bincount(at[kept], minlength=len(wanted)) > 0
    numbers, where = found.points[used], (np.cumsum(used) - 1)[at[kept]]
    world = found.xyz[used][where]
    local, projected = np.empty((len(rows), 3)), np.empty((len(rows), 2))
    ends = np.searchsorted(rows, np.arange(len(images) + 1))
    camera = np.empty(len(rows), np.int64)
    for row, number in enumerate(images):
        mine = slice(ends[row], ends[row + 1])
        image = model.image(number)
        local[mine] = world[mine] @ _rotation(image).T + image.cam_from_world().translation
        camera[mine] = cameras.index(image.camera_id)
        projected[mine] = projection(model.cameras[image.camera_id], local[mine])
    return Seen(images, cameras, numbers, rows, camera, where, xy, local, projected)


def projection(camera: pycolmap.Camera, local: Array) -> Array:
    """Pixels (K, 2) of points (K, 3) in the camera's frame; NaN where there are none."""
    if not len(local):
        return np.empty((0, 2))
    return np.asarray(camera.img_from_cam(local), float)


def local_point_jacobian(model: pycolmap.Reconstruction, seen: Seen) -> Array:
    """Jacobian (K, 2, 3) of each projection with respect to the point in the camera's frame."""
    jacobian = np.empty((len(seen.photo), 2, 3))
    step = STEP * np.maximum(np.linalg.norm(seen.local, axis=1), 1e-9)
    for row, number in enumerate(seen.cameras):
        mine = seen.camera == row
        camera, local, far = model.cameras[number], seen.local[mine], step[mine]
        for axis in range(3):
            moved = np.zeros_like(local)
            moved[:, axis] = far
            difference = projection(camera, local + moved) - projection(camera, local - moved)
            jacobian[mine, :, axis] = difference / (2 * far[:, None])
    return jacobian


def rotation_jacobian(seen: Seen, jacobian: Array) -> Array:
    """Jacobian (K, 2, 3) with respect to a rotation of the camera about its axes.

    jacobian: as from `local_point_jacobian`.

    A turn w moves a point of the camera's frame by w x local.
    """
    # jacobian . (w x local) = w . (local x jacobian)
    turned: Array = np.cross(seen.local[:, None, :], jacobian)
    return turned


def lens_jacobian(
    model: pycolmap.Reconstruction, seen: Seen, free: Mapping[int, Sequence[int]]
) -> Array:
    """Jacobian (K, 2, n) with respect to the parameters `free` of each camera.

    n is that of the camera with most of them; columns that a camera has no parameter for are 0.
    """
    width = max((len(free.get(number, ())) for number in seen.cameras), default=0)
    jacobian = np.zeros((len(seen.photo), 2, width))
    for row, number in enumerate(seen.cameras):
        mine = seen.camera == row
        camera, local = model.cameras[number], seen.local[mine]
        for column, parameter in enumerate(free.get(number, ())):
            step = STEP * max(1.0, abs(float(camera.params[parameter])))
            ahead, behind = (_changed(camera, parameter, sign * step) for sign in (1, -1))
            difference = projection(ahead, local) - projection(behind, local)
            jacobian[mine, :, column] = difference / (2 * step)
    return jacobian


def point_roots(weighted: Array, point: Rows, count: int) -> Array:
    """For each point the root (points, 3, 3) of the inverse of what its sightings say about its position.

    weighted: (K, 2, 3) Jacobians with respect to the point, times the root of the sighting's weight.
    point: (K,) rows of the `count` points. The inverse is root root^T. A direction in which a point is
    hardly held is left out: it takes nothing away from the poses.
    """
    squares = np.einsum("kai,kaj->kij", weighted, weighted)
    own = np.stack(
        [np.bincount(point, squares[:, i, j], count) for i in range(3) for j in range(3)], axis=1
    ).reshape(-1, 3, 3)
    values, vectors = np.linalg.eigh(own)
    held = values > 1e-12 * values[:, -1:].clip(1e-300)
    scale = np.where(held, 1 / np.sqrt(np.where(held, values, 1.0)), 0.0)
    roots: Array = vectors * scale[:, None, :]
    return roots


def sparse_rows(values: Array, columns: Rows, size: int) -> sparse.csr_array:
    """Two rows for each sighting: (2K, size) from values (K, 2, n) and the columns (K, n) they stand in.

    Values with the same row and column are summed.
    """
    count, width = columns.shape
    rows = np.repeat(np.arange(2 * count), width)
    where = np.repeat(columns[:, None, :], 2, axis=1).ravel()
    return sparse.csr_array((values.ravel(), (rows, where)), shape=(2 * count, size))


def cross_matrix(vector: Array) -> Array:
    """The matrix (3, 3) by which a product is the cross product of `vector` (3,) with what follows."""
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def _rotation(image: pycolmap.Image) -> Array:
    return np.asarray(image.cam_from_world().rotation.matrix(), float)


def _changed(camera: pycolmap.Camera, parameter: int, step: float) -> pycolmap.Camera:
    changed = pycolmap.Camera(camera.todict())
    params = np.array(camera.params, float)
    params[parameter] += step
    changed.params = list(params)
    return changed
