"""A term of training's loss that holds surfaces where structure from motion has points.

Photos alone are explained as well by a veil in front of a wall, or by blobs behind it, as by the wall
itself. Where a photo shows a point of depth d, all that its pixel blends shall lie at d: with blend weights w
and depths z, the sum of w (d / z - 1)^2, plus 1 - sum of w for what the pixel lacks of being solid. This is
1 - 2 d (sum of w / z) + d^2 (sum of w / z^2), so it needs no new kernel: the Gaussians are drawn once more,
with 1 / z and its square for colours. Cauchy's robust function makes large errors count less: a point at an
edge shares its pixel with what lies behind, and some points are wrong. Line-of-sight losses: Rematas et al.,
"Urban Radiance Fields", CVPR 2022; depth from points: Deng et al., "Depth-supervised NeRF", CVPR 2022.

One photo in eight has the term (of single photos, one in four), and it weighs as much more. Drawing it has no
harmonics, no SSIM and no optimiser in it: of a step of four photos, of which every second has the term, it is
about a tenth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from scripts.lib.scene.known_depths import KnownDepths, known_depths
from scripts.lib.scene.scene import Scene
from scripts.lib.train.initialise import Frame
from scripts.lib.train.options import Settings

WEIGHT = 0.1  # of the mean over a photo's points, beside the photos' own loss
EVERY, MOST_STEPS = 8, 4  # photos, and at most so many steps, from one with the term to the next
WIDTH = 0.05  # of the depth: errors beyond count less and less
KNOWN = 0.01  # standard deviation of a point's depth, of the depth, from which it weighs less
UNKNOWN = 0.05  # from which it does not count
MOST, FEWEST = 2048, 256  # points that a photo brings; with fewer than the second it weighs less
NEAREST = 0.02  # depth, in training's frame: nearer, 1 / z is held


class DepthTerm:
    """The known depths of V photos, those of the tracks that are not kept to judge by; in training's frame.

    table: (V, M, 4) of places as shares of the photo's sides, inverse depths and weights; 0 where a photo
    shows fewer points.
    """

    def __init__(
        self, known: Sequence[KnownDepths], radius: float, seed: int, device: torch.device
    ) -> None:
        chosen = [_some(one, seed) for one in known]
        table = np.zeros((len(chosen), max(map(len, chosen), default=0), 4), np.float32)
        for row, one in zip(table, chosen, strict=True):
            exact = 1 / (1 + (one.sigmas / one.depths / KNOWN) ** 2)
            row[: len(one), :2] = one.places
            row[: len(one), 2] = radius / one.depths
            row[: len(one), 3] = exact / max(len(one), FEWEST)
        self.table = torch.tensor(table, device=device)

    @property
    def points(self) -> int:
        """How many points the photos show, each as often as it is seen."""
        return int((self.table[..., 3] > 0).sum())

    def loss(self, image: Tensor, number: Tensor) -> Tensor:
        """The term of one photo: its `features` drawn (H, W, 3), and its number (1,)."""
        rows = self.table.index_select(0, number)[0]
        height, width = image.shape[:2]
        columns = (rows[:, 0] * width).long().clamp(0, width - 1)
        lines = (rows[:, 1] * height).long().clamp(0, height - 1)
        known = rows[:, 2].clamp_min(1e-9)
        once, twice = image[lines, columns, 0] / known, image[lines, columns, 1] / known**2
        square = (twice - 2 * once + 1).clamp_min(0)
        return (rows[:, 3] * WIDTH * torch.log1p(square / WIDTH**2)).sum()


def _some(known: KnownDepths, seed: int) -> KnownDepths:
    """At most MOST of the points that training may use."""
    usable = known.only(~known.held_out & (known.sigmas < UNKNOWN * known.depths))
    if len(usable) <= MOST:
        return usable
    return usable.only(np.random.default_rng(seed).permutation(len(usable)) < MOST)


def wanted(
    scene: Scene, frame: Frame, trained: Sequence[int], settings: Settings
) -> DepthTerm | None:
    """The term of the photos trained on; None where it is not wanted, or the model has no tracks."""
    if not settings.depth_term:
        return None
    known = known_depths(scene, trained)
    found = DepthTerm(known, frame.radius, settings.seed, torch.device(settings.device))
    return found if found.points else None


def features(means: Tensor, world_to_camera: Tensor) -> Tensor:
    """What is drawn of Gaussians at `means` (N, 3) for a camera (4, 4): inverse depth, its square, and 0."""
    depths = means @ world_to_camera[2, :3] + world_to_camera[2, 3]
    inverse = 1 / depths.clamp_min(NEAREST)
    return torch.stack([inverse, inverse * inverse, torch.zeros_like(inverse)], dim=1)


def by_means(made: Tensor, gradients: Tensor, world_to_camera: Tensor) -> Tensor:
    """Gradients by means (N, 3) from those by their features (N, 3), which were `made` (N, 3)."""
    inverse = made[:, 0]
    by_inverse = gradients[:, 0] + 2 * inverse * gradients[:, 1]
    by_depth = -inverse * inverse * by_inverse
    held = inverse >= 1 / NEAREST
    return by_depth.masked_fill(held, 0)[:, None] * world_to_camera[2, :3]


def weight_at(step: int, photos: int) -> float:
    """Weight of the term in a step of so many photos; 0 where none of them has it."""
    every = min(max(1, EVERY // photos), MOST_STEPS)
    return 0.0 if step % every else WEIGHT * every
