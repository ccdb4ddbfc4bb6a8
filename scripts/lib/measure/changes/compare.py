"""Two splats in one frame, drawn from the same cameras: which of their Gaussians differ in most views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scripts.lib.measure.changes.noise import Noise, difference
from scripts.lib.render.renderer import Picture, Renderer

Float = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

TIMES = 1.0  # times the noise of both: a difference that is more, in most views, is a change
LEAST = 0.03  # of the brightness: a difference below it is none, whatever the noise is
SOLID = 0.9  # alpha from which a pixel shows the scene
SEEN_BY = 2  # photos that must have seen what a pixel shows
FEWEST = 2  # views in which a Gaussian must be comparable
LOOK = 0.5  # whole pixels that a Gaussian makes of a view, from which on the view counts for it
IN_FRONT = 0.015  # of the depth: what is so much nearer lies in front
EXPOSURE_PIXELS = 4000  # of each view that tell how bright one capture is against the other


@dataclass(frozen=True)
class Camera:
    """A camera in the common frame: world_to_camera (4, 4), K (3, 3), size (width, height)."""

    name: str
    world_to_camera: Float
    K: Float
    size: npt.NDArray[np.int64]

    @property
    def arguments(self) -> tuple[Float, Float, npt.NDArray[np.int64]]:
        """What the renderer takes."""
        return self.world_to_camera, self.K, self.size


@dataclass(frozen=True)
class Side:
    """One capture's splat in the common frame, and how far it is from its own photos."""

    renderer: Renderer
    noise: Noise

    def drawn(self, camera: Camera) -> tuple[Float, Float]:
        """Mean square noise (H, W) of a picture, and whether the capture saw what each pixel shows, 0..1."""
        seen = (self.noise.views >= SEEN_BY).astype(float)
        values = np.stack([self.noise.square, seen, np.zeros_like(seen)], axis=1)
        blend, alpha = self.renderer.blend(values, *camera.arguments)
        solid = alpha.clip(1e-6)
        return blend[..., 0] / solid, np.where(alpha >= SOLID, blend[..., 1] / solid, 0.0)


@dataclass(frozen=True)
class Exposure:
    """Gain and offset of each colour that bring the later capture's pictures to the first one's."""

    gain: Float
    offset: Float

    def of(self, picture: Picture) -> Picture:
        """A picture (H, W, 3) of the later splat as the first capture would have it."""
        return (picture * self.gain + self.offset).astype(np.float32)


@dataclass(frozen=True)
class Compared:
    """One view: both pictures (H, W, 3), by how much they differ as a multiple of the noise (H, W), and which
    pixels both captures show."""

    camera: Camera
    before: Picture
    after: Picture
    times: Float
    valid: Flags


def exposure(before: Side, after: Side, cameras: Sequence[Camera], seed: int) -> Exposure:
    """How bright and in which tint the later capture is against the first, over some views.

    A line through the pixels of each colour by repeated least squares, each time without those that are far
    off: what changed must not tell how bright the rest is.
    """
    random = np.random.default_rng(seed)
    x, y = [], []
    for camera in cameras:
        valid = (before.drawn(camera)[1] > 0.5) & (after.drawn(camera)[1] > 0.5)
        rows = np.flatnonzero(valid.ravel())
        rows = random.permutation(rows)[:EXPOSURE_PIXELS]
        x.append(after.renderer.picture(*camera.arguments).reshape(-1, 3)[rows])
        y.append(before.renderer.picture(*camera.arguments).reshape(-1, 3)[rows])
    source, target = np.concatenate(x).astype(float), np.concatenate(y).astype(float)
    gain, offset = np.ones(3), np.zeros(3)
    for channel in range(3):
        a, b = source[:, channel], target[:, channel]
        keep = np.ones(len(a), bool)
        for _ in range(6):
            if keep.sum() < 100 or a[keep].std() < 1e-3:
                break
            gain[channel], offset[channel] = np.polyfit(a[keep], b[keep], 1)
            left = np.abs(gain[channel] * a + offset[channel] - b)
            keep = left <= max(2.5 * float(np.median(left[keep])), 0.01)
    return Exposure(gain, offset)


def compare_view(before: Side, after: Side, camera: Camera, light: Exposure) -> Compared:
    """Both splats from one camera, and how many times the noise they differ by."""
    one = before.renderer.picture(*camera.arguments)
    two = light.of(after.renderer.picture(*camera.arguments))
    noise_one, seen_one = before.drawn(camera)
    noise_two, seen_two = after.drawn(camera)
    noise = noise_one + noise_two * float(np.mean(light.gain**2))
    limit = np.maximum(TIMES**2 * noise, LEAST**2)
    times = TIMES * np.sqrt(difference(one, two) / limit)
    return Compared(camera, one, two.clip(0, 1), times, (seen_one > 0.5) & (seen_two > 0.5))


@dataclass(frozen=True)
class Score:
    """Of N Gaussians: `share` (N,) of the views that can tell in which they differ, `pixels` (N,) summed over
    all views that can tell."""

    share: Float
    pixels: Float


class Vote:
    """Adds up over the views in which views each Gaussian of a splat differs."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        count = len(renderer)
        self._different, self._told, self._pixels = (np.zeros(count) for _ in range(3))

    def add(self, view: Compared) -> None:
        """Count a view: it says that a Gaussian differs where most of its pixels do."""
        valid = view.valid.astype(float)
        changed = valid * (view.times > TIMES)
        values = np.stack([valid, changed, np.ones_like(valid)], axis=2)
        told, differing, whole = self._renderer.gather(values, *view.camera.arguments).T
        # What is mostly hidden by pixels that cannot tell has no vote.
        counts = (told >= LOOK) & (told > 0.5 * whole)
        self._told += counts
        self._different += counts & (differing > 0.5 * told)
        self._pixels += np.where(counts, told, 0.0)

    def score(self) -> Score:
        """What the views have said; 0 for Gaussians of which too few could."""
        share = np.where(self._told >= FEWEST, self._different / self._told.clip(1), 0.0)
        return Score(share, self._pixels)


@dataclass(frozen=True)
class Shown:
    """What changed as a camera sees it: `share` (H, W) 0..1, and whether the later capture has something in
    front of what the first one shows there, `came` (H, W), or the first one something in front, `went`."""

    share: Float
    came: Flags
    went: Flags


def changed_pixels(before: Side, after: Side, scores: tuple[Score, Score], camera: Camera) -> Shown:
    """How much a view shows of what changed.

    Where one capture has something in front, its share counts: behind it, the other one has changed only
    because it is hidden now. Where both show one surface, both must say that it changed.
    """
    shares, depths = [], []
    for side, score in zip((before, after), scores, strict=True):
        values = np.repeat(score.share[:, None], 3, axis=1)
        blend, alpha = side.renderer.blend(values, *camera.arguments)
        shares.append(np.where(alpha >= SOLID, blend[..., 0] / alpha.clip(1e-6), 0.0))
        depths.append(side.renderer.depth(*camera.arguments)[0].cpu().double().numpy())
    came = depths[1] * (1 + IN_FRONT) < depths[0]
    went = depths[0] * (1 + IN_FRONT) < depths[1]
    both = np.minimum(shares[0], shares[1])
    return Shown(np.where(came, shares[1], np.where(went, shares[0], both)), came, went)
