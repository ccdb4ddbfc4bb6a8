"""Where a visit starts: the capture camera that best sees the scene, turned level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]

UP = np.array([0.0, 0.0, 1.0])
# A page's window is wider or narrower than the photo, so very long and very wide lenses are tamed.
FOV_LIMITS = (40.0, 90.0)  # degrees along the longer side


@dataclass(frozen=True)
class StartView:
    """A level camera: position and target (3,) in world units, `fov` in degrees of the longer side."""

    name: str
    position: Float
    target: Float
    fov: float

    @property
    def world_to_camera(self) -> Float:
        """The camera as a 4x4 matrix, OpenCV axes, without roll."""
        return look_at(self.position, self.target)

    def intrinsics(self, width: int, height: int) -> Float:
        """K (3, 3) for a picture of that size, principal point in the middle."""
        return intrinsics(self.fov, width, height)


def intrinsics(fov: float, width: int, height: int) -> Float:
    """K (3, 3) of a picture whose longer side spans `fov` degrees, principal point in the middle."""
    focal = max(width, height) / 2 / math.tan(math.radians(fov) / 2)
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


def look_at(position: Float, target: Float) -> Float:
    """world_to_camera (4, 4) looking from `position` to `target` (3,), the horizon level (Z is up).

    Straight down or up, north (+Y) is at the top of the picture. Raises ValueError when both are
    the same point.
    """
    forward = np.asarray(target, float) - position
    length = np.linalg.norm(forward)
    if length == 0:
        raise ValueError("the camera's position and its target are the same point")
    forward /= length
    right = np.cross(forward, UP)
    if np.linalg.norm(right) < 1e-6:
        right = np.array([1.0, 0.0, 0.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = -rotation @ position
    return matrix


def core_of(points: Float) -> Float:
    """The points (P, 3) near the scene's middle: within twice the median distance from the median.

    Far background and stray points would otherwise draw the view away from what was photographed.
    """
    distance = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    found: Float = points[distance <= 2 * np.median(distance)]
    return found


def scores(world_to_camera: Float, K: Float, sizes: npt.NDArray[np.int64], points: Float) -> Float:
    """How good a start each camera (V,) is, 0 to 1.

    Counts the core points in the picture, those in its middle more than those at its edge, and
    prefers cameras that look at the core's centre, not steeply down or up, and are held upright.
    world_to_camera (V, 4, 4); K (V, 3, 3); sizes (V, 2) pixels; points (P, 3).
    """
    core = core_of(points)
    everything = np.vstack([core, np.median(core, axis=0)])
    result = np.zeros(len(world_to_camera))
    for index, (matrix, intrinsics, size) in enumerate(zip(world_to_camera, K, sizes, strict=True)):
        seen = everything @ matrix[:3, :3].T + matrix[:3, 3]
        depth = np.maximum(seen[:, 2], 1e-9)
        pixel = (seen @ intrinsics.T)[:, :2] / depth[:, None]
        offset = np.abs(pixel / size * 2 - 1)  # 0 in the middle, 1 at the edge
        weight = np.prod(np.clip(1 - offset**2, 0, 1), axis=1) * (seen[:, 2] > 0)
        right, _, forward = matrix[:3, :3]
        level = math.sqrt(max(0.0, 1 - forward[2] ** 2)) * max(0.0, 1 - abs(right[2]))
        result[index] = weight[:-1].mean() * (0.25 + 0.75 * weight[-1]) * (0.1 + 0.9 * level)
    return result


def choose(
    names: Sequence[str],
    world_to_camera: Float,
    K: Float,
    sizes: npt.NDArray[np.int64],
    points: Float,
    seen: Float | None = None,
) -> StartView:
    """The best camera of V, level, aimed at the depth of what it sees.

    Shapes as for `scores`; `seen` (V,) is the share of the points that nothing hides from each camera,
    where that is known. Raises ValueError without cameras or points.
    """
    if not len(names) or not len(points):
        raise ValueError("a start view needs at least one camera and one point")
    merit = scores(world_to_camera, K, sizes, points)
    best = int(np.argmax(merit if seen is None else merit * seen))
    rotation, translation = world_to_camera[best, :3, :3], world_to_camera[best, :3, 3]
    position, forward = -rotation.T @ translation, rotation[2]
    distance = distances_seen(world_to_camera[best : best + 1], points)[0]
    return StartView(
        name=names[best],
        position=position,
        target=position + distance * forward,
        fov=float(fields_of_view(K[best : best + 1], sizes[best : best + 1])[0]),
    )


def distances_seen(world_to_camera: Float, points: Float) -> Float:
    """How far away (V,) lies what each camera looks at: the median depth of the core points ahead."""
    core = core_of(points)
    depth = core @ world_to_camera[:, 2, :3].T + world_to_camera[:, 2, 3]
    found = np.empty(len(world_to_camera))
    for index, column in enumerate(depth.T):
        ahead = column[column > 0]
        found[index] = np.median(ahead if len(ahead) else np.abs(column)) or 1.0
    return found


def fields_of_view(K: Float, sizes: npt.NDArray[np.int64]) -> Float:
    """Field of view (V,) in degrees of the longer side of each camera, within FOV_LIMITS."""
    side = sizes.argmax(axis=1)
    rows = np.arange(len(K))
    angle = 2 * np.degrees(np.arctan(sizes[rows, side] / 2 / K[rows, side, side]))
    found: Float = np.clip(angle, *FOV_LIMITS)
    return found
