"""Whether the photos insist that the camera moved, or a camera that only turned explains them as well.

Photos from one spot have no depth, yet a mapper may invent some: with a wrong focal length the turning of
the camera becomes a walk around something, to a fifth of a pixel; or only those few wrong matches are kept
that happen to have depth. So the verified matches are adjusted a second time under the opposite assumption:
all photos from ONE centre, each track a direction, focal length and radial distortion free within what they
may be wrong by. Where that explains most of them to the noise, there is no parallax in the photos, whatever
the model says. Photos of a flat thing differ by a homography each, but not by those of a turned camera with
one lens, so they are told apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pycolmap

from scripts.lib.contracts import sfm as told
from scripts.lib.sfm.parallax_tracks import BEND, Index, Tracks, sampled_tracks
from scripts.lib.sfm.turned_camera import adjusted, chained_rotations

# Residual of a turned camera, that a quarter of the tracks exceed, over the noise of the photos: without
# parallax it is 1 to 2 (a tenth or two of verified matches may be wrong), and parallax of p times the noise
# gives sqrt(1 + p^2). Tried on turns in a made-up room, hands unsteady by 0 to 5 cm, 40 to 150 degrees: wrong
# models (focal length or positions off by more than a tenth) had up to 3.0, right ones 3.8 to 21.
MIN_RATIO = 3.0
# Residuals of a turned camera over the shift that the model's own angles mean in pixels. A turn can take the
# place of most of a shift, least where the photos show relief: a flight straight down leaves 0.01 to 0.03 of
# it, a room 0.1 to 0.3. A wrong model claims angles of many degrees, and the photos have 0.002 of them.
MIN_PART = 0.004
ANGLE_SAMPLE = 1000  # points whose triangulation angle is measured
# A turned camera that is worse than the gate by this factor, and hardly gains any more, is given up: this is
# how it ends where a camera moved.
FAR = 2.0
LEAST_NOISE_PX = 0.5  # of a feature's place: models keep the matches that fit better


@dataclass(frozen=True)
class Parallax:
    """How a model explains its points, and a turned camera the `tracks` of the verified matches, in pixels.

    `claimed_px` is the shift across a photo that the median angle between the model's rays means.
    """

    tracks: int
    model_px: float
    turned_px: float
    claimed_px: float

    @property
    def ratio(self) -> float:
        """How much worse the turned camera explains the photos; near 1 where depth is invented."""
        return self.turned_px / self.model_px

    @property
    def found(self) -> bool:
        """Whether the photos insist that the camera moved, and as far as the model has it."""
        return self.ratio >= MIN_RATIO and self.turned_px >= MIN_PART * self.claimed_px

    def facts(self) -> told.Parallax:
        """This measure as sfm.json has it."""
        return told.Parallax(
            tracks=self.tracks,
            model_px=round(self.model_px, 3),
            turned_px=round(self.turned_px, 3),
            claimed_px=round(self.claimed_px, 3),
            ratio=round(self.ratio, 2),
        )


def measure_parallax(
    model: pycolmap.Reconstruction,
    matches: Mapping[tuple[int, int], Index],
    known: Mapping[int, float] | None = None,
) -> Parallax | None:
    """Compare the two explanations of a model's photos; None when too few tracks are left to tell.

    matches: numbers of two images to the features (K, 2) that verified matches join.
    known: focal lengths in pixels that EXIF tells, by camera.
    """
    tracks = sampled_tracks(model, matches, known or {})
    if tracks is None:
        return None
    noise = max(_noise(model), LEAST_NOISE_PX)
    own = [model.image(n).cam_from_world().rotation.matrix() for n in sorted(model.reg_image_ids())]
    starts = (np.array(own), chained_rotations(tracks))
    claimed = float(np.radians(median_angle(model) or 0.0) * np.median(tracks.focal))
    hopeless = FAR * max(MIN_RATIO * noise, MIN_PART * claimed)
    lenses = [tracks]
    if is_bent(tracks):
        lenses.append(replace(tracks, undistorted=tracks.pinhole))
    turned = min(adjusted(lens, start, noise, hopeless) for lens in lenses for start in starts)
    return Parallax(tracks.tracks, noise, turned, claimed)


def is_bent(tracks: Tracks) -> bool:
    """Whether the model's distortion is more than the adjustment's own radial term can take back."""
    shift = np.linalg.norm(tracks.undistorted - tracks.pinhole, axis=1)
    radius = np.linalg.norm(tracks.pinhole, axis=1)
    return bool((shift > BEND[1] / 2 * radius**3 + LEAST_NOISE_PX / tracks.focal).any())


def _noise(model: pycolmap.Reconstruction) -> float:
    """Standard deviation in pixels of a feature's coordinate, as the model's residuals tell it."""
    observed, points = model.compute_num_observations(), model.num_points3D()
    free = max(2 * observed - 3 * points, 1) / max(2 * observed, 1)  # of the points' own unknowns
    # The mean length of a residual is that of Rayleigh's distribution.
    return float(model.compute_mean_reprojection_error() / np.sqrt(np.pi / 2) / np.sqrt(free))


def median_angle(model: pycolmap.Reconstruction | None) -> float | None:
    """Median over the points of the widest angle in degrees under which two photos see them.

    Near zero when the camera only turned: such a model has directions, but no depth.
    """
    if model is None or not model.num_points3D():
        return None
    centres = {i: model.image(i).projection_center() for i in model.reg_image_ids()}
    points = list(model.points3D.values())
    step = max(1, len(points) // ANGLE_SAMPLE)
    angles = []
    for point in points[::step]:
        seen = {element.image_id for element in point.track.elements}
        rays = np.array([centres[i] for i in sorted(seen)[:12]]) - point.xyz
        rays /= np.linalg.norm(rays, axis=1, keepdims=True) + 1e-12
        angles.append(float(np.degrees(np.arccos(np.clip((rays @ rays.T).min(), -1, 1)))))
    return round(float(np.median(angles)), 3)
