"""Tracks that no adjustment of either side has seen, and how well the cameras of each side meet them.

The tracks are those of the default's own verified matches (`thinning.join`): a tenth of those that three or
more photos see, drawn by chance. The judge knows nothing of our features and matches, so if it favours a
side, it is the default. On both sides every verified match goes that ends within two pixels of a
sighting of such a track, before mapping begins. Afterwards each track is placed anew by each side's
cameras, which stay as they are, from its sightings in photos that both sides registered, and what counts
is how far it is missed there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pycolmap
from scipy.spatial import cKDTree

from scripts.lib.sfm.matching import verified_matches
from scripts.lib.sfm.projection import Seen, local_point_jacobian, projection
from scripts.lib.sfm.thinning import join

SHARE, MIN_TRACK = 0.1, 3
NEAR_PX = 2.0
ROUNDS = 12
FAR_PX = 4.0  # what a wrong sighting counts at most
BEHIND_PX = 1000.0  # what one behind the camera costs while tracks are placed

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Held:
    """Sightings of the tracks held out: photo's name (K,), place in pixels (K, 2), track (K,), and width of
    the photo as the default had it (K,)."""

    name: npt.NDArray[np.str_]
    pixel: Floats
    track: Rows
    width: Floats

    def save(self, path: Path) -> None:
        """Write to an npz file."""
        np.savez(path, **vars(self))


def load(path: Path) -> Held:
    """Read what `Held.save` wrote."""
    with np.load(path) as found:
        return Held(**{key: found[key] for key in found.files})


def hold_out(database: Path, seed: int = 0) -> Held:
    """Draw the tracks from the verified matches of `database`."""
    with pycolmap.Database.open(database) as link:
        images = {image.image_id: image for image in link.read_all_images()}
        width = {camera.camera_id: camera.width for camera in link.read_all_cameras()}
        places = {number: link.read_keypoints(number)[:, :2] for number in images}
    counts = {number: len(places[number]) for number in images}
    tracks = join(counts, verified_matches(database))
    length = np.bincount(tracks.track)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(length >= MIN_TRACK))
    chosen = np.isin(tracks.track, order[: round(SHARE * len(order))])
    photo, feature = tracks.photo[chosen], tracks.feature[chosen]
    numbers = [tracks.numbers[row] for row in photo]
    pixel = np.array([places[number][k] for number, k in zip(numbers, feature, strict=True)], float)
    return Held(
        np.array([images[number].name for number in numbers]),
        pixel.reshape(-1, 2),
        tracks.track[chosen],
        np.array([width[images[number].camera_id] for number in numbers], float),
    )


def take_out(database: Path, held: Held) -> float:
    """Remove the verified matches that end near a sighting of `held`; returns the share that went."""
    near = {}
    with pycolmap.Database.open(database) as link:
        width = {camera.camera_id: camera.width for camera in link.read_all_cameras()}
        for image in link.read_all_images():
            mine = held.name == image.name
            places = link.read_keypoints(image.image_id)[:, :2]
            near[image.image_id] = np.zeros(len(places), bool)
            if mine.any() and len(places):
                scale = width[image.camera_id] / held.width[mine][:, None]
                away, _ = cKDTree(held.pixel[mine] * scale).query(places)
                near[image.image_id] = away < NEAR_PX * float(scale[0, 0])
    gone = whole = 0
    with closing(sqlite3.connect(database)) as link:
        pairs = link.execute("SELECT pair_id, data FROM two_view_geometries WHERE rows > 0")
        for pair, data in pairs.fetchall():
            a, b = pycolmap.pair_id_to_image_pair(pair)
            matches = np.frombuffer(data, np.uint32).reshape(-1, 2)
            left = matches[~(near[a][matches[:, 0]] | near[b][matches[:, 1]])]
            gone, whole = gone + len(matches) - len(left), whole + len(matches)
            link.execute(
                "UPDATE two_view_geometries SET rows = ?, data = ? WHERE pair_id = ?",
                (len(left), left.tobytes(), pair),
            )
        link.commit()
    return gone / max(whole, 1)


def judged(held: Held, models: Sequence[pycolmap.Reconstruction]) -> list[dict[str, Any]]:
    """How far the cameras of each model miss the tracks, in pixels of the default's photos."""
    names = [{model.image(number).name for number in model.reg_image_ids()} for model in models]
    kept = np.isin(held.name, sorted(set.intersection(*names)))
    seen_by_enough = np.bincount(held.track[kept], minlength=int(held.track.max()) + 1) >= MIN_TRACK
    kept &= seen_by_enough[held.track]
    _, track = np.unique(held.track[kept], return_inverse=True)
    some = Held(held.name[kept], held.pixel[kept], track, held.width[kept])
    found = []
    for model in models:
        missed = np.minimum(misses(model, some), FAR_PX)
        found.append(
            {
                "tracks": int(track.max()) + 1,
                "sightings": len(track),
                "median_px": round(float(np.median(missed)), 4),
                "mean_px": round(float(missed.mean()), 4),
                "wrong": round(float((missed >= FAR_PX).mean()), 4),
            }
        )
    return found


