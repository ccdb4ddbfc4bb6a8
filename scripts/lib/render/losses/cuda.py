"""The photo loss and its gradient on the GPU, in Triton.

Four passes over memory instead of some fifty torch kernels: the window's horizontal half over five
products, its vertical half with SSIM's derivatives, and the adjoint of both.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from scripts.lib.render.losses.reference import C1, C2, SIGMA, WINDOW

BLOCK = 512
REACH = WINDOW - 1


@triton.jit
def _inputs(render, photo, mask, at, inside, MASKED: tl.constexpr):  # type: ignore[no-untyped-def]
    """Render and photo of one channel at `at` (flat, interleaved), the render where the mask counts."""
    y = tl.load(photo + at, mask=inside, other=0).to(tl.float32) * (1.0 / 255.0)
    x = tl.load(render + at, mask=inside, other=0.0)
    if MASKED:
        x = y + (x - y) * tl.load(mask + at // 3, mask=inside, other=0.0)
    return x, y


@triton.jit
def _across(  # type: ignore[no-untyped-def]
    render,
    photo,
    mask,
    taps,
    maps,
    height,
    width,
    MASKED: tl.constexpr,
    TAPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    channel, area = tl.program_id(1), height * width
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = (place < area) & (place % width < width - (TAPS - 1))
    mx, my = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    xx, yy = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    xy = tl.zeros([BLOCK], tl.float32)
    for k in tl.static_range(TAPS):
        x, y = _inputs(render, photo, mask, (place + k) * 3 + channel, inside, MASKED)
        tap = tl.load(taps + k)
        mx += tap * x
        my += tap * y
        xx += tap * x * x
        yy += tap * y * y
        xy += tap * x * y
    out = maps + channel * 5 * area + place
    tl.store(out, mx, mask=inside)
    tl.store(out + area, my, mask=inside)
    tl.store(out + 2 * area, xx, mask=inside)
    tl.store(out + 3 * area, yy, mask=inside)
    tl.store(out + 4 * area, xy, mask=inside)


@triton.jit
def _down(  # type: ignore[no-untyped-def]
    taps, maps, by_window, sums, height, width, c1, c2, TAPS: tl.constexpr, BLOCK: tl.constexpr
):
    channel, area = tl.program_id(1), height * width
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = (place < area - (TAPS - 1) * width) & (place % width < width - (TAPS - 1))
    mx, my = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    xx, yy = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    xy = tl.zeros([BLOCK], tl.float32)
    source = maps + channel * 5 * area + place
    for k in tl.static_range(TAPS):
        tap, row = tl.load(taps + k), source + k * width
        mx += tap * tl.load(row, mask=inside, other=0.0)
        my += tap * tl.load(row + area, mask=inside, other=0.0)
        xx += tap * tl.load(row + 2 * area, mask=inside, other=0.0)
        yy += tap * tl.load(row + 3 * area, mask=inside, other=0.0)
        xy += tap * tl.load(row + 4 * area, mask=inside, other=0.0)
    a1, a2 = 2 * mx * my + c1, 2 * (xy - mx * my) + c2
    b1, b2 = mx * mx + my * my + c1, xx - mx * mx + yy - my * my + c2
    both = 1 / (b1 * b2)
    value = a1 * a2 * both
    by_mean = 2 * my * (a2 - a1) * both + 2 * mx * value * (1 / b2 - 1 / b1)
    out = by_window + channel * 3 * area + place
    tl.store(out, by_mean, mask=inside)
    tl.store(out + area, -value / b2, mask=inside)
    tl.store(out + 2 * area, 2 * a1 * both, mask=inside)
    alike = tl.sum(tl.where(inside, value, 0.0), axis=0)
    tl.store(sums + channel * tl.num_programs(0) + tl.program_id(0), alike)


@triton.jit
def _up(  # type: ignore[no-untyped-def]
    taps, by_window, gathered, height, width, TAPS: tl.constexpr, BLOCK: tl.constexpr
):
    plane, area = tl.program_id(1), height * width
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    row, column = place // width, place % width
    inside = (place < area) & (column < width - (TAPS - 1))
    total = tl.zeros([BLOCK], tl.float32)
    for k in tl.static_range(TAPS):
        there = inside & (row >= k) & (row - k < height - (TAPS - 1))
        value = tl.load(by_window + plane * area + place - k * width, mask=there, other=0.0)
        total += tl.load(taps + k) * value
    tl.store(gathered + plane * area + place, total, mask=inside)


@triton.jit
def _back(  # type: ignore[no-untyped-def]
    render,
    photo,
    mask,
    taps,
    gathered,
    gradient,
    sums,
    height,
    width,
    l1_share,
    ssim_share,
    MASKED: tl.constexpr,
    TAPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    channel, area = tl.program_id(1), height * width
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < area
    column = place % width
    at = place * 3 + channel
    one, two = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    three = tl.zeros([BLOCK], tl.float32)
    source = gathered + channel * 3 * area + place
    for k in tl.static_range(TAPS):
        there = inside & (column >= k) & (column - k < width - (TAPS - 1))
        tap = tl.load(taps + k)
        one += tap * tl.load(source - k, mask=there, other=0.0)
        two += tap * tl.load(source + area - k, mask=there, other=0.0)
        three += tap * tl.load(source + 2 * area - k, mask=there, other=0.0)
    x, y = _inputs(render, photo, mask, at, inside, MASKED)
    value = (one + 2 * x * two + y * three) * ssim_share
    value += tl.where(x > y, l1_share, tl.where(x < y, -l1_share, 0.0))
    if MASKED:
        value *= tl.load(mask + place, mask=inside, other=0.0)
    tl.store(gradient + at, value, mask=inside)
    away = tl.sum(tl.where(inside, tl.abs(x - y), 0.0), axis=0)
    tl.store(sums + channel * tl.num_programs(0) + tl.program_id(0), away)


_TAPS: dict[torch.device, torch.Tensor] = {}


def _taps(device: torch.device) -> torch.Tensor:
    if device not in _TAPS:
        offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
        bell = torch.exp(-(offsets**2) / (2 * SIGMA**2))
        _TAPS[device] = (bell / bell.sum()).float().to(device)
    return _TAPS[device]


def loss_and_gradient(
    render: torch.Tensor, photo: torch.Tensor, ssim_weight: float, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of `reference.photo_loss`, a scalar tensor, and its gradient (H, W, 3) by `render`.

    render (H, W, 3) float32, photo (H, W, 3) uint8, mask (H, W) float32 in 0..1. Nothing waits for the GPU.
    """
    height, width = render.shape[:2]
    area, device = height * width, render.device
    blocks, masked = triton.cdiv(area, BLOCK), mask is not None
    maps = torch.empty(15 * area, device=device)
    by_window = torch.empty(9 * area, device=device)
    gradient = torch.empty_like(render)
    sums = torch.empty((2, 3 * blocks), device=device)
    taps = _taps(device)
    cover = mask if mask is not None else taps
    seen = mask.mean().clamp_min(1e-6) if mask is not None else 1.0
    sizes = {"TAPS": WINDOW, "BLOCK": BLOCK}
    windows = 3 * (height - REACH) * (width - REACH)
    _across[(blocks, 3)](render, photo, cover, taps, maps, height, width, MASKED=masked, **sizes)
    _down[(blocks, 3)](taps, maps, by_window, sums[0], height, width, C1, C2, **sizes)
    _up[(blocks, 9)](taps, by_window, maps, height, width, **sizes)  # the maps are free again
    _back[(blocks, 3)](
        render,
        photo,
        cover,
        taps,
        maps,
        gradient,
        sums[1],
        height,
        width,
        (1 - ssim_weight) / (3 * area),
        -ssim_weight / windows,
        MASKED=masked,
        **sizes,
    )
    alike, away = sums.sum(dim=1)
    loss = (1 - ssim_weight) * away / (3 * area) + ssim_weight * (1 - alike / windows)
    return loss / seen, gradient / seen if masked else gradient
