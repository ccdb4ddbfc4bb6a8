"""Splatting Gaussians into images: one call, on our kernels for GPUs or for the CPU, or on gsplat's."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

# OpenMP reads this once, when torch loads it: waiting threads shall sleep, not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch  # noqa: E402

from scripts.lib.render.rasterise.constants import FAR, NEAR  # noqa: E402
from scripts.lib.render.rasterise.passes import Rasteriser  # noqa: E402

if TYPE_CHECKING:
    from scripts.lib.render.rasterise.cuda.room import Room

BACKENDS = ("cpu", "cuda", "gsplat", "reference")


def rasterise(
    means: torch.Tensor,
    quats: torch.Tensor,
    scales: torch.Tensor,
    opacities: torch.Tensor,
    sh: torch.Tensor,
    world_to_camera: torch.Tensor,
    K: torch.Tensor,
    size: tuple[int, int],
    *,
    background: torch.Tensor | None = None,
    near: float = NEAR,
    far: float = FAR,
    antialiased: bool = False,
    backend: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Render N Gaussians into C cameras: colour (C, H, W, 3) and alpha (C, H, W, 1), float32.

    means (N, 3) world units; quats (N, 4) wxyz, any length; scales (N, 3) standard deviations;
    opacities (N,) in 0..1; sh (N, 1 | 4 | 9 | 16, 3), colour = max(sh . basis + 0.5, 0) seen from the
    camera's centre; world_to_camera (C, 4, 4) OpenCV; K (C, 3, 3) pixels; size (width, height).

    The colour is premultiplied by alpha; with `background` (3,) or (C, 3), `background * (1 - alpha)`
    is added. Gaussians nearer than `near` or beyond `far` are left out. `antialiased` dims each
    footprint by what the 0.3 pixel blur added (Mip-Splatting). Differentiable in the first five
    arguments, not in the cameras. `backend`: 'cuda', 'cpu', 'gsplat', 'reference' (slow, for tests); None
    takes 'cuda' for CUDA tensors and 'cpu' otherwise. They agree within float32 rounding.

    Raises ValueError on shapes that don't fit and UserError when gsplat is asked for and has no kernels.
    """
    background = _check(
        means, quats, scales, opacities, sh, world_to_camera, K, size, background, backend
    )
    chosen = backend or ("cuda" if means.is_cuda else "cpu")
    if chosen in ("cuda", "gsplat"):
        from scripts.lib.render.rasterise.autograd import render as render_views
        from scripts.lib.render.rasterise.passes import Cameras, Shapes

        shapes = Shapes(means, quats, scales, opacities)
        cameras = Cameras(world_to_camera.contiguous(), K.contiguous(), size, near, far)
        colour, alpha = render_views(on_gpu(chosen), shapes, sh, cameras, antialiased)
        return _over(background, colour, alpha), alpha
    if chosen == "reference":
        from scripts.lib.render.rasterise.reference import render
    else:
        from scripts.lib.render.rasterise.cpu import render
    views = [
        render(
            means,
            quats,
            scales,
            opacities,
            sh,
            world_to_camera[view],
            K[view],
            size,
            near=near,
            far=far,
            antialiased=antialiased,
        )
        for view in range(len(world_to_camera))
    ]
    colour = torch.stack([view[0] for view in views])
    alpha = torch.stack([view[1] for view in views])
    return _over(background, colour, alpha), alpha


def on_gpu(name: str, room: Room | None = None) -> Rasteriser:
    """The rasteriser for GPUs called 'cuda' (ours) or 'gsplat'; `room` is for the lists of ours."""
    if name == "gsplat":
        from scripts.lib.render.rasterise.gsplat import GsplatPass

        return GsplatPass
    from scripts.lib.render.rasterise.cuda import CudaPass

    return partial(CudaPass, room=room)


def _over(
    background: torch.Tensor | None, colour: torch.Tensor, alpha: torch.Tensor
) -> torch.Tensor:
    """Premultiplied colours over a background (C, 3)."""
    if background is None:
        return colour
    return colour + background[:, None, None, :].to(colour) * (1 - alpha)


def _check(
    means: torch.Tensor,
    quats: torch.Tensor,
    scales: torch.Tensor,
    opacities: torch.Tensor,
    sh: torch.Tensor,
    world_to_camera: torch.Tensor,
    K: torch.Tensor,
    size: tuple[int, int],
    background: torch.Tensor | None,
    backend: str | None,
) -> torch.Tensor | None:
    """Raise ValueError unless the shapes fit; return the background as (C, 3)."""
    count, views = len(means), len(world_to_camera)
    bands = sh.shape[1] if sh.ndim == 3 else 0
    expected = {
        "means": (means, (count, 3)),
        "quats": (quats, (count, 4)),
        "scales": (scales, (count, 3)),
        "opacities": (opacities, (count,)),
        "sh": (sh, (count, bands, 3)),
        "world_to_camera": (world_to_camera, (views, 4, 4)),
        "K": (K, (views, 3, 3)),
    }
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
    if bands not in (1, 4, 9, 16):
        raise ValueError(f"sh has {bands} coefficients a channel, expected 1, 4, 9 or 16")
    if min(size) < 1 or views < 1:
        raise ValueError(f"nothing to render: {views} cameras of {size[0]} x {size[1]} pixels")
    if backend not in (None, *BACKENDS):
        raise ValueError(f"unknown backend {backend!r}, expected one of {', '.join(BACKENDS)}")
    if background is None:
        return None
    if tuple(background.shape) not in ((3,), (views, 3)):
        raise ValueError(f"background has shape {tuple(background.shape)}, expected (3,) or (C, 3)")
    return background.expand(views, 3)
