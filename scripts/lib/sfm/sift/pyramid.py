"""Scale space of one picture, octave by octave, and where its differences are extreme (Lowe 2004, section 3).

Level i of an octave is blurred by sigma 1.6 x 2^(i/3) of the octave's own pixels; difference i is
level i+1 minus level i. Pixel (0, 0) of every octave lies on pixel (0, 0) of the picture, as in VLFeat.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scripts.lib.core.jit import compiled, inlined
from scripts.lib.core.lanes import least, load, magnitude, most, select, some, store

SCALES = 3  # extrema are looked for at so many scales an octave
LEVELS = SCALES + 3
BASE_SIGMA = 1.6
CAMERA_SIGMA = 0.5  # blur that a picture has already, in its pixels
SMALLEST = 16  # pixels of the shorter side of the last octave; two vectors
REACH = 3.1  # sigmas that a blur's taps cover: a five-hundredth of the weight lies beyond
LONGEST = 16  # taps to one side that fit
# The parabola's extremum lies above its samples, so these are sought a little below the threshold.
LOWER = 0.8

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Octave:
    """Levels (6, H, W), and pixels (N, 3) that may be extreme, as difference, row and column."""

    levels: Plane
    candidates: NDArray[np.int32]
    step: float  # a pixel's size, in pixels of the picture


@dataclass
class Workspace:
    """Memory of the largest picture so far, to be used again: fresh pages cost more than the blur."""

    blocks: dict[str, Plane] = field(default_factory=dict)

    def take(self, name: str, *shape: int) -> Plane:
        """Uninitialised memory; that of the last `take` of this name is given away again."""
        size = math.prod(shape)
        block = self.blocks.get(name)
        if block is None or block.size < size:
            block = self.blocks[name] = np.empty(size, np.float32)
        return block[:size].reshape(shape)


def taps(sigma: float) -> Plane:
    """Half of a Gaussian's weights, from the middle outwards."""
    radius = math.ceil(REACH * sigma)
    weights = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    found: Plane = (weights / (2 * weights.sum() - weights[0])).astype(np.float32)
    return found


def _kernels(have: float) -> tuple[Plane, NDArray[np.int64]]:
    """Weights (6, 17) and reach (6) of the blurs to each level from the one before, or from sigma `have`."""
    kernels, reach = np.zeros((LEVELS, LONGEST + 1), np.float32), np.zeros(LEVELS, np.int64)
    for i in range(LEVELS):
        before = BASE_SIGMA * 2 ** ((i - 1) / SCALES) if i else have
        kernel = taps(math.sqrt((BASE_SIGMA * 2 ** (i / SCALES)) ** 2 - before**2))
        reach[i] = kernel.size - 1
        kernels[i, : kernel.size] = kernel
    return kernels, reach


def octaves(
    picture: NDArray[np.uint8], first: int, contrast: float, work: Workspace
) -> Iterator[Octave]:
    """Octaves of a grey picture (H, W) from `first` (-1: of twice its size) on, finest first.

    What they hold lies in `work`. Raises ValueError for a `first` below -1.
    """
    if first < -1:
        raise ValueError("pictures are doubled once at most")
    if min(picture.shape) < SMALLEST:
        return
    scale = 2 if first < 0 else 1
    height, width = (scale * side for side in picture.shape)
    kernels, reach = _kernels(CAMERA_SIGMA * scale)
    step, number, base = 1 / scale, 0, np.empty((0, 0), np.float32)
    while min(height, width) >= SMALLEST:
        planes = work.take(f"octave {number}", LEVELS + 1, height, width)
        # The first octave's picture has to be blurred to its first level; a later one's has that blur.
        if number == 0:
            _enlarged(picture, scale, planes[0])
        else:
            planes[1] = base
        candidates = _fill(planes, number > 0, kernels, reach, contrast)
        if step >= 2.0**first:
            yield Octave(planes[1:], candidates, step)
        base = planes[1 + SCALES, ::2, ::2]
        height, width, step, number = (height + 1) // 2, (width + 1) // 2, 2 * step, number + 1


def _enlarged(picture: NDArray[np.uint8], scale: int, out: Plane) -> None:
    """The picture from 0 to 1, or with means between its pixels; past the last ones these again."""
    light = np.multiply(picture, np.float32(1 / 255), out=None if scale > 1 else out)
    if scale > 1:
        out[::2, ::2] = light
        out[::2, 1:-1:2] = (light[:, 1:] + light[:, :-1]) * np.float32(0.5)
        out[::2, -1] = light[:, -1]
        out[1:-1:2] = (out[2::2] + out[:-2:2]) * np.float32(0.5)
        out[-1] = out[-2]


