"""What stands in one photo only: people, cars and laundry that other photos of the same place do not show.

First, the photos alone are asked (plane_sweep.py): a pixel shows something transient if, at some depth along
its ray, most neighbours of the photo agree with each other, and at no depth they agree with the photo. Where
they agree with nobody (water, leaves, what no other photo saw), nothing is said. If that finds more than it
finds where nothing moves, and structure from motion matched hardly anything there, a small splat is trained
without it. What this splat cannot explain either is left out; what it explains comes back. So nothing
transient is ever learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from scripts.lib.contracts.train import TransientsRecord
from scripts.lib.core.console import Progress
from scripts.lib.core.files import reading_zip
from scripts.lib.render.renderer import Picture
from scripts.lib.scene.colmap_model import read_sightings
from scripts.lib.scene.scene import Scene
from scripts.lib.train.plane_sweep import NEIGHBOURS, Support, around, patches, sweep

Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
LONG_SIDE = 192  # pixels of the photos that are compared
PLANES = 96  # in steps of equal disparity
NEARER, FARTHER = 0.6, 2.0  # times the nearest and the farthest points that a photo shows
POINTS = 4000  # that tell what photos have in common
TURNED = np.radians(40)  # usual angle between two photos that show the same side of a thing
FEWEST_SEE = 4  # neighbours that see a pixel of which something is said
SEED, SUPPORT, AGREED = 0.15, 0.26, 0.6  # shares of the neighbours
SEED_SIDE = 4  # pixels of a square in which all are seeds
SEEDED = 0.35  # share of a region that is in such squares
MARGIN = 2  # pixels around what is found: blur and shadow
LOOKED = 12  # photos that are looked at first; then twice as many, and so on
# Share of the photos' area that is surely and possibly contradicted, from which it is left out if points
# tell the same (MATCHED). Where nothing moves, .0002 to .005 are, and .04 of trees from the air, which points
# tell apart. A few photos may show a third of what all do.
BAR, BAR_WITHOUT_POINTS, OF_FEW = 0.02, 0.06, 1 / 3
MOST = 0.5  # of a photo is left out; where more seems to differ, the small splat is what is wrong
# Points that several photos agree about stand still. Where people and laundry are contradicted (a fifth of
# 24 photos), .03 times as many lie as elsewhere. Trees from the air (.013 and .037 of the area) have .6 and
# .8 times as many. So has a street (29 photos, few of each place), whose walls and sky were contradicted: .86
# times, and leaving that out cost .65 dB.
MATCHED, FEWEST_POINTS = 0.3, 200
UNEXPLAINED, OUTRIGHT = 0.05, 0.12  # difference of a photo's patch from the small splat's, of 1


@dataclass(frozen=True)
class Regions:
    """What neighbours contradict in a photo, (H, W) each: surely, and possibly."""

    surely: Mask
    possibly: Mask


class Transients:
    """Looks for transients in some photos of a scene."""

    def __init__(
        self, scene: Scene, photos: Sequence[int], gains: Float | None, device: torch.device
    ) -> None:
        """`photos` (V indices), whose brightness was multiplied by exp(gains) (V, 3)."""
        self.photos, self.gains, self.device = photos, gains, device
        self.small = scene.at_most(LONG_SIDE)
        self.sizes = self.small.sizes[photos]
        self.cameras, self.K = self.small.world_to_camera[photos], self.small.K[photos]
        width, height = self.sizes.max(axis=0)
        # Red, green, blue, and 1 where there is a photo.
        self.pictures = np.zeros((len(photos), height, width, 4), np.float32)
        self.read: set[int] = set()  # of the pictures, those that were needed so far
        every = max(1, len(scene.points) // POINTS)
        self.seen, self.depths = _seen(self.small.points[::every], self.cameras, self.K, self.sizes)
        self.regions: dict[int, Regions] = {}
        with reading_zip(scene.path) as archive:
            self.sightings = read_sightings(archive)

    def look(self, always: bool) -> bool:
        """Ask the neighbours, and tell whether there is anything to leave out.

        A few photos are looked at first, and twice as many each time as long as these show something, or
        `always`: then nothing speaks against it. Raises UserError when the scene's zip is damaged.
        """
        count, looked = len(self.photos), LOOKED
        if count <= NEIGHBOURS:
            return False
        progress = Progress("transients", count)
        while True:
            rows = {round(row) for row in np.linspace(0, count - 1, min(looked, count))}
            self._ask(sorted(rows - self.regions.keys()))
            whole = len(self.regions) == count
            if not always and not self._told(1.0 if whole else OF_FEW):
                return False
            progress.update(len(self.regions), "photos compared with those beside them")
            if whole:
                return True
            looked = count if always else 2 * looked

    def _told(self, share: float) -> bool:
        """Whether what is contradicted is more than `share` of the bar, and did move."""
        matched = self.matched
        if matched is None:
            return self.share > share * BAR_WITHOUT_POINTS
        return self.share > share * BAR and matched <= MATCHED

    @property
    def matched(self) -> float | None:
        """Points of the model to an area of what is contradicted, times as many as elsewhere; None where too
        few tell."""
        points, areas = np.zeros(2), np.zeros(2)
        for row, found in self.regions.items():
            seen = self.sightings.get(self.small.names[self.photos[row]])
            if seen is not None:
                mask = found.surely & found.possibly
                x, y = (seen.places * self.sizes[row]).astype(int).T
                inside = mask[y.clip(0, mask.shape[0] - 1), x.clip(0, mask.shape[1] - 1)]
                points += (~inside).sum(), inside.sum()
                areas += (~mask).sum(), mask.sum()
        if points.sum() < FEWEST_POINTS or not areas.all() or not points[0]:
            return None
        elsewhere, here = points / areas
        return float(here / elsewhere)

    @property
    def share(self) -> float:
        """Of the photos' area that is contradicted by both measures."""
        shares = [(found.surely & found.possibly).mean() for found in self.regions.values()]
        return float(np.mean(shares)) if shares else 0.0

    def surely(self) -> dict[int, Mask]:
        """By photo, what its neighbours surely contradict, (H, W)."""
        return {self.photos[row]: found.surely for row, found in self.regions.items()}

    def unexplained(self, render: Callable[[int], Picture]) -> dict[int, Mask]:
        """By photo, what its neighbours contradict and a splat without it does not show either, (H, W).

        `render` gives the picture of a photo's index at `small`'s size, (H, W, 3) in 0..1.
        """
        found = {}
        for row, photo in enumerate(self.photos):
            width, height = self.sizes[row]
            own = self._tensor(self.pictures[row, :height, :width, :3]).permute(2, 0, 1)
            apart = unlike(own, self._tensor(render(photo)).permute(2, 0, 1)).cpu().numpy()
            mask = unexplained(self.regions[row], apart)
            found[photo] = mask if mask.mean() <= MOST else self.regions[row].surely
        return found

    def record(self, left_out: dict[int, Mask]) -> TransientsRecord:
        """For train.json."""
        shares = {self.small.names[photo]: float(mask.mean()) for photo, mask in left_out.items()}
        share = sum(shares.values()) / len(self.photos)
        return TransientsRecord(
            bool(left_out), self.share, share, {name: s for name, s in shares.items() if s}
        )

    def _ask(self, rows: Sequence[int]) -> None:
        """Find the regions of the photos at `rows`."""
        others = {row: self._neighbours(row) for row in rows}
        self._read({*rows, *chain.from_iterable(others.values())})
        for row in rows:
            self.regions[row] = regions(self._support(row, others[row]))

    def _read(self, rows: Set[int]) -> None:
        """Decode those of the pictures at `rows` that were not needed before."""
        missing = sorted(rows - self.read)
        pictures = self.small.photos([self.photos[row] for row in missing])
        for row, picture in zip(missing, pictures, strict=True):
            there = self.pictures[row, : picture.shape[0], : picture.shape[1]]
            there[..., :3], there[..., 3] = picture / np.float32(255), 1
            if self.gains is not None:
                there[..., :3] *= np.exp(-self.gains[row])
        self.read |= rows

    def _support(self, row: int, others: list[int]) -> Support:
        to_world = np.linalg.inv(self.cameras[row])
        views = []
        for other in others:
            relative = self.cameras[other] @ to_world
            turn = relative[:3, :3] @ np.linalg.inv(self.K[row])
            views.append(self.K[other] @ np.c_[turn, relative[:3, 3]])
        shown = self.depths[row][self.seen[row]]
        if not len(shown):
            shown = self.depths[self.depths > 0]
        near, far = np.percentile(shown, (1, 99)) * (NEARER, FARTHER)
        width, height = self.sizes[row]
        return sweep(
            self._tensor(self.pictures[row, :height, :width, :3]).permute(2, 0, 1),
            self._tensor(self.pictures[others]).permute(0, 3, 1, 2).contiguous(),
            self._tensor(np.array(views)),
            self._tensor(1 / np.linspace(1 / near, 1 / far, PLANES)),
        )

    def _neighbours(self, row: int) -> list[int]:
        """Those that see the same side of most of the same points."""
        common = (self.seen & self.seen[row]).sum(axis=1) / max(1, self.seen[row].sum())
        axes = self.cameras[:, 2, :3]
        angle = np.arccos(np.clip(axes @ axes[row], -1, 1))
        score = common * np.exp(-((angle / TURNED) ** 2))
        score[row] = -1
        best: list[int] = np.argsort(-score, kind="stable")[:NEIGHBOURS].tolist()
        return best

    def _tensor(self, values: npt.NDArray[np.generic]) -> Tensor:
        return torch.as_tensor(np.asarray(values, np.float32), device=self.device)


