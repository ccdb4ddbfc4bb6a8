"""Where photos show the sky, found without a network: by looks, by the horizon, and by its being far away.

The sky is what lies above the horizon, reaches the upper edge of a photo, is blue or bright without edges,
holds no point that structure from motion found, and looks the same from every camera: the last two are what a
white wall, a ceiling or a blue toy fail. Whoever is found out by one of these is no sky; a sky at dusk
that is none of this is not found, and nothing is done about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from scripts.lib.core.threads import threads
from scripts.lib.scene.scene import Scene

Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LONG_SIDE = 480  # pixels of the photos that are looked at: wires must still show
MOST_PHOTOS = 150  # are looked at
UP = np.array([0.0, 0.0, 1.0])
# Looks, with colours from 0 to 1. Clouds hardly show in the blue channel, roofs and branches do.
STEEPEST = 0.03  # slope of blue a pixel
WARMEST = 0.03  # by which red or green may pass blue
DARKEST = 0.4  # of blue
BLUE, BRIGHT = 0.1, 0.85  # a region is blue by so much more than red, or as bright as this
EDGE = 3  # pixels from the photo's edge that count as reaching it
LEAST_AREA = 0.005  # of a photo
MOST_POINTS = 0.3  # in a region, against the photo's own density
# Looking the same: sampled pixels, colours this near, in this share of the other photos' views.
SAMPLES, SAME_COLOUR, AGREEING = 64, 0.2, 0.35
FEWEST_VIEWS = 3  # photos with sky, or there is none
DIRECTIONS = 10_000  # on the whole sphere, about two degrees apart


@dataclass(frozen=True)
class SkyView:
    """One photo in which sky was found: colours (H, W, 3) uint8, its `sky` (H, W), K (3, 3) for that size,
    world_to_camera (4, 4)."""

    colours: npt.NDArray[np.uint8]
    sky: Mask
    K: Float
    world_to_camera: Float

    def pixels(self, directions: Float) -> tuple[Mask, npt.NDArray[np.int64]]:
        """Which world directions (M, 3) fall into the picture, and the rows and columns (., 2) of those."""
        return _pixels(directions, self.K, self.world_to_camera, self.sky.shape)


def _pixels(
    directions: Float, K: Float, world_to_camera: Float, shape: tuple[int, ...]
) -> tuple[Mask, npt.NDArray[np.int64]]:
    projected = directions @ (K @ world_to_camera[:3, :3]).T
    ahead = projected[:, 2] > 1e-6
    places = np.floor(projected[:, 1::-1] / np.where(ahead, projected[:, 2], 1.0)[:, None])
    inside = ahead & (places >= 0).all(axis=1) & (places < shape[:2]).all(axis=1)
    return inside, places[inside].astype(np.int64)


@dataclass(frozen=True)
class _Candidate:
    """A photo (H, W, 3) with its regions (H, W) that look like sky, numbered from 1, and where points of
    structure from motion lie: `seen` (H, W)."""

    photo: npt.NDArray[np.uint8]
    regions: npt.NDArray[np.uint16]
    seen: Mask
    K: Float
    world_to_camera: Float

    def colours(self, at: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | Mask) -> Float:
        """Colours (., 3) from 0 to 1 of some pixels."""
        return self.photo[at] / 255.0


def find_sky(scene: Scene, indices: Sequence[int]) -> list[SkyView]:
    """The photos at `indices` that show sky, at most MOST_PHOTOS of them; none where there is no sky.

    The scene's +Z must be up.
    """
    small = scene.at_most(LONG_SIDE)
    chosen = [index for index in indices if _looks_up(small, index)]
    if len(chosen) > MOST_PHOTOS:
        chosen = [chosen[i] for i in np.linspace(0, len(chosen) - 1, MOST_PHOTOS).astype(int)]
    with ThreadPoolExecutor(threads()) as pool:
        candidates = list(pool.map(lambda index: _candidate(small, index), chosen))
    views = []
    for candidate in candidates:
        sky = np.zeros(candidate.regions.shape, bool)
        for region in range(1, int(candidate.regions.max(initial=0)) + 1):
            mask = candidate.regions == region
            if _is_sky(candidate, mask, candidates):
                sky |= mask
        if sky.any():
            views.append(SkyView(candidate.photo, sky, candidate.K, candidate.world_to_camera))
    return views if len(views) >= FEWEST_VIEWS else []


def _looks_up(scene: Scene, index: int) -> bool:
    """Whether a corner of the photo lies above the horizon."""
    width, height = scene.sizes[index]
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], float)
    rays = _directions(corners, scene.K[index], scene.world_to_camera[index])
    return bool((rays @ UP > 0).any())


def _directions(spots: Float, K: Float, world_to_camera: Float) -> Float:
    """World directions (..., 3) of places in a picture, column and row (..., 2)."""
    rays = np.concatenate([spots, np.ones_like(spots[..., :1])], axis=-1)
    rays = rays @ np.linalg.inv(K).T @ world_to_camera[:3, :3]
    found: Float = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    return found


def _candidate(scene: Scene, index: int) -> _Candidate:
    """What of a photo looks like sky and reaches its upper edge."""
    photo, masked = scene.photos([index])[0], scene.masks([index])[0]
    K, pose = scene.K[index], scene.world_to_camera[index]
    height, width = photo.shape[:2]
    spots = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)
    colours = photo / 255.0
    blue = colours[..., 2]
    looks = (
        (_directions(spots, K, pose) @ UP > 0)
        & (blue >= colours[..., :2].max(axis=-1) - WARMEST)
        & (blue > DARKEST)
        & (ndimage.gaussian_gradient_magnitude(blue, 1.0) < STEEPEST)
    )
    if masked is not None:
        looks &= masked > 127
    looks = ndimage.binary_opening(looks)
    regions, _ = ndimage.label(looks)
    upper = np.unique(regions[_upper_edge(pose, regions.shape) & looks])
    wanted = [n for n in upper if (regions == n).mean() >= LEAST_AREA]
    numbers = np.zeros(int(regions.max(initial=0)) + 1, np.uint16)
    numbers[wanted] = np.arange(1, len(wanted) + 1)
    seen = np.zeros(looks.shape, bool)
    _, places = _pixels(scene.points - scene.centres[index], K, pose, looks.shape)
    seen[places[:, 0], places[:, 1]] = True
    return _Candidate(photo, numbers[regions], seen, K, pose)


def _upper_edge(world_to_camera: Float, shape: tuple[int, ...]) -> Mask:
    """The pixels along the sides of a photo that face up, however the camera was held."""
    x, y = (world_to_camera[:3, :3] @ UP)[:2]
    steepness = np.hypot(x, y) or 1.0
    edge = np.zeros(shape, bool)
    for share, place in (
        (-y, np.s_[:EDGE]),
        (y, np.s_[-EDGE:]),
        (-x, np.s_[:, :EDGE]),
        (x, np.s_[:, -EDGE:]),
    ):
        if share > 0.5 * steepness:
            edge[place] = True
    return edge


def _is_sky(candidate: _Candidate, mask: Mask, others: Sequence[_Candidate]) -> bool:
    """Whether a region (H, W) of a photo has the sky's colour, no points, and looks so from elsewhere too."""
    red, _, blue = np.median(candidate.colours(mask), axis=0)
    if blue - red < BLUE and blue < BRIGHT:
        return False
    if candidate.seen[mask].mean() > MOST_POINTS * candidate.seen.mean():
        return False
    rows, columns = np.nonzero(mask)
    picks = np.linspace(0, len(rows) - 1, min(SAMPLES, len(rows))).astype(int)
    rows, columns = rows[picks], columns[picks]
    colours = candidate.colours((rows, columns))
    spots = np.stack([columns, rows], axis=1) + 0.5
    directions = _directions(spots, candidate.K, candidate.world_to_camera)
    alike = compared = 0
    for other in others:
        if other is candidate:
            continue
        inside, places = _pixels(directions, other.K, other.world_to_camera, other.regions.shape)
        at = places[:, 0], places[:, 1]
        near = np.abs(other.colours(at) - colours[inside]).max(axis=1) < SAME_COLOUR
        alike += int((near & (other.regions[at] > 0)).sum())
        compared += len(places)
    return compared > 0 and alike >= AGREEING * compared