def _fill(
    planes: Plane, begin: int, kernels: Plane, reach: NDArray[np.int64], contrast: float
) -> NDArray[np.int32]:
    """Fill the levels, which begin with plane 1, from number `begin` on; returns the candidates (N, 3)."""
    _, height, width = planes.shape
    lower, room = np.float32(LOWER * contrast), max(height * width // 16, 64)
    while True:
        found = np.empty((room, 3), np.int32)
        count = _octave(planes.reshape(-1), height, width, int(begin), kernels, reach, lower, found)
        if count <= room:
            return found[:count]
        room = count


@inlined
def _blur_row(
    planes: Plane,
    first: int,
    y: int,
    height: int,
    width: int,
    kernel: Plane,
    reach: int,
    offsets: NDArray[np.int64],
    padded: Plane,
    place: int,
) -> None:
    """One row of the blur of the plane that begins at index `first`, written to index `place`.

    The edges repeat. Sixteen pixels at a time, the last ones twice where the width is no multiple of that.
    """
    for k in range(reach + 1):
        offsets[0, k] = first + max(y - k, 0) * width
        offsets[1, k] = first + min(y + k, height - 1) * width
    for x in range(0, width, 16):
        at = min(x, width - 16)
        one = load(planes, offsets[0, 0] + at) * kernel[0]
        two = load(planes, offsets[0, 0] + at + 8) * kernel[0]
        for k in range(1, reach + 1):
            weight, a, b = kernel[k], offsets[0, k] + at, offsets[1, k] + at
            one += (load(planes, a) + load(planes, b)) * weight
            two += (load(planes, a + 8) + load(planes, b + 8)) * weight
        store(padded, LONGEST + at, one)
        store(padded, LONGEST + at + 8, two)
    for k in range(1, reach + 1):
        padded[LONGEST - k] = padded[LONGEST]
        padded[LONGEST + width - 1 + k] = padded[LONGEST + width - 1]
    for x in range(0, width, 16):
        at = LONGEST + min(x, width - 16)
        one = load(padded, at) * kernel[0]
        two = load(padded, at + 8) * kernel[0]
        for k in range(1, reach + 1):
            weight = kernel[k]
            one += (load(padded, at - k) + load(padded, at + k)) * weight
            two += (load(padded, at + 8 - k) + load(padded, at + 8 + k)) * weight
        store(planes, place + at - LONGEST, one)
        store(planes, place + at - LONGEST + 8, two)


@compiled
def _octave(
    planes: Plane,
    height: int,
    width: int,
    begin: int,
    kernels: Plane,
    reaches: NDArray[np.int64],
    lower: np.float32,
    found: NDArray[np.int32],
) -> int:
    """Blur level after level and look for extrema, all in one pass over the rows.

    Each level follows the one before it by as many rows as its blur reaches, so that what is read was
    written just before and is still in the cache. Of the differences three rows are kept. Returns
    the number of candidates, which may be more than `found` has room for.
    """
    offsets = np.empty((2, LONGEST + 1), np.int64)
    padded = np.empty(width + 2 * LONGEST, np.float32)
    depth, size = LEVELS - 1, height * width
    rows = np.empty(depth * 3 * width, np.float32)  # of difference s, row y: at (3 s + y % 3) width
    behind = 0
    for i in range(begin, LEVELS):
        behind += reaches[i]
    count = np.zeros(1, np.int64)
    for line in range(height + behind):
        y = line
        for i in range(begin, LEVELS):
            y -= reaches[i]
            if 0 <= y < height:
                place = (i + 1) * size + y * width
                _blur_row(
                    planes,
                    i * size,
                    y,
                    height,
                    width,
                    kernels[i],
                    reaches[i],
                    offsets,
                    padded,
                    place,
                )
        if y < 0:
            continue
        for s in range(depth):
            source, target = (s + 1) * size + y * width, (3 * s + y % 3) * width
            for x in range(0, width, 8):
                at = min(x, width - 8)
                value = load(planes, source + size + at) - load(planes, source + at)
                store(rows, target + at, value)
        if y >= 2:
            _scan(rows, width, y - 1, lower, found, count)
    return int(count[0])


@inlined
def _scan(
    rows: Plane,
    width: int,
    y: int,
    lower: np.float32,
    found: NDArray[np.int32],
    count: NDArray[np.int64],
) -> None:
    """Append the candidates of row `y` to the `count` (1) ones found before."""
    above, middle, below = (y - 1) % 3 * width, y % 3 * width, (y + 1) % 3 * width
    for s in range(1, LEVELS - 2):
        shift = 3 * s * width
        for x in range(1, width - 1, 8):
            at = min(x, width - 9)
            here = shift + middle + at
            value = load(rows, here)
            if not some(magnitude(value) > lower):
                continue
            left, right = load(rows, here - 1), load(rows, here + 1)
            up, down = load(rows, shift + above + at), load(rows, shift + below + at)
            high = most(most(left, right), most(up, down))
            low = least(least(left, right), least(up, down))
            if not (
                some(select(value > high, value, 0.0) > lower)
                or some(select(value < low, value, 0.0) < -lower)
            ):
                continue
            for u in range(max(at, x), at + 8):
                if _extreme(rows, width, s, above + u, middle + u, below + u, lower):
                    if count[0] < found.shape[0]:
                        found[count[0], 0], found[count[0], 1], found[count[0], 2] = s, y, u
                    count[0] += 1


@inlined
def _extreme(
    rows: Plane, width: int, s: int, above: int, middle: int, below: int, lower: np.float32
) -> bool:
    """Above or below all 26 neighbours, and far enough from zero."""
    shift = 3 * width
    value = rows[s * shift + middle]
    if not abs(value) > lower:
        return False
    sign = np.float32(1) if value > 0 else np.float32(-1)
    value *= sign
    first = s * shift + middle
    if sign * rows[first - 1] >= value or sign * rows[first + 1] >= value:
        return False
    for t in range(s - 1, s + 2):
        for k in range(-1, 2):
            at = t * shift + k
            if sign * rows[at + above] >= value or sign * rows[at + below] >= value:
                return False
            if t != s and sign * rows[at + middle] >= value:
                return False
    return True
