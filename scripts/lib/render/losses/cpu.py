"""The photo loss and its gradient for the CPU, in numba.

torch's convolutions take ten times the time of the rasteriser for SSIM's window. Here the window is
separable, its passes go row by row, and the gradient is written out: the adjoint of the same passes.
"""

from __future__ import annotations

import numba
import numpy as np
import torch

from scripts.lib.core.jit import LOCK, compiled, inlined, parallel, take_next, threads
from scripts.lib.core.lanes import WIDTH, load, magnitude, select, spread, store, total
from scripts.lib.render.losses.reference import C1, C2, SIGMA, WINDOW

f32 = np.float32
_OFFSETS = np.arange(WINDOW) - WINDOW // 2
_BELL = np.exp(-(_OFFSETS**2) / (2 * SIGMA**2))
TAPS = tuple(f32(v) for v in _BELL / _BELL.sum())
REACH = WINDOW - 1
CHUNK = 8  # rows a thread takes at a time
EDGE = 16  # spare columns, so that a tap never reads into the next row
X, Y = 0, 1  # planes of the input; in the filtered maps: means of x, y, xx, yy, xy
MAPS = 5


def _stride(width: int) -> int:
    return -(-width // WIDTH) * WIDTH + EDGE


@compiled
def _filter_rows(counter, render, photo, mask, stride, planes, maps, sums):  # type: ignore[no-untyped-def]
    """Rows into planes, their L1 distance, and the window's horizontal pass over five products."""
    height, width = render.shape[0], render.shape[1]
    masked = mask.shape[0] > 0
    while True:
        begin = take_next(counter, CHUNK)
        if begin >= height:
            break
        for row in range(begin, min(begin + CHUNK, height)):
            away = f32(0)
            for channel in range(3):
                x, y = planes[X, channel], planes[Y, channel]
                at = row * stride
                for column in range(width):
                    wanted = f32(photo[row, column, channel]) * f32(1 / 255)
                    value = render[row, column, channel]
                    if masked:
                        value = wanted + (value - wanted) * mask[row, column]
                    x[at + column], y[at + column] = value, wanted
                    away += abs(value - wanted)
                for column in range(width, stride):
                    x[at + column], y[at + column] = f32(0), f32(0)
                for column in range(0, stride - EDGE, WIDTH):
                    place = at + column
                    one, two = spread(f32(0)), spread(f32(0))
                    xx, yy, xy = spread(f32(0)), spread(f32(0)), spread(f32(0))
                    for k in range(WINDOW):
                        a, b = load(x, place + k), load(y, place + k)
                        wa, wb = a * TAPS[k], b * TAPS[k]
                        one += wa
                        two += wb
                        xx += wa * a
                        yy += wb * b
                        xy += wa * b
                    store(maps[0, channel], place, one)
                    store(maps[1, channel], place, two)
                    store(maps[2, channel], place, xx)
                    store(maps[3, channel], place, yy)
                    store(maps[4, channel], place, xy)
            sums[row, 0] = away


@compiled
def _compare_rows(counter, height, stride, valid, maps, by_window, sums):  # type: ignore[no-untyped-def]
    """The vertical pass, SSIM of every window, and what it owes to the means of x, xx and xy."""
    while True:
        begin = take_next(counter, CHUNK)
        if begin >= height - REACH:
            break
        for row in range(begin, min(begin + CHUNK, height - REACH)):
            alike = f32(0)
            for channel in range(3):
                m0, m1, m2 = maps[0, channel], maps[1, channel], maps[2, channel]
                m3, m4 = maps[3, channel], maps[4, channel]
                for column in range(0, stride - EDGE, WIDTH):
                    place = row * stride + column
                    mx, my = spread(f32(0)), spread(f32(0))
                    xx, yy, xy = spread(f32(0)), spread(f32(0)), spread(f32(0))
                    for k in range(WINDOW):
                        below = place + k * stride
                        mx += load(m0, below) * TAPS[k]
                        my += load(m1, below) * TAPS[k]
                        xx += load(m2, below) * TAPS[k]
                        yy += load(m3, below) * TAPS[k]
                        xy += load(m4, below) * TAPS[k]
                    a1 = f32(2) * mx * my + f32(C1)
                    a2 = f32(2) * (xy - mx * my) + f32(C2)
                    b1 = mx * mx + my * my + f32(C1)
                    b2 = xx - mx * mx + yy - my * my + f32(C2)
                    over1, over2 = f32(1) / b1, f32(1) / b2
                    both = over1 * over2
                    inside = load(valid, column)
                    value = a1 * a2 * both * inside
                    alike += total(value)
                    by_mean = f32(2) * my * (a2 - a1) * both * inside
                    by_mean += f32(2) * mx * value * (over2 - over1)
                    store(by_window[0, channel], place, by_mean)
                    store(by_window[1, channel], place, f32(0) - value * over2)
                    store(by_window[2, channel], place, f32(2) * a1 * both * inside)
            sums[row, 1] = alike


@inlined
def _gather_down(source, row, first, last, stride, line):  # type: ignore[no-untyped-def]
    """Fill `line` with what the windows of rows `row - last` to `row - first` give to this row."""
    for column in range(0, stride - EDGE, WIDTH):
        value = spread(f32(0))
        for k in range(first, last + 1):
            value += load(source, (row - k) * stride + column) * TAPS[k]
        store(line, REACH + column, value)


@inlined
def _gather_across(lines, x, y, row, stride, l1_share, ssim_share, mixed):  # type: ignore[no-untyped-def]
    """Fill `mixed` with the gradient by each pixel of the row, before its mask."""
    for column in range(0, stride - EDGE, WIDTH):
        one, two, three = spread(f32(0)), spread(f32(0)), spread(f32(0))
        for k in range(WINDOW):
            one += load(lines[0], REACH + column - k) * TAPS[k]
            two += load(lines[1], REACH + column - k) * TAPS[k]
            three += load(lines[2], REACH + column - k) * TAPS[k]
        a, b = load(x, row * stride + column), load(y, row * stride + column)
        value = (one + f32(2) * a * two + b * three) * ssim_share
        step = a - b
        sign = select(step > 0, spread(l1_share), spread(f32(0) - l1_share))
        sign = select(magnitude(step) > 0, sign, f32(0))
        store(mixed, column, value + sign)


@compiled
def _gather_rows(  # type: ignore[no-untyped-def]
    counter, shape, stride, planes, by_window, mask, l1_share, ssim_share, gradient
):
    """The adjoint: every pixel collects from the windows it lies in, and from its own L1 term."""
    height, width = shape
    masked = mask.shape[0] > 0
    lines = np.zeros((3, stride + REACH), np.float32)
    mixed = np.empty(stride, np.float32)
    while True:
        begin = take_next(counter, CHUNK)
        if begin >= height:
            break
        for row in range(begin, min(begin + CHUNK, height)):
            first, last = max(0, row - (height - 1 - REACH)), min(REACH, row)
            for channel in range(3):
                for part in range(3):
                    _gather_down(by_window[part, channel], row, first, last, stride, lines[part])
                x, y = planes[X, channel], planes[Y, channel]
                _gather_across(lines, x, y, row, stride, l1_share, ssim_share, mixed)
                for column in range(width):
                    value = mixed[column]
                    if masked:
                        value *= mask[row, column]
                    gradient[row, column, channel] = value


@parallel
def _forward(workers, render, photo, mask, stride, valid, planes, maps, by_window, sums):  # type: ignore[no-untyped-def]
    counter = np.zeros(2, np.int64)
    for _ in numba.prange(workers):
        _filter_rows(counter[:1], render, photo, mask, stride, planes, maps, sums)
    if by_window.shape[0]:
        for _ in numba.prange(workers):
            _compare_rows(counter[1:], render.shape[0], stride, valid, maps, by_window, sums)


@parallel
def _backward(workers, shape, stride, planes, by_window, mask, l1_share, ssim_share, gradient):  # type: ignore[no-untyped-def]
    counter = np.zeros(1, np.int64)
    for _ in numba.prange(workers):
        _gather_rows(
            counter, shape, stride, planes, by_window, mask, l1_share, ssim_share, gradient
        )


def loss_and_gradient(
    render: torch.Tensor, photo: torch.Tensor, ssim_weight: float, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of `reference.photo_loss`, a scalar tensor, and its gradient (H, W, 3) by `render`.

    render (H, W, 3) float32, photo (H, W, 3) uint8, mask (H, W) float32 in 0..1, all contiguous. Equal for
    any number of threads.
    """
    height, width = render.shape[:2]
    stride = _stride(width)
    size = height * stride + EDGE
    planes, maps = np.zeros((2, 3, size), np.float32), np.empty((MAPS, 3, size), np.float32)
    by_window = np.empty((3, 3, size), np.float32)
    valid = np.zeros(stride, np.float32)
    valid[: max(0, width - REACH)] = 1
    sums = np.zeros((height, 2), np.float32)
    pixels, wanted = render.numpy(), photo.numpy()
    cover = np.zeros((0, 0), np.float32) if mask is None else mask.numpy()
    gradient = np.empty_like(pixels)
    seen = 1.0 if mask is None else max(float(cover.mean()), 1e-6)
    windows = 3 * (height - REACH) * (width - REACH)
    with LOCK:
        workers = threads()
        _forward(workers, pixels, wanted, cover, stride, valid, planes, maps, by_window, sums)
        l1_share = f32((1 - ssim_weight) / pixels.size / seen)
        ssim_share = f32(-ssim_weight / windows / seen)
        _backward(
            workers,
            (height, width),
            stride,
            planes,
            by_window,
            cover,
            l1_share,
            ssim_share,
            gradient,
        )
    away, alike = sums.sum(axis=0, dtype=np.float64)
    loss = (1 - ssim_weight) * away / pixels.size + ssim_weight * (1 - alike / windows)
    return torch.tensor(loss / seen, dtype=torch.float32), torch.from_numpy(gradient)