def _seen(
    points: Float, cameras: Float, K: Float, sizes: npt.NDArray[np.int64]
) -> tuple[Mask, Float]:
    """Which points (P, 3) lie in the picture of each of V cameras (V, P), and their depths (V, P)."""
    corners = np.c_[points, np.ones(len(points))]
    seen = np.zeros((len(cameras), len(points)), bool)
    depths = np.zeros((len(cameras), len(points)))
    for row, (camera, lens, (width, height)) in enumerate(zip(cameras, K, sizes, strict=True)):
        x, y, z = lens @ camera[:3] @ corners.T
        front = np.maximum(z, 1e-9)
        x, y = x / front, y / front
        seen[row] = (z > 0) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
        depths[row] = z
    return seen, depths


def regions(support: Support) -> Regions:
    """The regions that the neighbours contradict.

    Surely: hardly any of them agrees even about with the photo; possibly: few agree exactly.
    """
    agreed, exactly, about, seen = (
        values.cpu().numpy()
        for values in (support.agreed, support.exactly, support.about, support.seen)
    )
    told = (agreed >= AGREED) & (seen >= FEWEST_SEE)
    return Regions(_compact(about, told), _compact(exactly, told))


def unexplained(regions: Regions, apart: npt.NDArray[np.float32]) -> Mask:
    """What neighbours contradict and a splat differs from by `apart` (H, W), of 1, with all that is joined to
    it and differs outright. What differs elsewhere is not transient: the small splat is poor there."""
    outright = ndimage.binary_opening(apart > OUTRIGHT, np.ones((3, 3)))
    number, _ = ndimage.label(outright | regions.possibly)
    joined = np.unique(number[regions.possibly])
    outright &= np.isin(number, joined[joined > 0])
    mask = (regions.possibly & (apart > UNEXPLAINED)) | outright
    found: Mask = ndimage.binary_dilation(mask, iterations=1)
    return found


def _compact(supported: npt.NDArray[np.float32], told: Mask) -> Mask:
    """Regions of little support (H, W), a good part of which are squares of hardly any.

    Single pixels are contradicted at every edge of something near, where the neighbours look past it.
    """
    square = np.ones((SEED_SIDE, SEED_SIDE))
    seeds = ndimage.binary_opening(told & (supported < SEED), square)
    wide = seeds | ndimage.binary_opening(told & (supported < SUPPORT), np.ones((2, 2)))
    number, count = ndimage.label(wide)
    if count == 0:
        return np.zeros(wide.shape, bool)
    every = np.arange(1, count + 1)
    share = ndimage.sum(seeds, number, every) / ndimage.sum(wide, number, every)
    kept = np.r_[False, share >= SEEDED][number]
    found: Mask = ndimage.binary_dilation(kept, iterations=MARGIN)
    return found


def unlike(photo: Tensor, render: Tensor) -> Tensor:
    """Mean difference (H, W) of the patches of two pictures (3, H, W), beyond half a pixel's shift."""
    beyond = render - render.clamp(-around(-photo), around(photo))
    return patches(beyond.abs().mean(dim=0)[None])[0]
