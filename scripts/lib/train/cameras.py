"""What training may correct about the photos themselves: how bright they came out, where they stood, and
how long their lenses are.

All are small tensors with an Adam of their own. None goes into the splat: the exposures are kept at zero
mean, so that the splat keeps the colours of the photos together, and the poses keep their common place,
turn and scale, so that it stays where GPS and surveyed points have put it. Photos that were not trained on
are rendered from where structure from motion has them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scripts.lib.contracts.train import Moved
from scripts.lib.train.parameters import ADAM

EXPOSURE_RATE = 2e-3  # of the logarithm of the gain, and of the offset where white is 1
# Motions of cameras are counted in pixels of the photos as they are trained on: how far a turn moves what a
# camera sees, or a shift what is at the usual depth.
POSE_RATE = 0.1  # pixels a step at most
POSE_SIGMA = 1.0  # pixels that structure from motion may be off
POSE_BOUND = 3 * POSE_SIGMA
POSE_DECAY = 0.1  # back, for each sigma, of a step that all gradients agree on
FEWEST_PHOTOS = 12  # with fewer the splat bends to whatever the poses are, and nothing holds them
REFINED = (0.5, 0.95)  # of a run: the splat must have shape before, and the time to follow after
WARM = 0.05  # of a run, in which the rate grows from nothing


class Corrections:
    """V rows of numbers that start at zero and follow their gradients."""

    decay = 0.0  # back to zero, for each unit, against a step that all gradients agree on

    def __init__(self, rows: int, columns: int, device: torch.device) -> None:
        self.values = torch.zeros(rows, columns, device=device)
        self.first, self.second = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self.steps = torch.zeros(rows, 1, device=device)

    @torch.no_grad()
    def move(self, numbers: Tensor, gradient: Tensor, rate: float | Tensor) -> None:
        """One Adam step of the rows `numbers` (M,) alone.

        Each row counts its own steps: a photo is seen once in a while.
        """
        self.steps[numbers] += 1
        steps = self.steps[numbers]
        first = torch.lerp(gradient, self.first[numbers], ADAM["beta1"])
        second = torch.lerp(gradient**2, self.second[numbers], ADAM["beta2"])
        self.first[numbers], self.second[numbers] = first, second
        mean = first / (1 - ADAM["beta1"] ** steps)
        spread = (second / (1 - ADAM["beta2"] ** steps)).sqrt()
        push = mean / (spread + ADAM["epsilon"])
        moved = -rate * (push + self.decay * self.values[numbers])
        self.values[numbers] += moved

    def tensors(self) -> dict[str, Tensor]:
        """All that a step changes."""
        return {name: getattr(self, name) for name in ("values", "first", "second", "steps")}

    def state(self) -> dict[str, Tensor]:
        """Everything needed to continue, on the CPU."""
        return {name: value.cpu() for name, value in self.tensors().items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue where `state()` was taken."""
        for name, value in state.items():
            getattr(self, name).copy_(value)


@contextmanager
def unless(lost: Tensor | None, *learned: Corrections | None) -> Iterator[None]:
    """What is done to `learned` within has no effect where `lost` (1,) is not 0. Does not wait to know."""
    changed = [part for part in learned if part is not None] if lost is not None else []
    before = [[value.clone() for value in part.tensors().values()] for part in changed]
    yield
    for part, kept in zip(changed, before, strict=True):
        for value, old in zip(part.tensors().values(), kept, strict=True):
            assert lost is not None
            value.copy_(torch.where(lost != 0, old, value))


class Exposures(Corrections):
    """Gain and offset of each colour channel for V photos: a render is compared as gain * render + offset."""

    def __init__(
        self, photos: int, device: torch.device, gains: npt.NDArray[np.float64] | None = None
    ) -> None:
        """`gains` (V, 3): logarithms to begin with, of zero mean."""
        super().__init__(photos, 6, device)
        if gains is not None:
            self.values[:, :3] = torch.as_tensor(gains, dtype=torch.float32, device=device)

    def of(self, number: Tensor) -> tuple[Tensor, Tensor]:
        """Gain (3,) and offset (3,) of one photo, given as (1,) so that nothing waits for the GPU."""
        row = self.values[number][0]
        return torch.exp(row[:3]), row[3:]

    def learn(self, numbers: Tensor, gradient: Tensor) -> None:
        """Follow `gradient` (M, 6) by the logarithm of the gains and the offsets, then take out the mean."""
        self.move(numbers, gradient, EXPOSURE_RATE)
        self.values -= self.values.mean(dim=0)


def camera_rate(share: float) -> float:
    """How fast cameras move after `share` of a run, 0 to 1: not at first, and not at its very end."""
    begin, end = REFINED
    if not begin <= share < end:
        return 0.0
    falling = (1 + math.cos(math.pi * (share - begin) / (end - begin))) / 2
    return min(1.0, (share - begin) / WARM) * falling


