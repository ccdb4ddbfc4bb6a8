"""Depths that structure from motion knows: those of the points that a photo shows, and how exactly.

Every fifth track is kept from training's depth term, so that a splat can be judged by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scripts.lib.core.files import reading_zip
from scripts.lib.scene.colmap_model import Tracks, read_model, read_sightings, read_tracks
from scripts.lib.scene.scene import Scene

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
HELD_OUT_EVERY = 5  # tracks, by their number
FEWEST_PHOTOS = 3  # of a track: two rays always meet somewhere
LEAST_ERROR = 0.5  # pixels: points that happen to fit better are not known better


@dataclass(frozen=True)
class KnownDepths:
    """M points that a photo shows: places (M, 2) as shares of its width and height; depths (M,) along the
    camera's axis and their standard deviations (M,), world units; which are kept from training (M,)."""

    places: Float
    depths: Float
    sigmas: Float
    held_out: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.depths)

    def only(self, which: npt.NDArray[np.bool_]) -> KnownDepths:
        """Some of them."""
        return KnownDepths(
            self.places[which], self.depths[which], self.sigmas[which], self.held_out[which]
        )


def known_depths(scene: Scene, indices: Sequence[int]) -> list[KnownDepths]:
    """The known depths of the photos at `indices`, of tracks of three photos or more.

    Empty for a scene whose model has no tracks. Raises UserError when its zip is damaged.
    """
    with reading_zip(scene.path) as archive:
        tracks, sightings = read_tracks(archive), read_sightings(archive)
        # Errors are in pixels of the undistorted photos, whatever resolution the scene is read at.
        own = {view.name: (view.K[0, 0] + view.K[1, 1]) / 2 for view in read_model(archive).views}
    rows = {int(number): row for row, number in enumerate(tracks.numbers)}
    shown: list[tuple[Index, Float]] = []
    for name in scene.names:
        seen = sightings.get(name)
        owners = [rows.get(int(point), -1) for point in seen.points] if seen else []
        of = np.array(owners, np.int64)
        places = seen.places if seen else np.zeros((0, 2))
        kept = of >= 0
        kept[kept] = tracks.lengths[of[kept]] >= FEWEST_PHOTOS
        shown.append((of[kept], places[kept]))
    focals = [own[name] for name in scene.names]
    covariances = _covariances(scene.centres, focals, tracks, [of for of, _ in shown])
    return [_of_photo(scene, index, tracks, covariances, *shown[index]) for index in indices]


def _of_photo(
    scene: Scene, index: int, tracks: Tracks, covariances: Float, of: Index, places: Float
) -> KnownDepths:
    axis, shift = scene.world_to_camera[index, 2, :3], scene.world_to_camera[index, 2, 3]
    depths = tracks.places[of] @ axis + shift
    sigmas = np.sqrt(np.einsum("i,nij,j->n", axis, covariances[of], axis).clip(0))
    known = KnownDepths(places, depths, sigmas, tracks.numbers[of] % HELD_OUT_EVERY == 0)
    inside = ((places >= 0) & (places < 1)).all(axis=1)
    return known.only(inside & (depths > 0) & np.isfinite(sigmas))


def _covariances(
    centres: Float, focals: Sequence[float], tracks: Tracks, shown: Sequence[Index]
) -> Float:
    """Covariance (P, 3, 3) of each point's place by the rays to it, world units squared.

    Cameras, of `centres` (V, 3) and `focals` (V,) in pixels, are taken as exact. A ray knows a place
    across, to the reprojection error at its distance, and not along. Infinite where fewer than two show it.
    """
    information = np.zeros((len(tracks.numbers), 9))
    seen = np.zeros(len(tracks.numbers), np.int64)
    for centre, focal, of in zip(centres, focals, shown, strict=True):
        rays = tracks.places[of] - centre
        square = (rays**2).sum(axis=1).clip(1e-24)
        across = np.eye(3) - rays[:, :, None] * rays[:, None] / square[:, None, None]
        errors = tracks.errors[of].clip(LEAST_ERROR) / focal
        information[of] += (across / (square * errors**2)[:, None, None]).reshape(-1, 9)
        seen[of] += 1
    found = np.full((len(information), 3, 3), np.inf)
    enough = np.flatnonzero(seen >= 2)
    matrices = information[enough].reshape(-1, 3, 3)
    # A grain of it in every direction: rays that are one line leave a direction that nothing tells.
    grain = 1e-12 * np.trace(matrices, axis1=1, axis2=2)
    found[enough] = np.linalg.inv(matrices + grain[:, None, None] * np.eye(3))
    return found
