"""What a rasteriser for GPUs is asked for: views of Gaussians drawn, and followed back, without autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Shapes:
    """N Gaussians without their colours, contiguous float32: means (N, 3), quats (N, 4) wxyz of any length,
    scales (N, 3) and opacities (N,) as they are drawn."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor


@dataclass(frozen=True)
class Cameras:
    """V views of width x height pixels: world_to_camera (V, 4, 4) OpenCV, K (V, 3, 3) pixels, contiguous
    float32, and the depths between which they see."""

    world_to_camera: Tensor
    K: Tensor
    size: tuple[int, int]
    near: float
    far: float


@dataclass(frozen=True)
class Gradients:
    """By means (N, 3), quats (N, 4), scales (N, 3) and opacities (N,), summed over the views; by colours
    (V, N, 3); and by world_to_camera (V, 4, 4) where asked for."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colours: Tensor
    cameras: Tensor | None


class Pass(Protocol):
    """Some views on their way through a rasteriser."""

    @property
    def seen(self) -> Tensor:
        """(V, N, 2) int32; where the first is 0, a view shows nothing of a Gaussian."""

    def draw(self, colours: Tensor) -> Tensor:
        """Images (V, H, W, 3), premultiplied, of Gaussians of colours (V, N, 3)."""

    def alpha(self) -> Tensor:
        """How much of each pixel Gaussians cover (V, H, W), after `draw`."""

    def backward(self, v_image: Tensor, v_alpha: Tensor | None, *, poses: bool) -> Gradients:
        """Gradients from those by the images and by their alpha, once, after `draw`."""


# Begins a pass with Gaussians, cameras, and whether footprints are dimmed by what their blur added.
Rasteriser = Callable[[Shapes, Cameras, bool], Pass]