def sphere(count: int) -> Float:
    """Directions (count, 3), evenly spread (the spiral of the golden angle)."""
    number = np.arange(count)
    z = 1 - (2 * number + 1) / count
    angle = np.pi * (3 - np.sqrt(5)) * number
    flat = np.sqrt(1 - z**2)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), z], axis=1)


def sky_directions(views: Sequence[SkyView], most: int) -> tuple[Float, Float, float]:
    """At most `most` directions (M, 3) that cover the sky and its surroundings, their colours (M, 3) in
    0..1, and the angle in radians from one to the next."""
    count, cover = DIRECTIONS, _cover(views, DIRECTIONS)
    while len(cover[0]) > most:
        count = int(count * 0.9 * most / len(cover[0]))
        coarser = _cover(views, count)
        if not len(coarser[0]):  # the sky falls between so few directions
            return _thinned(cover, most)
        cover = coarser
    return cover


def _cover(views: Sequence[SkyView], count: int) -> tuple[Float, Float, float]:
    """As `sky_directions`, of `count` directions on the whole sphere those that show sky or are near it."""
    every = sphere(count)
    total, times = np.zeros((count, 3)), np.zeros(count)
    for view in views:
        inside, places = view.pixels(every)
        at = places[:, 0], places[:, 1]
        shown = view.sky[at]
        total[np.flatnonzero(inside)[shown]] += view.colours[at][shown] / 255.0
        times[np.flatnonzero(inside)[shown]] += 1
    found = times > 0
    if not found.any():
        return np.zeros((0, 3)), np.zeros((0, 3)), 0.0
    spacing = float(np.sqrt(4 * np.pi / count))
    colours = total[found] / times[found, None]
    # Beyond the roofs too: who walks on sees what they hid.
    away, nearest = cKDTree(every[found]).query(every)
    around = away < 2.5 * spacing
    return every[around], colours[nearest[around]], spacing


def _thinned(cover: tuple[Float, Float, float], most: int) -> tuple[Float, Float, float]:
    """`most` of the directions of a cover, each standing for more."""
    directions, colours, spacing = cover
    kept = np.linspace(0, len(directions) - 1, most).round().astype(int)
    return directions[kept], colours[kept], spacing * float(np.sqrt(len(directions) / max(most, 1)))
