"""Colours from spherical harmonics, and their gradient straight into an Adam step, on the GPU."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scripts.lib.render.cuda.compile import Source
from scripts.lib.render.cuda.launch import launch
from scripts.lib.train.kernels.geometry_cuda import BLOCK, FOLDER, HEADERS, types_of

DEGREES = range(4)
HARMONICS = Source(
    FOLDER / "harmonics.cu",
    HEADERS,
    (
        *(f"{name}{degree}" for degree in DEGREES for name in ("colours", "step_harmonics")),
        "slopes_of",
    ),
)
GROUP = 64  # as in harmonics.cu


def colours(
    means: Tensor, sh: Tensor, world_to_camera: Tensor, radii: Tensor, degree: int
) -> Tensor:
    """Colours (V, N, 3) of N Gaussians in V views, `max(sh . basis + 0.5, 0)`.

    means (N, 3); sh (N, K, 3), of which (degree + 1)^2 coefficients count; world_to_camera (V, 4, 4);
    radii (V, N, 2) int32: where the first is 0 the colour is of no use and may be anything.
    """
    views, count = radii.shape[:2]
    made = torch.empty((views, count, 3), device=means.device)
    launch(
        HARMONICS, f"colours{degree}", (-(-count // GROUP),), GROUP, means, sh, world_to_camera, radii, made,
        count, views, 3 * sh.shape[1], macros=types_of(sh),
    )  # fmt: skip
    return made


def slopes_of(radii: Tensor, made: Tensor, v_colours: Tensor, slopes: Tensor, sh: Tensor) -> None:
    """Leave in `slopes` what `v_colours`, the gradient by `made` = colours(..., sh, ...), says of `sh`.

    All but that (V, N, 3): 0 where a view shows nothing of a Gaussian, and where its colour was held at 0.
    """
    total = made.shape[0] * made.shape[1]
    launch(
        HARMONICS, "slopes_of", (-(-total // BLOCK),), BLOCK, radii, made, v_colours, slopes, total,
        macros=types_of(sh),
    )  # fmt: skip


def step_harmonics(
    means: Tensor,
    sh: Tensor,
    moments: tuple[Tensor, Tensor],
    world_to_camera: Tensor,
    slopes: Tensor,
    v_means: Tensor,
    degree: int,
    rate: float,
    rest_share: float,
    steps: int,
    *,
    seed: int,
    beta1: float,
    beta2: float,
    epsilon: float,
    ledger: Tensor | None = None,
) -> None:
    """Step `steps` (from 1) of Adam on `sh` (N, K, 3) in place, from `slopes` (V, N, 3), see `slopes_of`.

    What they mean for the means through the viewing direction is added to v_means (N, 3). `rate` for the
    constant band, `rest_share` of it for the others. Bands above `degree` stay as they are, moments too.
    Gaussians that no view sees have no gradient, but their moments fade and move them on, as Adam's do.
    Harmonics in float16 and moments in bfloat16 are rounded at random, by `seed`. Nothing changes where the
    `ledger` of a `rasterise.cuda.room.Room` says that this step is lost.
    """
    views, count = slopes.shape[:2]
    corrected = rate / (1 - beta1**steps)
    launch(
        HARMONICS, f"step_harmonics{degree}", (-(-count // GROUP),), GROUP, means, sh, *moments,
        world_to_camera, slopes, v_means, count, views, 3 * sh.shape[1], seed, corrected,
        corrected * rest_share, beta1, beta2, 1 / math.sqrt(1 - beta2**steps), epsilon, ledger,
        macros=types_of(sh),
    )  # fmt: skip
