"""Colours from spherical harmonics, and their gradient straight into an Adam step, in Triton.

The real basis of degree 3 in the order and with the signs of 3D Gaussian splatting's PLY files; the
gradient by the direction is taken of the polynomials and made tangential to the sphere.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from scripts.lib.train.kernels.adam_cuda import adam_update

BLOCK = 32


@triton.jit
def _direction(means, world_to_camera, row, inside):  # type: ignore[no-untyped-def]
    """Unit vector (x, y, z) from the camera's centre to the means, and their distance."""
    x = tl.load(means + 3 * row, mask=inside, other=0.0)
    y = tl.load(means + 3 * row + 1, mask=inside, other=0.0)
    z = tl.load(means + 3 * row + 2, mask=inside, other=0.0)
    for axis in tl.static_range(3):  # the centre is -R^T t
        line = world_to_camera + 4 * axis
        shift = tl.load(line + 3)
        x += tl.load(line) * shift
        y += tl.load(line + 1) * shift
        z += tl.load(line + 2) * shift
    length = tl.sqrt(x * x + y * y + z * z) + 1e-20
    return x / length, y / length, z / length, length


@triton.jit
def _basis(k, x, y, z, DEGREE: tl.constexpr):  # type: ignore[no-untyped-def]
    """The basis (BLOCK, K) at unit vectors given as columns (BLOCK, 1); `k` (1, K) numbers it."""
    b = tl.where(k == 0, 0.28209479177387814, 0.0 * x)
    if DEGREE >= 1:
        b = tl.where(k == 1, -0.4886025119029199 * y, b)
        b = tl.where(k == 2, 0.4886025119029199 * z, b)
        b = tl.where(k == 3, -0.4886025119029199 * x, b)
    if DEGREE >= 2:
        b = tl.where(k == 4, 1.0925484305920792 * x * y, b)
        b = tl.where(k == 5, -1.0925484305920792 * y * z, b)
        b = tl.where(k == 6, 0.9461746957575601 * z * z - 0.31539156525252005, b)
        b = tl.where(k == 7, -1.0925484305920792 * x * z, b)
        b = tl.where(k == 8, 0.5462742152960396 * (x * x - y * y), b)
    if DEGREE >= 3:
        tail = 0.4570457994644658 - 2.285228997322329 * z * z
        b = tl.where(k == 9, -0.5900435899266435 * y * (3 * x * x - y * y), b)
        b = tl.where(k == 10, 2.890611442640554 * x * y * z, b)
        b = tl.where(k == 11, y * tail, b)
        b = tl.where(k == 12, z * (1.865881662950577 * z * z - 1.119528997770346), b)
        b = tl.where(k == 13, x * tail, b)
        b = tl.where(k == 14, 1.445305721320277 * z * (x * x - y * y), b)
        b = tl.where(k == 15, -0.5900435899266435 * x * (x * x - 3 * y * y), b)
    return b


