"""In which convention camera poses were written: verified matches tell, whatever the format promises.

Where no convention fits, what still agrees tells why: the angle by which the camera turned between two
photos is the same in every convention.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pycolmap

from scripts.lib.core.console import UserError
from scripts.lib.sfm.projection import cross_matrix

Array = npt.NDArray[np.float64]
Pose = tuple[Array, Array]
# By image, from world to camera: rotation (3, 3) and translation (3,).
Poses = Mapping[int, Pose]
Pair = tuple[int, int]
# Matched points of each pair on the plane at distance 1, twice (K, 3).
Rays = Mapping[Pair, tuple[Array, Array]]

MOST_PAIRS = 300  # that are looked at to tell conventions
NEAR = 0.02  # of the focal length: a match this near its epipolar line agrees with the poses
ENOUGH, CLEARLY = 0.3, 0.2  # share of matches that agree, and the lead of another convention
# Of many more conventions one agrees by chance more easily: they are asked for more.
FEW_PAIRS, CLEAR_ENOUGH = 60, 0.6
AS_WRITTEN = "as written"
IGNORE = "set import_photos.cameras to ignore to have the poses computed"
AXES = ("x", "y", "z")
MIRROR = np.diag(
    [1.0, 1.0, -1.0]
)  # of the world; any other one differs by a turn, which changes nothing

# To tell why nothing fits:
FEWEST_MATCHES = 20  # of a pair whose turn is estimated
TURN_OFF = 5.0  # degrees, median: turns that are nearer are those of the same photos


def _inverse(pose: Pose) -> Pose:
    return pose[0].T, -pose[0].T @ pose[1]


def _transposed(pose: Pose) -> Pose:
    """The rotation's inverse at the same place."""
    return pose[0].T, pose[0].T @ pose[0].T @ pose[1]


@dataclass(frozen=True)
class _Reading:
    """A convention: the camera's axes by their order and signs, and what else is exchanged."""

    signs: tuple[int, ...] = (1, 1, 1)
    order: tuple[int, ...] = (0, 1, 2)
    before: str = ""  # "exchanged" matrices, or "transposed" rotations

    def __call__(self, pose: Pose) -> Pose:
        axes = np.diag(np.array(self.signs, float))[:, list(self.order)]
        mirror = np.eye(3) if np.linalg.det(axes) > 0 else MIRROR
        change = {"": lambda p: p, "exchanged": _inverse, "transposed": _transposed}[self.before]
        turn, shift = change(pose)
        return axes @ turn @ mirror, axes @ shift

    @property
    def name(self) -> str:
        parts = []
        axes = np.diag(np.array(self.signs, float))[:, list(self.order)]
        if np.linalg.det(axes) < 0:
            parts.append("mirrored (a left-handed export)")
        if self.before == "exchanged":
            parts.append("with world to camera and camera to world exchanged")
        if self.before == "transposed":
            parts.append("with inverse rotations")
        if self.order != (0, 1, 2):
            inverse = np.argsort(self.order)
            named = ", ".join(AXES[i] for i in inverse)
            parts.append(f"with the camera's axes in the order {named}")
        reversed_axes = [axis for axis, sign in zip(AXES, self.signs, strict=True) if sign < 0]
        if reversed_axes:
            many = "axes" if len(reversed_axes) > 1 else "axis"
            usual = " (OpenGL's and OpenCV's exchanged)" if reversed_axes == ["y", "z"] else ""
            parts.append(f"with the camera's {' and '.join(reversed_axes)} {many} reversed{usual}")
        return ", ".join(parts) or AS_WRITTEN


SIGNS = tuple(product((1, -1), repeat=3))
# What a file may have meant instead of what its format says: the matrix's direction, and the directions of
# the camera's axes. A turn or a mirror of the world's axes changes nothing between cameras, so these are all
# that programs for pictures use.
CONVENTIONS: dict[str, Callable[[Pose], Pose]] = {
    reading.name: reading
    for reading in (_Reading(signs, before=b) for b in ("", "exchanged") for signs in SIGNS)
}
# What robots and aircraft use, whose cameras look along x, and rotations that were inverted by mistake.
FURTHER: dict[str, Callable[[Pose], Pose]] = {
    reading.name: reading
    for reading in (
        *(_Reading(signs, before="transposed") for signs in SIGNS),
        *(
            _Reading(signs, order, before)
            for order in list(permutations(range(3)))[1:]
            for before in ("", "exchanged")
            for signs in SIGNS
        ),
    )
}


def fitting(
    database: Path, matches: Mapping[Pair, npt.NDArray[np.int64]], poses: Poses
) -> tuple[str, Poses]:
    """The convention that the matches agree with, in words, and the poses in it.

    Raises UserError, with the likely reason, where matches contradict the poses in every convention.
    """
    pairs = sorted(
        (p for p in matches if p[0] in poses and p[1] in poses), key=lambda p: -len(matches[p])
    )
    rays = _rays(database, matches, pairs[:MOST_PAIRS])
    if not rays:
        raise UserError(
            "no two photos that came with poses could be matched: they show different things, or too little; "
            + IGNORE
        )
    best, share = _best(CONVENTIONS, rays, poses)
    if share < ENOUGH:
        few = {pair: rays[pair] for pair in list(rays)[:FEW_PAIRS]}
        other, clearly = _best(FURTHER, few, poses)
        if clearly < CLEAR_ENOUGH:
            raise UserError(
                f"the camera poses do not fit the photos: {100 * share:.0f} % of the matches agree with "
                f"them; {_reason(rays, poses)}, or {IGNORE}"
            )
        best = other
    change = {**CONVENTIONS, **FURTHER}[best]
    return best, {number: change(pose) for number, pose in poses.items()}


