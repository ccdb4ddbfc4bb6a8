"""Gaussians into pictures: the one renderer for measuring, cleaning, poster and film. Needs torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from scripts.lib.render.rasterise import rasterise
from scripts.lib.render.rasterise.passes import Shapes
from scripts.lib.splat.gaussians import SH_C0, Gaussians

Picture = npt.NDArray[np.float32]
Float = npt.NDArray[np.float64]
Colour = tuple[float, float, float]


class Renderer:
    """Gaussians kept ready for many pictures on a device ("cpu" or "cuda").

    Far from the origin (a map's coordinates) float32 loses the detail. So everything is moved, in float64,
    to the middle of the Gaussians first; callers give cameras in world units.
    """

    def __init__(
        self, gaussians: Gaussians, device: str = "cpu", background: Colour | None = None
    ) -> None:
        self.device = torch.device(device)
        self.antialiased = gaussians.antialiased
        means = gaussians.means.astype(np.float64)
        self.origin: Float = np.median(means, axis=0) if len(means) else np.zeros(3)
        self.means, self.quats = self._tensor(means - self.origin), self._tensor(gaussians.quats)
        self.scales = self._tensor(gaussians.scales).exp()
        self.opacities = self._tensor(gaussians.opacities).sigmoid()
        self.sh = torch.cat(
            [self._tensor(gaussians.sh0)[:, None], self._tensor(gaussians.shN)], dim=1
        )
        self.background = None if background is None else self._tensor(background)

    @classmethod
    def of_tensors(
        cls, shapes: Shapes, sh: torch.Tensor, origin: Float, antialiased: bool, background: Any
    ) -> Renderer:
        """A renderer of tensors that lie on one device already, means relative to `origin` (3,).

        sh (N, K, 3); background (3,) on that device, or None.
        """
        made = cls.__new__(cls)
        made.device, made.antialiased, made.origin = shapes.means.device, antialiased, origin
        made.means, made.quats = shapes.means, shapes.quats
        made.scales, made.opacities = shapes.scales, shapes.opacities
        made.sh, made.background = sh, background
        return made

    def __len__(self) -> int:
        return len(self.means)

    def _tensor(self, values: npt.ArrayLike) -> torch.Tensor:
        return torch.tensor(np.asarray(values, np.float32), device=self.device)

    def _colour(
        self, sh: torch.Tensor, world_to_camera: npt.ArrayLike, K: npt.ArrayLike, size: Any
    ) -> torch.Tensor:
        """The unclipped picture (H, W, 3) of Gaussians with the harmonics `sh`."""
        return self._layers(sh, world_to_camera, K, size, self.background)[0]

    def _layers(
        self,
        sh: torch.Tensor,
        world_to_camera: npt.ArrayLike,
        K: npt.ArrayLike,
        size: Any,
        background: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same over some background, and its alpha (H, W, 1)."""
        camera = np.array(world_to_camera, np.float64)
        camera[:3, 3] += camera[:3, :3] @ self.origin
        width, height = (int(side) for side in size)
        colour, alpha = rasterise(
            self.means,
            self.quats,
            self.scales,
            self.opacities,
            sh,
            self._tensor(camera)[None],
            self._tensor(K)[None],
            (width, height),
            background=background,
            antialiased=self.antialiased,
        )
        return colour[0], alpha[0]

    @torch.no_grad()
    def picture(
        self, world_to_camera: npt.ArrayLike, K: npt.ArrayLike, size: npt.ArrayLike
    ) -> Picture:
        """What a camera sees, (H, W, 3) float32 clipped to 0..1; black, or the background, where nothing is.

        world_to_camera (4, 4) OpenCV, world units; K (3, 3) pixels; `size` is width and height.
        """
        picture: Picture = self._colour(self.sh, world_to_camera, K, size).clamp(0, 1).cpu().numpy()
        return picture

    @torch.no_grad()
    def depth(
        self, world_to_camera: npt.ArrayLike, K: npt.ArrayLike, size: npt.ArrayLike
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean depth of what each pixel shows, world units, and its alpha, (H, W) each; 0 for nothing."""
        camera = np.asarray(world_to_camera, np.float64)
        along, begin = self._tensor(camera[2, :3]), float(camera[2] @ np.append(self.origin, 1))
        depths = (self.means @ along + begin).clamp_min(0)
        blend, alpha = self._blend(depths[:, None].expand(-1, 3), world_to_camera, K, size)
        return blend[..., 0] / alpha.clamp_min(1e-6), alpha

    @torch.no_grad()
    def blend(
        self,
        values: npt.ArrayLike,
        world_to_camera: npt.ArrayLike,
        K: npt.ArrayLike,
        size: npt.ArrayLike,
    ) -> tuple[Float, Float]:
        """`values` (N, 3), none negative, summed by blend weights (H, W, 3), and alpha (H, W)."""
        blend, alpha = self._blend(self._tensor(values), world_to_camera, K, size)
        return blend.cpu().double().numpy(), alpha.cpu().double().numpy()

    def _blend(
        self,
        values: torch.Tensor,
        world_to_camera: npt.ArrayLike,
        K: npt.ArrayLike,
        size: npt.ArrayLike,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Values (N, 3), drawn like colours that look the same from everywhere, and alpha (H, W)."""
        sh = ((values - 0.5) / SH_C0)[:, None].contiguous()
        blend, alpha = self._layers(sh, world_to_camera, K, size, None)
        return blend, alpha[..., 0]

    def gather(
        self,
        values: npt.ArrayLike,
        world_to_camera: npt.ArrayLike,
        K: npt.ArrayLike,
        size: npt.ArrayLike,
    ) -> Float:
        """What a picture's `values` (H, W, 3) come to on each Gaussian: sums (N, 3) of them over its pixels,
        by its blend weights there. The reverse of `blend`."""
        grey = torch.zeros((len(self), 1, 3), device=self.device, requires_grad=True)
        picture = self._colour(grey, world_to_camera, K, size)
        (gradient,) = torch.autograd.grad((picture * self._tensor(values)).sum(), grey)
        sums: Float = (gradient[:, 0] / SH_C0).double().cpu().numpy()
        return sums

    def weights(
        self, world_to_camera: npt.ArrayLike, K: npt.ArrayLike, size: npt.ArrayLike
    ) -> Float:
        """How much of one picture each Gaussian (N,) makes: blend weights summed over pixels."""
        found = blend_weights(
            len(self), self.device, lambda grey: self._colour(grey, world_to_camera, K, size)
        )
        weights: Float = found.double().cpu().numpy()
        return weights


def blend_weights(
    count: int, device: torch.device, picture: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Blend weights (opacity times transmittance) of `count` Gaussians, summed over the pixels of a picture.

    `picture` makes the unclipped colours (..., 3) of Gaussians with the harmonics (N, 1, 3) that it is given.
    It is linear in the colour of grey Gaussians, and its derivative by one of them is the sum wanted: one
    backward pass.
    """
    grey = torch.zeros((count, 1, 3), device=device, requires_grad=True)
    (gradient,) = torch.autograd.grad(picture(grey)[..., 0].sum(), grey)
    weights: torch.Tensor = gradient[:, 0, 0] / SH_C0
    return weights
