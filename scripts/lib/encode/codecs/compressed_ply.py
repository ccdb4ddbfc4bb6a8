"""The packed PLY of PlayCanvas: blocks of 256 Gaussians, each with its own ranges, 16 bytes a Gaussian.

An element `chunk` holds the ranges of a block; `vertex` holds position (11, 10, 11 bits), rotation
(2 + 3 x 10), scale (11, 10, 11) and colour with opacity (4 x 8); an optional `sh` holds a byte a
coefficient. Format: https://developer.playcanvas.com/user-manual/gaussian-splatting/formats/ply/
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from plyfile import PlyData, PlyElement, PlyParseError

from scripts.lib.core.activations import logit, sigmoid
from scripts.lib.core.console import UserError
from scripts.lib.encode.codecs.compare import Limits
from scripts.lib.encode.codecs.encoded import Encoded
from scripts.lib.encode.codecs.rotations import HALF_SQRT, from_smallest_three, smallest_three
from scripts.lib.encode.codecs.values import morton_order, to_bytes
from scripts.lib.splat.gaussians import (
    SH_C0,
    SH_COEFFICIENTS,
    Array,
    Gaussians,
    is_antialiased,
    render_mode,
)

BLOCK = 256
SH_RANGE = 4.0
SCALE_LIMIT = 20.0  # readers are not asked for more than exp(20)
RANGES = [
    f"{end}_{name}"
    for names in (("x", "y", "z"), ("scale_x", "scale_y", "scale_z"), ("r", "g", "b"))
    for end in ("min", "max")
    for name in names
]
WORDS = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
BITS_3 = (11, 10, 11)


def clipped(gaussians: Gaussians) -> tuple[Gaussians, dict[str, int]]:
    """The Gaussians moved into the ranges of the format, and how many values that moved."""
    scales = np.clip(gaussians.scales, -SCALE_LIMIT, SCALE_LIMIT)
    shN = np.clip(gaussians.shN, -SH_RANGE, SH_RANGE)
    moved = {
        "scales": int((scales != gaussians.scales).sum()),
        "shN": int((shN != gaussians.shN).sum()),
    }
    return replace(gaussians, scales=scales, shN=shN), moved


def ranges(
    values: npt.NDArray[np.floating],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Smallest and largest of each block of 256 rows of (N, 3), and the rows as 0..1 within it."""
    starts = np.arange(0, len(values), BLOCK)
    low = np.minimum.reduceat(values, starts, axis=0).astype(np.float32)
    high = np.maximum.reduceat(values, starts, axis=0).astype(np.float32)
    block = np.arange(len(values)) // BLOCK
    width = (high.astype(np.float64) - low)[block]
    inside = (values.astype(np.float64) - low[block]) / np.where(width > 0, width, 1.0)
    return low, high, np.clip(inside, 0.0, 1.0)


def pack(unit: npt.NDArray[np.floating], bits: tuple[int, ...]) -> npt.NDArray[np.uint32]:
    """Numbers in 0..1 (N, M) as one word a row, the first column in the highest bits."""
    word = np.zeros(len(unit), np.uint64)
    for column, size in zip(unit.T, bits, strict=True):
        top = (1 << size) - 1
        value = np.clip(np.rint(column * top), 0, top).astype(np.uint64)
        word = (word << np.uint64(size)) | value
    return word.astype(np.uint32)