class Poses(Corrections):
    """Small motions (V, 6) of V cameras, a turn and a shift in pixels, applied on the camera's side.

    start: world_to_camera (V, 4, 4) in training's frame; focal (V,): lengths in pixels; depth (V,): usual
    distance of what each camera sees. What all cameras together do, a shift, turn or change of scale of the
    whole, is taken out of every step: photos cannot tell it, GPS has.
    """

    decay = POSE_DECAY / POSE_SIGMA

    def __init__(self, start: Tensor, focal: Tensor, depth: Tensor, device: torch.device) -> None:
        super().__init__(len(start), 6, device)
        start, focal, depth = (value.double() for value in (start, focal, depth))
        turn, shift = 1 / focal, depth / focal
        self.units = torch.stack([turn] * 3 + [shift] * 3, dim=1).float().to(device)
        R = start[:, :3, :3]
        centres = -(R.mT @ start[:, :3, 3:])[..., 0]
        # The common motion x -> x + T + W x (x - middle) + s (x - middle), and what it does to each camera:
        # to its centre, and to its orientation, weighted by how far that is for what it sees.
        places, weight = centres - centres.mean(dim=0), 1 / depth.median()
        across, none = _cross(places), torch.zeros_like(places)[..., None]
        eye = torch.eye(3, dtype=torch.float64).expand(len(start), 3, 3)
        on_centre = torch.cat([eye, -across, places[..., None]], dim=2)
        on_turn = torch.cat([torch.zeros_like(eye), eye, none], dim=2)
        system = torch.cat([weight * on_centre, on_turn], dim=1).reshape(-1, 7)
        # Where cameras stand in a line or a point, what they cannot tell stays as it is.
        common = torch.linalg.pinv(system, rtol=1e-6).reshape(7, -1, 6)
        back = torch.cat([R @ on_turn, R @ on_centre], dim=1)
        self._start = R.to(device)
        self._weight = float(weight)
        self._common = common.permute(1, 2, 0).reshape(-1, 7).to(device)
        self._back = back.to(device)

    @property
    def motions(self) -> Tensor:
        """Turns in radians and shifts in units (V, 6)."""
        return self.values * self.units

    def of(self, numbers: Tensor, world_to_camera: Tensor) -> Tensor:
        """The cameras (M, 4, 4) `numbers` where they stand now, from where they stood at the start."""
        return rigid(self.motions[numbers]) @ world_to_camera

    def learn(self, numbers: Tensor, gradients: Tensor, rate: float) -> None:
        """One step of the cameras `numbers` along `gradients` (M, 6) by radians and units."""
        self.move(numbers, _finite(gradients) * self.units[numbers], rate * POSE_RATE)
        self.values.clamp_(-POSE_BOUND, POSE_BOUND)
        self.settle()

    @torch.no_grad()
    def settle(self) -> None:
        """Take out what the cameras did together: the mean of their shifts is zero, and so on."""
        motions, units = self.motions.double(), self.units.double()
        for _ in range(2):  # Newton's steps: what is left after the second is below float32
            moved = rigid(motions)
            shifts = -(moved[:, :3, :3].mT @ moved[:, :3, 3:])
            shifts = (self._start.mT @ shifts)[..., 0]
            turns = -(self._start.mT @ motions[:, :3, None])[..., 0]
            seen = torch.cat([self._weight * shifts, turns], dim=1)
            motions = motions + self._back @ (seen.reshape(-1) @ self._common)
        self.values.copy_(motions / units)

    def record(self) -> Moved:
        """How far the cameras have moved, pixels: root mean square, and the farthest."""
        # A turn and a shift of a pixel each move a picture by a pixel; along the view's axis hardly.
        sizes = self.values.double().square().mean(dim=1).mul(3).sqrt()
        rms = round(float(sizes.square().mean().sqrt()), 4)
        return Moved(rms_px=rms, largest_px=round(float(sizes.max()), 4))

    @staticmethod
    def by_gaussians(
        means: Tensor, quats: Tensor, v_means: Tensor, v_quats: Tensor, world_to_camera: Tensor
    ) -> Tensor:
        """Gradient (6,) by a turn and a shift of one camera (4, 4), from those of what it sees (N, ...).

        Moving a camera is moving everything it sees the other way. Colours that change with the direction
        would have to be turned along; that small part is left out.
        """
        R = world_to_camera[:3, :3]
        seen, v_seen = means @ R.T + world_to_camera[:3, 3], v_means @ R.T
        w, v = quats[:, :1], quats[:, 1:]
        # A small turn p of the world makes the quaternion q + (0, p) q / 2.
        by_turn = v_quats[:, 1:] * w - v_quats[:, :1] * v + torch.linalg.cross(v, v_quats[:, 1:])
        turn = torch.linalg.cross(seen, v_seen) + by_turn @ R.T / 2
        return torch.cat([turn.sum(dim=0), v_seen.sum(dim=0)])

    @staticmethod
    def gradient(world_to_camera: Tensor, v_world_to_camera: Tensor) -> Tensor:
        """Gradient (M, 6) by a turn and a shift at the left of world_to_camera (M, 4, 4), from that by it."""
        turn = v_world_to_camera[:, :3] @ world_to_camera[:, :3].mT
        axes = (turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0])
        last = turn[:, 1, 0] - turn[:, 0, 1]
        return torch.cat([torch.stack([*axes, last], dim=1), v_world_to_camera[:, :3, 3]], dim=1)