def misses(model: pycolmap.Reconstruction, held: Held) -> Floats:
    """Distances (K,) in pixels from each sighting to where the model's cameras see the track, placed anew."""
    images = sorted(model.reg_image_ids())
    row = {model.image(number).name: i for i, number in enumerate(images)}
    cameras = sorted({model.image(number).camera_id for number in images})
    photo = np.array([row[name] for name in held.name])
    own = [model.image(number) for number in images]
    camera = np.array([cameras.index(image.camera_id) for image in own])[photo]
    scale = np.array([model.cameras[n].width for n in cameras], float)[camera] / held.width
    pixel = held.pixel * scale[:, None]
    turns = np.array([image.cam_from_world().rotation.matrix() for image in own])[photo]
    shifts = np.array([image.cam_from_world().translation for image in own])[photo]
    rays = np.ones((len(pixel), 3))
    for number, found in enumerate(cameras):
        rays[camera == number, :2] = model.cameras[found].cam_from_img(pixel[camera == number])[
            :, :2
        ]
    rays = np.einsum("kji,kj->ki", turns, rays / np.linalg.norm(rays, axis=1, keepdims=True))
    centres = -np.einsum("kji,kj->ki", turns, shifts)
    # Where the rays of a track come nearest to each other.
    across = np.eye(3) - rays[:, :, None] * rays[:, None, :]
    world = solved(across, np.einsum("kij,kj->ki", across, centres), held.track)
    rows = (photo, camera, held.track)
    damping = np.full(len(world), 1e-3)
    cost = np.full(len(world), np.inf)
    best = world
    for _ in range(ROUNDS):
        seen = looked_at(model, images, cameras, rows, pixel, world)
        squares = np.nan_to_num((seen.residual**2).sum(axis=1), nan=BEHIND_PX**2)
        # SOFT_L1 of one pixel, as in the adjustments.
        now = np.bincount(held.track, np.sqrt(1 + squares) - 1)
        better = now < cost
        damping = np.where(better, damping / 10, damping * 10)
        cost = np.where(better, now, cost)
        best = np.where(better[:, None], world, best)
        seen = looked_at(model, images, cameras, rows, pixel, best)
        residual = np.nan_to_num(seen.residual)
        jacobian = np.nan_to_num(local_point_jacobian(model, seen) @ turns)
        pull = jacobian.transpose(0, 2, 1) / np.sqrt(1 + (residual**2).sum(axis=1))[:, None, None]
        gradient = np.einsum("kij,kj->ki", pull, residual)
        world = best + solved(pull @ jacobian, gradient, held.track, damping)
    world = best
    seen = looked_at(model, images, cameras, (photo, camera, held.track), pixel, world)
    away: Floats = np.linalg.norm(seen.residual, axis=1) / scale
    return np.where(np.isfinite(away), away, np.inf)


def looked_at(
    model: pycolmap.Reconstruction,
    images: list[int],
    cameras: list[int],
    rows: tuple[Rows, Rows, Rows],
    pixel: Floats,
    world: Floats,
) -> Seen:
    """Sightings of tracks at `world` (tracks, 3); rows: photo, camera and track of each."""
    photo, camera, track = rows
    local = np.empty((len(track), 3))
    for number in range(len(images)):
        place = model.image(images[number]).cam_from_world()
        mine = photo == number
        local[mine] = world[track[mine]] @ place.rotation.matrix().T + place.translation
    projected = np.empty((len(track), 2))
    for number, found in enumerate(cameras):
        mine = camera == number
        projected[mine] = projection(model.cameras[found], local[mine])
    projected[local[:, 2] <= 0] = np.nan
    points = np.arange(len(world))
    return Seen(images, cameras, points, photo, camera, track, pixel, local, projected)


def solved(matrices: Floats, right: Floats, track: Rows, damping: Floats | float = 0.0) -> Floats:
    """For each track the solution (tracks, 3) of the sums of its sightings' equations, damped by a share of
    their diagonal."""
    count = int(track.max()) + 1
    left: Floats = np.zeros((count, 3, 3))
    for i in range(3):
        for j in range(3):
            left[:, i, j] = np.bincount(track, matrices[:, i, j], count)
    sums = np.stack([np.bincount(track, right[:, i], count) for i in range(3)], axis=1)
    axes = np.arange(3)
    left[:, axes, axes] *= 1 + np.broadcast_to(damping, count)[:, None]
    left[:, axes, axes] += 1e-12
    return np.asarray(np.linalg.solve(left, sums[:, :, None])[:, :, 0], np.float64)
