"""Pictures straight down without perspective, from the rasterisers for perspective. Needs torch.

An orthographic picture of a Gaussian is its marginal on the ground plane (Zwicker et al., "EWA Splatting",
2002), which a flat disc has too. A disc at the depth z that is z times as large, and z times as far from
the axis, looks the same whatever z is. So each Gaussian becomes the disc of its own marginal, at a depth
from 1 to 2 that only tells who covers whom. This is exact, and works with every rasteriser there is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from scripts.lib.core.activations import sigmoid
from scripts.lib.render.rasterise import rasterise
from scripts.lib.render.rasterise.constants import EPS2D
from scripts.lib.render.rasterise.reference import sh_basis
from scripts.lib.render.tile import Tile
from scripts.lib.splat.gaussians import SH_C0
from scripts.lib.splat.occupancy import axes_of

Float = npt.NDArray[np.float64]
REACH = 3.4  # standard deviations: beyond, even an opaque Gaussian's alpha is below 1/255


@dataclass(frozen=True)
class Discs:
    """N Gaussians as seen from straight above.

    place (N, 3): east, north, up; turn (N,): radians from east to the longer axis, towards north; sigma
    (N, 2): standard deviations of the longer and the shorter axis; opacity (N,) in 0..1. Units are the map's.
    """

    place: Float
    turn: Float
    sigma: Float
    opacity: Float
    antialiased: bool = False

    def __len__(self) -> int:
        return len(self.place)

    def take(self, index: npt.NDArray[np.generic]) -> Discs:
        """The discs at `index` (integers or a mask), in that order."""
        return Discs(
            self.place[index],
            self.turn[index],
            self.sigma[index],
            self.opacity[index],
            self.antialiased,
        )

    def near(self, tile: Tile) -> npt.NDArray[np.bool_]:
        """Which discs (N,) may be seen in a tile."""
        reach = REACH * (self.sigma[:, 0] + np.sqrt(EPS2D) * tile.step)
        east, north = self.place[:, 0], self.place[:, 1]
        right, bottom = tile.east + tile.width * tile.step, tile.north - tile.height * tile.step
        across = (east + reach >= tile.east) & (east - reach <= right)
        found: npt.NDArray[np.bool_] = (
            across & (north + reach >= bottom) & (north - reach <= tile.north)
        )
        return found


def flattened(
    place: Float,
    quats: npt.NDArray[np.floating],
    scales: npt.NDArray[np.floating],
    opacities: npt.NDArray[np.floating],
    to_map: Float,
    antialiased: bool = False,
) -> Discs:
    """Gaussians as discs: `place` (N, 3) on the map; the rest as `Gaussians` holds it (logs and logits).

    to_map (3, 3): how the scene's axes turn and stretch on the way to the map's.
    """
    spread = (to_map[:2] @ axes_of(quats)) * np.exp(scales.astype(np.float64))[:, None, :]
    a, c = (spread[:, 0] ** 2).sum(-1), (spread[:, 1] ** 2).sum(-1)
    b = (spread[:, 0] * spread[:, 1]).sum(-1)
    middle, half = (a + c) / 2, np.hypot((a - c) / 2, b)
    sigma = np.sqrt(np.maximum(np.stack([middle + half, middle - half], axis=1), 0))
    return Discs(place, np.arctan2(b, (a - c) / 2) / 2, sigma, sigmoid(opacities), antialiased)


def colours_along(sh: Float, direction: Float) -> Float:
    """Colours (N, 3), not negative, of spherical harmonics (N, K, 3) along unit directions (N, 3)."""
    basis = sh_basis(torch.from_numpy(direction), sh.shape[1]).numpy()
    found: Float = np.maximum(np.einsum("nk,nkc->nc", basis, sh) + 0.5, 0)
    return found


class FromAbove:
    """Draws discs into one tile; only those that are near it should be given.

    `device` is torch's, "cpu" or "cuda". Colours are of the discs' own number, so anything that each disc
    has can be drawn: red, green and blue, or a height.
    """

    def __init__(self, discs: Discs, tile: Tile, device: str = "cpu") -> None:
        self.tile, self.device, self.antialiased = tile, torch.device(device), discs.antialiased
        up = discs.place[:, 2]
        top = float(up.max()) if len(up) else 0.0
        depth = 1 + (top - up) / max(top - float(up.min()), 1e-9) if len(up) else up
        east, south = discs.place[:, 0] - tile.east, tile.north - discs.place[:, 1]
        # In pixels, and from the tile's own corner: float32 has digits enough for hundredths of one.
        self.means = self._tensor(np.stack([east, south, np.full(len(discs), tile.step)], 1))
        self.means *= self._tensor(depth / tile.step)[:, None]
        half = -discs.turn / 2  # the picture's second axis points south
        zero = np.zeros(len(discs))
        self.quats = self._tensor(np.stack([np.cos(half), zero, zero, np.sin(half)], axis=1))
        sigma = np.concatenate([discs.sigma, zero[:, None]], axis=1)
        self.scales = self._tensor(sigma * (depth / tile.step)[:, None])
        self.opacities = self._tensor(discs.opacity)

    def _tensor(self, values: npt.NDArray[np.floating]) -> torch.Tensor:
        return torch.tensor(np.asarray(values, np.float32), device=self.device)

    @torch.no_grad()
    def blend(self, values: npt.NDArray[np.floating]) -> tuple[Float, Float]:
        """What each pixel shows of `values` (N, 3), none negative: their sum by blend weights (H, W, 3), and
        the weights' sum, alpha (H, W). Float64."""
        tile = self.tile
        if not len(self.means):
            return np.zeros((tile.height, tile.width, 3)), np.zeros((tile.height, tile.width))
        sh = ((self._tensor(values) - 0.5) / SH_C0)[:, None]
        eye = torch.eye(4, device=self.device)[None]
        colour, alpha = rasterise(
            self.means,
            self.quats,
            self.scales,
            self.opacities,
            sh,
            eye,
            eye[:, :3, :3].contiguous(),
            (tile.width, tile.height),
            antialiased=self.antialiased,
        )
        return colour[0].cpu().double().numpy(), alpha[0, ..., 0].cpu().double().numpy()
