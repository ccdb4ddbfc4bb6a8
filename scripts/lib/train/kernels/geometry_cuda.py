"""Activations of the raw parameters, and their gradient straight into an Adam step, in Triton.

One kernel before the rasteriser and one after it, where torch would launch some forty: exponentials and
sigmoids with their derivatives, the regularisers, Adam on means, quats, scales and opacities, the noise
of Markov chain Monte Carlo, and the norm of the gradient by each position.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from scripts.lib.train.kernels.adam_cuda import adam_update

BLOCK = 256


@triton.jit
def _kept(seed, row, drop):  # type: ignore[no-untyped-def]
    """Factor on the opacity in this step: 0 with probability `drop`, else 1 / (1 - drop)."""
    return tl.where(tl.rand(seed, row) < drop, 0.0, 1 / (1 - drop))


@triton.jit(do_not_specialize=["count", "seed"])
def _activate(  # type: ignore[no-untyped-def]
    raw_scales, raw_opacities, scales, opacities, count, seed, drop, BLOCK: tl.constexpr
):
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = row < count
    for axis in tl.static_range(3):
        at = 3 * row + axis
        tl.store(scales + at, tl.exp(tl.load(raw_scales + at, mask=inside, other=0.0)), mask=inside)
    opacity = 1 / (1 + tl.exp(-tl.load(raw_opacities + row, mask=inside, other=0.0)))
    # Above 1 the rasteriser would divide by zero.
    opacity = tl.minimum(opacity * _kept(seed, row, drop), 0.9999)
    tl.store(opacities + row, opacity, mask=inside)


def activate(
    raw_scales: Tensor, raw_opacities: Tensor, seed: int, drop: float
) -> tuple[Tensor, Tensor]:
    """Scales (N, 3) = exp of the raw ones and opacities (N,) = sigmoid of the raw ones.

    With `drop` > 0 that share of the Gaussians, drawn by `seed`, is left out, and the others stand in.
    """
    count = len(raw_opacities)
    scales, opacities = torch.empty_like(raw_scales), torch.empty_like(raw_opacities)
    grid = (triton.cdiv(count, BLOCK),)
    _activate[grid](raw_scales, raw_opacities, scales, opacities, count, seed, drop, BLOCK=BLOCK)
    return scales, opacities


@triton.jit
def _over_views(  # type: ignore[no-untyped-def]
    v_opacities, dimmed, row, count, views, inside, DIMMED: tl.constexpr, BLOCK: tl.constexpr
):
    """Gradient by the opacities, summed over the views, whose antialiasing dimmed them."""
    gradient = tl.zeros([BLOCK], tl.float32)
    for view in range(views):
        there = tl.cast(view, tl.int64) * count + row
        part = tl.load(v_opacities + there, mask=inside, other=0.0)
        if DIMMED:
            part *= tl.load(dimmed + there, mask=inside, other=0.0)
        gradient += part
    return gradient


@triton.jit(do_not_specialize=["count", "views", "seed"])
def _geometry(  # type: ignore[no-untyped-def]
    means,
    quats,
    scales,
    opacities,
    means1,
    quats1,
    scales1,
    opacities1,
    means2,
    quats2,
    scales2,
    opacities2,
    v_means,
    v_quats,
    v_scales,
    v_opacities,
    dimmed,
    norms,
    count,
    views,
    seed,
    drop,
    means_rate,
    quats_rate,
    scales_rate,
    opacities_rate,
    opacity_cost,
    scale_cost,
    noise,
    beta1,
    beta2,
    root,
    epsilon,
    DIMMED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = row < count
    # Opacity.
    raw = tl.load(opacities + row, mask=inside, other=0.0)
    opacity = 1 / (1 + tl.exp(-raw))
    gradient = _over_views(v_opacities, dimmed, row, count, views, inside, DIMMED, BLOCK)
    kept = _kept(seed, row, drop)
    gradient = tl.where(opacity * kept < 0.9999, gradient * kept, 0.0)
    gradient = (gradient + opacity_cost) * opacity * (1 - opacity)
    first, second = opacities1 + row, opacities2 + row
    raw = adam_update(
        raw, gradient, first, second, inside, opacities_rate, beta1, beta2, root, epsilon
    )
    tl.store(opacities + row, raw, mask=inside)
    gate = 1 / (1 + tl.exp(100 * (1 / (1 + tl.exp(-raw)) - 0.005)))
    # Scales.
    widest = tl.zeros([BLOCK], tl.float32)
    square0, square1, square2 = widest, widest, widest
    for axis in tl.static_range(3):
        at = 3 * row + axis
        raw = tl.load(scales + at, mask=inside, other=0.0)
        scale = tl.exp(raw)
        widest = tl.maximum(widest, scale)
        gradient = (tl.load(v_scales + at, mask=inside, other=0.0) + scale_cost) * scale
        first, second = scales1 + at, scales2 + at
        raw = adam_update(
            raw, gradient, first, second, inside, scales_rate, beta1, beta2, root, epsilon
        )
        tl.store(scales + at, raw, mask=inside)
        square = tl.exp(2 * raw)
        if axis == 0:
            square0 = square
        elif axis == 1:
            square1 = square
        else:
            square2 = square
    # Rotation.
    w, i, j, h = square0, square0, square0, square0
    for axis in tl.static_range(4):
        at = 4 * row + axis
        q = tl.load(quats + at, mask=inside, other=0.0)
        gradient = tl.load(v_quats + at, mask=inside, other=0.0)
        first, second = quats1 + at, quats2 + at
        q = adam_update(q, gradient, first, second, inside, quats_rate, beta1, beta2, root, epsilon)
        tl.store(quats + at, q, mask=inside)
        if axis == 0:
            w = q
        elif axis == 1:
            i = q
        elif axis == 2:
            j = q
        else:
            h = q
    # Noise: R S^2 of a normal, for faint Gaussians only, as `densify.add_noise`.
    length = tl.sqrt(w * w + i * i + j * j + h * h) + 1e-12
    w, i, j, h = w / length, i / length, j / length, h / length
    amount = gate * noise
    a = tl.randn(seed + 1, 4 * row) * square0 * amount
    b = tl.randn(seed + 1, 4 * row + 1) * square1 * amount
    c = tl.randn(seed + 1, 4 * row + 2) * square2 * amount
    ta, tb, tc = 2 * (j * c - h * b), 2 * (h * a - i * c), 2 * (i * b - j * a)
    a, b, c = (
        a + w * ta + (j * tc - h * tb),
        b + w * tb + (h * ta - i * tc),
        c + w * tc + (i * tb - j * ta),
    )
    # Means.
    total = tl.zeros([BLOCK], tl.float32)
    for axis in tl.static_range(3):
        at = 3 * row + axis
        value = tl.load(means + at, mask=inside, other=0.0)
        gradient = tl.load(v_means + at, mask=inside, other=0.0)
        total += gradient * gradient
        first, second = means1 + at, means2 + at
        value = adam_update(
            value, gradient, first, second, inside, means_rate, beta1, beta2, root, epsilon
        )
        value += a if axis == 0 else (b if axis == 1 else c)
        tl.store(means + at, value, mask=inside)
    tl.store(norms + row, tl.sqrt(total) * widest, mask=inside)


def step_geometry(
    values: tuple[Tensor, ...],
    first: tuple[Tensor, ...],
    second: tuple[Tensor, ...],
    gradients: tuple[Tensor, ...],
    dimmed: Tensor | None,
    rates: tuple[float, ...],
    steps: int,
    *,
    seed: int,
    drop: float,
    opacity_cost: float,
    scale_cost: float,
    noise: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    position_gradients: Tensor | None = None,
) -> Tensor:
    """Step `steps` (from 1) of Adam on raw means, quats, scales and opacities, in place, then the noise.

    values, first, second, gradients, rates: in that order. The gradients are by the means (N, 3), the quats
    (N, 4), the scales (N, 3) after exp, and the opacities (V, N) that went into each view, of which
    `dimmed` (V, N) was a factor (antialiasing). `seed` and `drop` as for `activate`. opacity_cost and
    scale_cost: gradient added for every opacity and every scale. Returns (N,): gradient of the mean times the
    widest scale, in `position_gradients` (N,) where that is given, so that nothing needs memory any more.
    """
    count = len(values[0])
    norms = position_gradients
    if norms is None:
        norms = torch.empty(count, device=values[0].device)
    correction = 1 - beta1**steps
    _geometry[(triton.cdiv(count, BLOCK),)](
        *values,
        *first,
        *second,
        *gradients,
        dimmed if dimmed is not None else norms,
        norms,
        count,
        len(gradients[3]),
        seed,
        drop,
        *(rate / correction for rate in rates),
        opacity_cost,
        scale_cost,
        noise,
        beta1,
        beta2,
        1 / math.sqrt(1 - beta2**steps),
        epsilon,
        DIMMED=dimmed is not None,
        BLOCK=BLOCK,
    )
    return norms