def _best(
    readings: Mapping[str, Callable[[Pose], Pose]], rays: Rays, poses: Poses
) -> tuple[str, float]:
    """The convention that most matches agree with, and their share; as written where none clearly leads."""
    share = {}
    for name, change in readings.items():
        changed = {number: change(pose) for number, pose in poses.items()}
        share[name] = float(
            np.mean([agreeing(rays[p], changed[p[0]], changed[p[1]]) for p in rays])
        )
    best = max(share, key=lambda name: share[name])
    if AS_WRITTEN in share and share[best] - share[AS_WRITTEN] < CLEARLY:
        best = AS_WRITTEN
    return best, share[best]


def _reason(rays: Rays, poses: Poses) -> str:
    """Why no convention fits, and what to do."""
    seen = _turns(rays)

    def off(differs: Callable[[Array, Array], float], change: Callable[[Pose], Pose]) -> float:
        changed = {number: change(pose)[0] for number, pose in poses.items()}
        told = ((turn, changed[b] @ changed[a].T) for (a, b), turn in seen.items())
        return float(np.median([differs(*turns) for turns in told]))

    readings = (*CONVENTIONS.values(), *FURTHER.values())
    angles = off(lambda a, b: abs(_angle(a) - _angle(b)), CONVENTIONS[AS_WRITTEN]) if seen else 180
    if angles > TURN_OFF:
        return (
            "they are those of other photos, of the same photos in another order, or damaged: give the file "
            "of this very set"
        )
    if min(off(lambda a, b: _angle(a @ b.T), change) for change in readings) < TURN_OFF:
        return (
            "their rotations fit, but their positions do not: two coordinates are exchanged, one has the "
            "wrong sign, or the positions are those of other photos: export them again"
        )
    return (
        "the camera turned by the right angles, but about wrong axes, in no convention that is known: "
        "export the poses as a COLMAP model or as transforms.json"
    )


def _rays(
    database: Path, matches: Mapping[Pair, npt.NDArray[np.int64]], pairs: Sequence[Pair]
) -> Rays:
    needed = {number for pair in pairs for number in pair}
    flat: dict[int, Array] = {}
    with pycolmap.Database.open(database) as link:
        cameras = {camera.camera_id: camera for camera in link.read_all_cameras()}
        for image in link.read_all_images():
            if image.image_id in needed:
                xy = np.asarray(link.read_keypoints(image.image_id), float)[:, :2]
                points = np.asarray(cameras[image.camera_id].cam_from_img(xy))
                flat[image.image_id] = np.column_stack([points, np.ones(len(points))])
    return {(a, b): (flat[a][matches[a, b][:, 0]], flat[b][matches[a, b][:, 1]]) for a, b in pairs}


def agreeing(rays: tuple[Array, Array], first: Pose, second: Pose) -> float:
    """Share of the matches that lie near their epipolar lines and before both cameras."""
    turn = second[0] @ first[0].T
    shift = second[1] - turn @ first[1]
    length = np.linalg.norm(shift)
    if not length > 0:
        return 0.0
    near = _near(rays, cross_matrix(shift / length) @ turn)
    # depth_a (turn a) + shift = depth_b b; both depths by least squares of the two rays.
    a, b = rays
    ray = a @ turn.T
    aa, bb, ab = (ray * ray).sum(1), (b * b).sum(1), (ray * b).sum(1)
    sa, sb = ray @ shift, b @ shift
    scale = aa * bb - ab * ab
    before = (ab * sb - bb * sa > -1e-9 * scale) & (aa * sb - ab * sa > -1e-9 * scale)
    return float((near & before).mean())


def _near(rays: tuple[Array, Array], essential: Array) -> npt.NDArray[np.bool_]:
    """Which matches lie near their epipolar lines."""
    a, b = rays
    lines, back = a @ essential.T, b @ essential
    slope = np.sqrt((lines[:, :2] ** 2).sum(1) + (back[:, :2] ** 2).sum(1))
    distance = np.abs((lines * b).sum(1)) / np.maximum(slope, 1e-12)
    return np.asarray(distance < NEAR)


def _turns(rays: Rays) -> dict[Pair, Array]:
    """How the camera turned (3, 3) between the photos of pairs, from their matches alone."""
    lens = pycolmap.Camera(model="SIMPLE_PINHOLE", width=2, height=2, params=[1.0, 0.0, 0.0])
    options = pycolmap.RANSACOptions(max_error=NEAR / 2)
    turns: dict[Pair, Array] = {}
    for pair, (a, b) in list(rays.items())[:FEW_PAIRS]:
        if len(a) < FEWEST_MATCHES:
            break  # the pairs with most matches come first
        found = pycolmap.estimate_essential_matrix(a[:, :2], b[:, :2], lens, lens, options)
        if found is not None:
            turns[pair] = found["cam2_from_cam1"].rotation.matrix()
    return turns


def _angle(turn: Array) -> float:
    """By how many degrees a rotation (3, 3) turns."""
    return float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