def unpack(words: npt.NDArray[np.uint32], bits: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Numbers in 0..1 (N, M) from words whose lowest bits are the last column."""
    columns = []
    rest = words.astype(np.uint64)
    for size in reversed(bits):
        top = (1 << size) - 1
        columns.append((rest & np.uint64(top)).astype(np.float64) / top)
        rest >>= np.uint64(size)
    return np.stack(columns[::-1], axis=1)


def encode(gaussians: Gaussians) -> Encoded:
    """Encode as a compressed PLY. Raises UserError when there are no Gaussians."""
    if len(gaussians) == 0:
        raise UserError(
            "there are no Gaussians to write as a compressed PLY; train the scene again"
        )
    order = morton_order(gaussians.means)
    inside, moved = clipped(gaussians.take(order))
    count, coefficients = len(inside), inside.shN.shape[1]
    low, high, means = ranges(inside.means)
    scale_low, scale_high, scales = ranges(inside.scales)
    colours = inside.sh0.astype(np.float64) * SH_C0 + 0.5
    colour_low, colour_high, tints = ranges(colours)
    bounds = np.concatenate([low, high, scale_low, scale_high, colour_low, colour_high], axis=1)
    largest, three = smallest_three(inside.quats)
    rotation = pack(three * HALF_SQRT + 0.5, (10, 10, 10))
    rotation |= largest.astype(np.uint32) << np.uint32(30)
    vertex = np.stack(
        [
            pack(means, BITS_3),
            rotation,
            pack(scales, BITS_3),
            pack(np.column_stack([tints, sigmoid(inside.opacities)]), (8, 8, 8, 8)),
        ],
        axis=1,
    ).astype("<u4")
    elements = [
        element("chunk", bounds.astype("<f4"), RANGES),
        element("vertex", vertex, list(WORDS)),
    ]
    if coefficients:
        flat = inside.shN.transpose(0, 2, 1).reshape(count, 3 * coefficients)
        # Byte b stands for the middle of its bin: (b + 0.5) / 256.
        coarse = to_bytes(np.floor((flat.astype(np.float64) / (2 * SH_RANGE) + 0.5) * 256))
        names = [f"f_rest_{index}" for index in range(3 * coefficients)]
        elements.append(element("sh", coarse, names))
    stream = io.BytesIO()
    comments = ["Generated by splatmake", render_mode(inside.antialiased)]
    PlyData(elements, byte_order="<", comments=comments).write(stream)
    block = np.arange(count) // BLOCK
    steps = (high.astype(np.float64) - low)[block] / [2046, 1022, 2046]
    limits = Limits(
        mean=steps * 1.001 + np.abs(inside.means) * 5e-7 + 1e-30,
        angle=0.3,
        log_scale=float((scale_high - scale_low).max()) / 2000 + rounding(inside.scales),
        alpha=0.51 / 255,
        sh0=float((colour_high - colour_low).max()) / 500 / SH_C0 + rounding(inside.sh0),
        shN=SH_RANGE / 128,
    )
    return Encoded(stream.getvalue(), order, limits, moved)


def rounding(values: Array) -> float:
    """What ranges kept as float32 may move `values` by, beside the steps between them."""
    return 1e-5 + 4e-7 * float(np.abs(values).max())


def element(name: str, table: npt.NDArray[np.generic], columns: list[str]) -> PlyElement:
    """A PLY element whose rows are those of `table` (N, M), one dtype for all columns."""
    rows = np.ascontiguousarray(table).view([(column, table.dtype) for column in columns])
    return PlyElement.describe(rows.reshape(len(table)), name)


def is_compressed(path: Path) -> bool:
    """Whether the PLY at `path` has the packed layout; reads its header only."""
    with open(path, "rb") as handle:
        return b"packed_position" in handle.read(16384).split(b"end_header", 1)[0]


def decode(path: Path) -> Gaussians:
    """Read a compressed PLY. Raises UserError when it is damaged or incomplete."""
    try:
        ply = PlyData.read(str(path))
        chunk, vertex = ply["chunk"].data, ply["vertex"].data
        bounds = {name: chunk[name].astype(np.float64) for name in RANGES[:12]}
        words = [np.asarray(vertex[name]).astype(np.uint32) for name in WORDS]
        colours = "min_r" in (chunk.dtype.names or ())
        if colours:
            bounds |= {name: chunk[name].astype(np.float64) for name in RANGES[12:]}
        harmonics = ply["sh"].data if "sh" in ply else None
    except (PlyParseError, KeyError, ValueError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is not a readable compressed PLY ({error}); export it again"
        ) from None
    count = len(vertex)
    block = np.arange(count) // BLOCK
    if count > len(chunk) * BLOCK:
        raise UserError(f"{path} has {count} Gaussians but ranges for fewer; export it again")

    def spread(unit: npt.NDArray[np.float64], names: tuple[str, ...]) -> npt.NDArray[np.float64]:
        low = np.stack([bounds[f"min_{name}"] for name in names], axis=1)[block]
        high = np.stack([bounds[f"max_{name}"] for name in names], axis=1)[block]
        return low * (1 - unit) + high * unit

    tint = unpack(words[3], (8, 8, 8, 8))
    colour = spread(tint[:, :3], ("r", "g", "b")) if colours else tint[:, :3]
    three = (unpack(words[1], (2, 10, 10, 10))[:, 1:] - 0.5) / HALF_SQRT
    return Gaussians(
        means=spread(unpack(words[0], BITS_3), ("x", "y", "z")).astype(np.float32),
        quats=from_smallest_three((words[1] >> np.uint32(30)).astype(np.int64), three),
        scales=spread(unpack(words[2], BITS_3), ("scale_x", "scale_y", "scale_z")).astype(
            np.float32
        ),
        opacities=logit(tint[:, 3]),
        sh0=((colour - 0.5) / SH_C0).astype(np.float32),
        shN=unpack_harmonics(path, harmonics, count),
        antialiased=is_antialiased(ply.comments),
    )


def unpack_harmonics(path: Path, table: npt.NDArray[Any] | None, count: int) -> Array:
    """Coefficients (N, K, 3) from the `sh` element, which may be absent."""
    if table is None:
        return np.zeros((count, 0, 3), np.float32)
    names = table.dtype.names or ()
    columns = len(names)
    expected = {f"f_rest_{index}" for index in range(columns)}
    known = columns % 3 == 0 and columns // 3 in SH_COEFFICIENTS.values()
    if not known or set(names) != expected or len(table) != count:
        raise UserError(
            f"{path} has {columns} SH columns for {len(table)} rows that are not f_rest_0 and up;"
            " export it again"
        )
    flat = np.stack([table[f"f_rest_{index}"] for index in range(columns)], axis=1)
    unit = (flat.astype(np.float64) + 0.5) / 256
    # The two end bytes stand for the very ends, as splat-transform reads them.
    unit = np.where(flat == 0, 0.0, np.where(flat == 255, 1.0, unit))
    values = ((unit - 0.5) * (2 * SH_RANGE)).astype(np.float32)
    return np.ascontiguousarray(values.reshape(count, 3, columns // 3).transpose(0, 2, 1))
