"""Made-up captures of places that look alike, and models of them that are wrong in a known way.

Every point has a look: features match where the looks are the same, be it one point or two like ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pycolmap

from tests.unit.sfm_scene import FOCAL, SIZE, Pose, add_points, looking, sights

NOISE = 0.5


@dataclass(frozen=True)
class Place:
    """Photos, points (N, 3) and the looks of these (N,)."""

    poses: list[Pose]
    points: np.ndarray
    looks: np.ndarray


def facade(seed: int, photos: int = 8, unlike: float = 0.4, at: float = 0.0) -> Place:
    """A walk along a facade of 16 m, `at` metres to the east. Its points look as those of every other
    facade; a share `unlike` of all points, on the ground and on things before it, only as themselves."""
    random = np.random.default_rng(seed)
    wall = np.random.default_rng(99).uniform([0, 7.5, 0], [16, 8, 7], (900, 3))
    own = int(900 * unlike / max(1 - unlike, 0.05))
    things = random.uniform([0, 4, -1.5], [16, 7.5, 0.5], (own, 3))
    points = np.concatenate([wall, things]) + [at, 0, 0]
    looks = np.concatenate([np.arange(900), 10_000 * (seed + 1) + np.arange(own)])
    along = np.linspace(3, 13, photos) + random.normal(0, 0.1, photos)
    poses = [looking([at + x, 0, 1.6], [at + x + random.normal(0, 0.2), 8, 1.6]) for x in along]
    return Place(poses, points, looks)


def both(first: Place, second: Place) -> Place:
    """Photos and points of two places."""
    return Place(
        first.poses + second.poses,
        np.concatenate([first.points, second.points]),
        np.concatenate([first.looks, second.looks]),
    )


def round_walk(photos: int = 24, seed: int = 0) -> Place:
    """A walk round a house, 12 m from its middle, past walls and bushes that look like nothing else."""
    random = np.random.default_rng(seed)
    angle = random.uniform(0, 2 * np.pi, 3000)
    far = random.uniform(4.0, 5.5, 3000)
    points = np.column_stack(
        [far * np.cos(angle), far * np.sin(angle), random.uniform(-1.5, 5, 3000)]
    )
    turn = (np.arange(photos) + 0.5) / photos * 2 * np.pi
    poses = [looking([12 * np.cos(t), 12 * np.sin(t), 0], [0, 0, 1]) for t in turn]
    return Place(poses, points, np.arange(3000))


Sights = list[tuple[np.ndarray, np.ndarray]]


def seen(place: Place, sight: float = np.inf) -> Sights:
    """The points that each photo sees at most `sight` metres away, and their pixels."""
    lens = pycolmap.Camera.create_from_model_name(1, "SIMPLE_RADIAL", FOCAL, *SIZE)
    found = []
    for (centre, _), (rows, pixels) in zip(
        place.poses, sights(place.poses, place.points, NOISE, lens), strict=True
    ):
        near = np.linalg.norm(place.points[rows] - centre, axis=1) < sight
        found.append((rows[near], pixels[near]))
    return found


def verified(place: Place, sighted: Sights) -> dict[tuple[int, int], np.ndarray]:
    """Features with the same look, by numbers of images from 1, where an essential matrix joins at least
    20."""
    camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_RADIAL", FOCAL, *SIZE)
    options = pycolmap.TwoViewGeometryOptions()
    options.ransac.random_seed = 0
    matches = {}
    for i, (a, first) in enumerate(sighted):
        for j, (b, second) in enumerate(sighted[:i]):
            _, one, two = np.intersect1d(place.looks[b], place.looks[a], return_indices=True)
            if len(one) >= 20:
                geometry = pycolmap.estimate_calibrated_two_view_geometry(
                    camera,
                    second,
                    camera,
                    first,
                    np.stack([one, two], 1).astype(np.uint32),
                    options,
                )
                if len(geometry.inlier_matches) >= 20:
                    matches[j + 1, i + 1] = np.asarray(geometry.inlier_matches, np.int64)
    return matches


def model_of(
    poses: list[Pose], points: np.ndarray, sighted: Sights, tracks: list[np.ndarray]
) -> pycolmap.Reconstruction:
    """A model with these poses and points; `tracks`: the point that each feature of a photo belongs to."""
    model = pycolmap.Reconstruction()
    camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_RADIAL", FOCAL, *SIZE)
    model.add_camera_with_trivial_rig(camera)
    joined: dict[int, list[tuple[int, int]]] = {}
    for number, ((centre, turn), (_, pixels), mine) in enumerate(
        zip(poses, sighted, tracks, strict=True), 1
    ):
        image = pycolmap.Image(f"v{number:03d}.jpg", pixels, 1, number)
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(turn), -turn @ centre)
        model.add_image_with_trivial_frame(image, pose)
        for feature, point in enumerate(mine):
            joined.setdefault(int(point), []).append((number, feature))
    add_points(model, points, joined)
    return model


def right_model(place: Place, sighted: Sights) -> pycolmap.Reconstruction:
    """The model with the true poses and points."""
    return model_of(place.poses, place.points, sighted, [rows for rows, _ in sighted])


def folded_model(
    first: Place, second: Place, sighted: Sights, apart: float
) -> pycolmap.Reconstruction:
    """The model in which `second`, `apart` metres to the east of `first`, was taken for it: points of the
    same look are one. The photos of both, one after the other, are `sighted`."""
    west = np.array([apart, 0.0, 0.0])
    whole = both(first, second)
    moved = np.concatenate([first.points, second.points - west])
    _, once, track = np.unique(whole.looks, return_index=True, return_inverse=True)
    poses = first.poses + [(centre - west, axes) for centre, axes in second.poses]
    return model_of(poses, moved[once], sighted, [track[rows] for rows, _ in sighted])


def bent_model(
    place: Place, sighted: Sights, growth: float, turn: float = 0.0
) -> pycolmap.Reconstruction:
    """A model of a walk round the origin that does not close: over the round its scale grows by the share
    `growth`, and it turns by `turn` degrees. Where begin and end meet, every point is there twice."""
    count = len(place.points)
    angle = np.arctan2(place.points[:, 1], place.points[:, 0])

    def bent(xyz: np.ndarray, along: np.ndarray) -> np.ndarray:
        share = along / (2 * np.pi)
        scale, yaw = 1 + growth * share, np.radians(turn) * share
        x = scale * (np.cos(yaw) * xyz[..., 0] - np.sin(yaw) * xyz[..., 1])
        y = scale * (np.sin(yaw) * xyz[..., 0] + np.cos(yaw) * xyz[..., 1])
        return np.stack([x, y, scale * xyz[..., 2]], -1)

    rounds = np.concatenate([angle + 2 * np.pi * k for k in (-1, 0, 1)])
    points = bent(np.tile(place.points, (3, 1)), rounds)
    poses, tracks = [], []
    for (centre, axes), (rows, _) in zip(place.poses, sighted, strict=True):
        along = np.arctan2(centre[1], centre[0]) % (2 * np.pi)
        lap = np.round((along - angle[rows]) / (2 * np.pi)).astype(int)
        yaw = np.radians(turn) * along / (2 * np.pi)
        back = np.array([[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        poses.append((bent(centre, np.array(along)), axes @ back))
        tracks.append(rows + count * (lap + 1))
    return model_of(poses, points, sighted, tracks)