@triton.jit
def _basis_gradient(k, x, y, z, DEGREE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Derivatives (BLOCK, K) of `_basis` by x, y and z."""
    zero = 0.0 * x + 0.0 * k
    bx, by, bz = zero, zero, zero
    if DEGREE >= 1:
        by = tl.where(k == 1, -0.4886025119029199, by)
        bz = tl.where(k == 2, 0.4886025119029199, bz)
        bx = tl.where(k == 3, -0.4886025119029199, bx)
    if DEGREE >= 2:
        bx = tl.where(k == 4, 1.0925484305920792 * y, bx)
        by = tl.where(k == 4, 1.0925484305920792 * x, by)
        by = tl.where(k == 5, -1.0925484305920792 * z, by)
        bz = tl.where(k == 5, -1.0925484305920792 * y, bz)
        bz = tl.where(k == 6, 1.8923493915151202 * z, bz)
        bx = tl.where(k == 7, -1.0925484305920792 * z, bx)
        bz = tl.where(k == 7, -1.0925484305920792 * x, bz)
        bx = tl.where(k == 8, 1.0925484305920792 * x, bx)
        by = tl.where(k == 8, -1.0925484305920792 * y, by)
    if DEGREE >= 3:
        tail = 0.4570457994644658 - 2.285228997322329 * z * z
        bx = tl.where(k == 9, -3.540261539559861 * x * y, bx)
        by = tl.where(k == 9, -1.7701307697799304 * (x * x - y * y), by)
        bx = tl.where(k == 10, 2.890611442640554 * y * z, bx)
        by = tl.where(k == 10, 2.890611442640554 * x * z, by)
        bz = tl.where(k == 10, 2.890611442640554 * x * y, bz)
        by = tl.where(k == 11, tail, by)
        bz = tl.where(k == 11, -4.570457994644658 * y * z, bz)
        bz = tl.where(k == 12, 5.597644988851731 * z * z - 1.119528997770346, bz)
        bx = tl.where(k == 13, tail, bx)
        bz = tl.where(k == 13, -4.570457994644658 * x * z, bz)
        bx = tl.where(k == 14, 2.890611442640554 * x * z, bx)
        by = tl.where(k == 14, -2.890611442640554 * y * z, by)
        bz = tl.where(k == 14, 1.445305721320277 * (x * x - y * y), bz)
        bx = tl.where(k == 15, -1.7701307697799304 * (x * x - y * y), bx)
        by = tl.where(k == 15, 3.540261539559861 * x * y, by)
    return bx, by, bz


@triton.jit(do_not_specialize=["count"])
def _colours(  # type: ignore[no-untyped-def]
    means,
    sh,
    world_to_camera,
    radii,
    colours,
    count,
    STRIDE: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEGREE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    view = tl.program_id(1)
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = row < count
    there = view.to(tl.int64) * count + row
    seen = inside & (tl.load(radii + 2 * there, mask=inside, other=0) > 0)
    x, y, z, _ = _direction(means, world_to_camera + 16 * view, row, seen)
    k = tl.arange(0, COLUMNS)[None, :]
    basis = _basis(k, x[:, None], y[:, None], z[:, None], DEGREE)
    at = sh + row.to(tl.int64)[:, None] * (3 * STRIDE) + 3 * k
    use = seen[:, None] & (k < (DEGREE + 1) * (DEGREE + 1))
    for channel in tl.static_range(3):
        value = tl.sum(basis * tl.load(at + channel, mask=use, other=0.0), axis=1) + 0.5
        tl.store(colours + 3 * there + channel, tl.maximum(value, 0.0), mask=inside)


def colours(
    means: Tensor, sh: Tensor, world_to_camera: Tensor, radii: Tensor, degree: int
) -> Tensor:
    """Colours (V, N, 3) of N Gaussians in V views, `max(sh . basis + 0.5, 0)`.

    means (N, 3); sh (N, K, 3), of which (degree + 1)^2 coefficients count; world_to_camera (V, 4, 4);
    radii (V, N, 2) int32: where the first is 0 the colour is of no use and may be anything.
    """
    views, count = radii.shape[:2]
    made = torch.empty((views, count, 3), device=means.device)
    _colours[(triton.cdiv(count, BLOCK), views)](
        means,
        sh,
        world_to_camera,
        radii,
        made,
        count,
        STRIDE=sh.shape[1],
        COLUMNS=_columns(degree),
        DEGREE=degree,
        BLOCK=BLOCK,
    )
    return made


def _columns(degree: int) -> int:
    """The power of two that Triton wants for (degree + 1)^2 columns."""
    return {0: 1, 1: 4, 2: 16, 3: 16}[degree]


@triton.jit(do_not_specialize=["count", "views"])
def _harmonics(  # type: ignore[no-untyped-def]
    means,
    sh,
    first,
    second,
    world_to_camera,
    radii,
    colours,
    v_colours,
    v_means,
    count,
    views,
    rate,
    rest_rate,
    beta1,
    beta2,
    root,
    epsilon,
    STRIDE: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEGREE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = row < count
    # A row's numbers lie side by side, coefficient after coefficient, each red, green, blue.
    column = tl.arange(0, COLUMNS)[None, :]
    k, channel = column // 3, column % 3
    use = inside[:, None] & (k < (DEGREE + 1) * (DEGREE + 1))
    at = row.to(tl.int64)[:, None] * (3 * STRIDE) + column
    value = tl.load(sh + at, mask=use, other=0.0)
    gradient = 0.0 * value
    v_x = tl.zeros([BLOCK], tl.float32)
    v_y, v_z = v_x, v_x
    for view in range(views):
        there = tl.cast(view, tl.int64) * count + row
        seen = inside & (tl.load(radii + 2 * there, mask=inside, other=0) > 0)
        x, y, z, length = _direction(means, world_to_camera + 16 * view, row, seen)
        r = tl.load(v_colours + 3 * there, mask=seen, other=0.0)
        g = tl.load(v_colours + 3 * there + 1, mask=seen, other=0.0)
        b = tl.load(v_colours + 3 * there + 2, mask=seen, other=0.0)
        # A colour that was clamped at 0 has no gradient.
        r = tl.where(tl.load(colours + 3 * there, mask=seen, other=0.0) > 0, r, 0.0)[:, None]
        g = tl.where(tl.load(colours + 3 * there + 1, mask=seen, other=0.0) > 0, g, 0.0)[:, None]
        b = tl.where(tl.load(colours + 3 * there + 2, mask=seen, other=0.0) > 0, b, 0.0)[:, None]
        v_colour = tl.where(channel == 0, r, tl.where(channel == 1, g, b))
        gradient += _basis(k, x[:, None], y[:, None], z[:, None], DEGREE) * v_colour
        if DEGREE >= 1:
            bx, by, bz = _basis_gradient(k, x[:, None], y[:, None], z[:, None], DEGREE)
            ux = tl.sum(bx * value * v_colour, axis=1)
            uy = tl.sum(by * value * v_colour, axis=1)
            uz = tl.sum(bz * value * v_colour, axis=1)
            along = ux * x + uy * y + uz * z
            v_x += tl.where(seen, (ux - along * x) / length, 0.0)
            v_y += tl.where(seen, (uy - along * y) / length, 0.0)
            v_z += tl.where(seen, (uz - along * z) / length, 0.0)
    if DEGREE >= 1:
        to = v_means + 3 * row
        tl.store(to, tl.load(to, mask=inside, other=0.0) + v_x, mask=inside)
        tl.store(to + 1, tl.load(to + 1, mask=inside, other=0.0) + v_y, mask=inside)
        tl.store(to + 2, tl.load(to + 2, mask=inside, other=0.0) + v_z, mask=inside)
    rates = tl.where(k == 0, rate, rest_rate)
    value = adam_update(
        value, gradient, first + at, second + at, use, rates, beta1, beta2, root, epsilon
    )
    tl.store(sh + at, value, mask=use)


def step_harmonics(
    means: Tensor,
    sh: Tensor,
    moments: tuple[Tensor, Tensor],
    world_to_camera: Tensor,
    radii: Tensor,
    made: Tensor,
    v_colours: Tensor,
    v_means: Tensor,
    degree: int,
    rate: float,
    rest_share: float,
    steps: int,
    *,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> None:
    """Step `steps` (from 1) of Adam on `sh` (N, K, 3) in place, from the gradient of `made` = colours(...).

    v_colours (V, N, 3): gradient by the colours; what it means for the means through the viewing
    direction is added to v_means (N, 3). `rate` for the constant band, `rest_share` of it for the others.
    """
    views, count = radii.shape[:2]
    corrected = rate / (1 - beta1**steps)
    _harmonics[(triton.cdiv(count, BLOCK),)](
        means,
        sh,
        *moments,
        world_to_camera,
        radii,
        made,
        v_colours,
        v_means,
        count,
        views,
        corrected,
        corrected * rest_share,
        beta1,
        beta2,
        1 / math.sqrt(1 - beta2**steps),
        epsilon,
        STRIDE=sh.shape[1],
        COLUMNS=4 * _columns(degree),
        DEGREE=degree,
        BLOCK=BLOCK,
    )
