"""Whether two photos show the same things where the model says that they should.

Zach, Irschara and Bischof, "What Can Missing Correspondences Tell Us About 3D Structure and Motion?", 2008: a
point that a photo should see and does not tells as much as one that it sees. Compared cell by cell of the
picture, as whole objects are missing where two places were taken for one, and single points everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pycolmap

from scripts.lib.core.geo import Array
from scripts.lib.sfm.projection import projection
from scripts.lib.sfm.tables import Rows, tables

CELLS = 6  # along each side of a photo
# A point that one photo sees is expected in another that looks at it from about the same direction and
# distance: SIFT features are found again up to there.
DIRECTION_DEG, DISTANCE = 15.0, 1.6
# Points of both photos in a cell lie about equally far; a nearer thing may hide the others.
EQUALLY_FAR = 1.33
# Of the points of a cell that shows the same, a photo sees its usual share again. A cell in which that would
# be so many, and in truth at most such a share of them are seen, shows something else; one in which they are
# at least half as many as usual, the same.
CERTAIN, UNLIKE, ALIKE = 4.0, 0.15, 0.5


@dataclass(frozen=True)
class View:
    """A registered photo. Of its K features that see a point: rows `features`, numbers `points` (each once),
    `pixels` (K, 2) and `xyz` (K, 3). `turn` (3, 3) and `shift` (3,) lead from the world to the camera."""

    number: int
    name: str
    camera: pycolmap.Camera
    turn: Array
    shift: Array
    features: Rows
    points: Rows
    pixels: Array
    xyz: Array

    @property
    def centre(self) -> Array:
        """Where it was taken (3,)."""
        centre: Array = -self.turn.T @ self.shift
        return centre

    @property
    def forward(self) -> Array:
        """The direction (3,) that it looks in."""
        forward: Array = self.turn[2]
        return forward

    def local(self, xyz: Array) -> Array:
        """World points (N, 3) in the camera's frame."""
        local: Array = xyz @ self.turn.T + self.shift
        return local


@dataclass(frozen=True)
class Cells:
    """Points in each cell (C,) of photo B: those of A that are `expected`, how many of them are `seen`, and
    `own` ones of B that A should see; `level` where A's and B's lie about equally far."""

    expected: Rows
    seen: Rows
    own: Rows
    level: npt.NDArray[np.bool_]

    def alike(self, usual: float) -> int:
        """Cells in which both photos show the same; `usual` is the share of points that are seen again."""
        return int((self._tell(usual) & (self.seen >= ALIKE * usual * self.expected)).sum())

    def unlike(self, usual: float) -> int:
        """Cells in which each photo shows points, and hardly one of them is in the other."""
        missing = self.seen <= UNLIKE * usual * self.expected
        return int((self._tell(usual) & self.level & missing).sum())

    def _tell(self, usual: float) -> npt.NDArray[np.bool_]:
        """The cells with enough points of both."""
        enough: npt.NDArray[np.bool_] = np.minimum(self.expected, self.own) * usual >= CERTAIN
        return enough


def views_of(model: pycolmap.Reconstruction) -> list[View]:
    """The registered photos of a model, by COLMAP's numbers."""
    found = tables(model)
    views = []
    for number in sorted(model.reg_image_ids()):
        image = model.image(number)
        pose = image.cam_from_world()
        points, once = np.unique(found.seen[number], return_index=True)
        views.append(
            View(
                number,
                image.name,
                model.cameras[image.camera_id],
                pose.rotation.matrix(),
                np.asarray(pose.translation, float),
                found.features[number][once],
                points,
                found.pixels[number][once],
                found.xyz[np.searchsorted(found.points, points)].reshape(-1, 3),
            )
        )
    return views


def compare(first: View, second: View, direction_deg: float = DIRECTION_DEG) -> tuple[Cells, Cells]:
    """What the cells of `second` show of `first`, and those of `first` of `second`."""
    there = _expected(first, second, direction_deg)
    back = _expected(second, first, direction_deg)
    return (
        _cells(first, second, there, back.rows),
        _cells(second, first, back, there.rows),
    )


@dataclass(frozen=True)
class _Expected:
    """Points of a photo that another should see: its rows, their pixels and distances there."""

    rows: Rows
    pixels: Array
    distances: Array


def _expected(first: View, second: View, direction_deg: float) -> _Expected:
    local = second.local(first.xyz)
    rows = np.flatnonzero(local[:, 2] > 0)
    pixels = projection(second.camera, local[rows])
    size = (second.camera.width, second.camera.height)
    with np.errstate(invalid="ignore"):
        inside = ((pixels >= 0) & (pixels < size)).all(axis=1)
    rows, pixels = rows[inside], pixels[inside]
    a, b = first.xyz[rows] - first.centre, first.xyz[rows] - second.centre
    far, distances = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    alike = (a * b).sum(axis=1) > np.cos(np.radians(direction_deg)) * far * distances
    alike &= (far < DISTANCE * distances) & (distances < DISTANCE * far)
    return _Expected(rows[alike], pixels[alike], distances[alike])


def _cells(first: View, second: View, there: _Expected, back: Rows) -> Cells:
    size = np.array([second.camera.width, second.camera.height])

    def cell(pixels: Array) -> Rows:
        column, row = np.clip((CELLS * pixels / size).astype(np.int64), 0, CELLS - 1).T
        cells: Rows = CELLS * row + column
        return cells

    shown, own = cell(there.pixels), cell(second.pixels[back])
    seen = np.isin(first.points[there.rows], second.points)
    away = np.linalg.norm(second.xyz[back] - second.centre, axis=1)
    ratio = _middle(there.distances, shown) / _middle(away, own)
    return Cells(
        _count(shown),
        _count(shown[seen]),
        _count(own),
        (ratio < EQUALLY_FAR) & (ratio > 1 / EQUALLY_FAR),
    )


def _count(cells: Rows) -> Rows:
    return np.bincount(cells, minlength=CELLS**2)


def _middle(values: Array, cells: Rows) -> Array:
    """The median of the values in each cell (C,); NaN in empty ones."""
    middle = np.full(CELLS**2, np.nan)
    order = np.lexsort((values, cells))
    values, count = values[order], _count(cells)
    begin = np.cumsum(count) - count
    some = count > 0
    middle[some] = values[begin[some] + count[some] // 2]
    return middle


def moved(view: View, turn: Array, shift: Array, scale: float, points: Rows) -> View:
    """The photo with another pose and all that it sees taken along: `scale` times as far away, with other
    numbers of its points."""
    xyz = (scale * view.local(view.xyz) - shift) @ turn
    return replace(view, turn=turn, shift=shift, xyz=xyz, points=points)