def _finite(gradients: Tensor) -> Tensor:
    """Gradients without those of a step in which some Gaussian had broken; training mends it soon."""
    return torch.nan_to_num(gradients, nan=0.0, posinf=0.0, neginf=0.0)


def _cross(vectors: Tensor) -> Tensor:
    """The matrices (V, 3, 3) of the cross product with `vectors` (V, 3) from the left."""
    x, y, z = vectors.unbind(dim=1)
    zero = torch.zeros_like(x)
    rows = (zero, -z, y, z, zero, -x, -y, x, zero)
    return torch.stack(rows, dim=1).reshape(-1, 3, 3)


def rigid(motions: Tensor) -> Tensor:
    """The motions (V, 4, 4) of turns and shifts (V, 6): the exponential map of SE(3), for small turns.

    By its series, exact to 1e-9 up to a tenth of a radian.
    """
    turn = _cross(motions[:, :3])
    twice = turn @ turn
    square = motions[:, :3].square().sum(dim=1)[:, None, None]
    first = 1 - square / 6 * (1 - square / 20 * (1 - square / 42))
    second = (1 - square / 12 * (1 - square / 30 * (1 - square / 56))) / 2
    third = (1 - square / 20 * (1 - square / 42 * (1 - square / 72))) / 6
    whole = torch.eye(4, dtype=motions.dtype, device=motions.device).repeat(len(motions), 1, 1)
    whole[:, :3, :3] += first * turn + second * twice
    shift = motions[:, 3:, None]
    whole[:, :3, 3:] = shift + second * (turn @ shift) + third * (twice @ shift)
    return whole


class Focals(Corrections):
    """Lengths of L lenses against those at the start: logarithms (L, 1), counted in pixels half a long side
    away from the middle.

    reach (L,): that half side in pixels. photos (L,): how many photos each lens took; with few it stays.
    """

    decay = POSE_DECAY / POSE_SIGMA

    def __init__(self, reach: Tensor, photos: Tensor, device: torch.device) -> None:
        super().__init__(len(reach), 1, device)
        self.units = (1 / reach[:, None]).float().to(device)
        # A lens is seen as often as all its photos together.
        eager = torch.where(photos >= FEWEST_PHOTOS, photos.clamp(min=1).float().rsqrt(), 0.0)
        self.eager = eager[:, None].to(device)

    @property
    def scales(self) -> Tensor:
        """Factor on each lens's focal length (L,)."""
        return torch.exp(self.values * self.units)[:, 0]

    def of(self, lenses: Tensor, K: Tensor) -> Tensor:
        """The intrinsics K (M, 3, 3) of photos taken with `lenses` (M,) as they are now."""
        factors = torch.ones_like(K)
        factors[:, :2, :2] = self.scales[lenses][:, None, None]
        return K * factors

    def learn(self, lenses: Tensor, gradients: Tensor, rate: float) -> None:
        """One step along the `gradients` (M,) of photos, by the logarithms of their lenses' lengths."""
        # One after the other: photos of one step may share a lens.
        for row, gradient in zip(lenses.split(1), gradients.split(1), strict=True):
            by_pixel = _finite(gradient[:, None]) * self.units[row]
            self.move(row, by_pixel, rate * POSE_RATE * self.eager[row])
        self.values.clamp_(-POSE_BOUND, POSE_BOUND)

    @staticmethod
    def gradient(colour: Tensor, v_colour: Tensor, K: Tensor) -> Tensor:
        """Gradient () by the logarithm of the focal length, from a render (H, W, 3) and the gradient by it.

        A longer lens moves what is seen at p away from the principal point c, by p - c for each unit of the
        logarithm, so the colour at p changes by -(gradient of the colour) . (p - c).
        """
        height, width = colour.shape[:2]
        down, across = torch.gradient(colour, dim=(0, 1))
        x = torch.arange(width, device=colour.device) + 0.5 - K[0, 2]
        y = torch.arange(height, device=colour.device)[:, None] + 0.5 - K[1, 2]
        by_pixel = (v_colour * across).sum(dim=2) * x + (v_colour * down).sum(dim=2) * y
        return -by_pixel.sum()
