"""SPZ, Niantic's compact splat file (versions 2 to 4), in numpy.

Bytes after a 16-byte header, attribute by attribute: positions as 24-bit fixed point, opacity,
colour, log-scale as one byte each, a rotation of 3 or 4 bytes, spherical harmonics as one byte a
coefficient; the whole under gzip (version 4: a zstd stream per attribute). The format names no
axes; like splat-transform, and unlike Niantic's own tools, this writes and reads the PLY's axes as
they are. Format: https://github.com/nianticlabs/spz (MIT).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scripts.lib.core.activations import logit, sigmoid
from scripts.lib.core.console import UserError
from scripts.lib.encode.codecs.compare import Limits
from scripts.lib.encode.codecs.encoded import Encoded
from scripts.lib.encode.codecs.rotations import (
    HALF_SQRT,
    from_smallest_three,
    normalised,
    smallest_three,
)
from scripts.lib.encode.codecs.values import morton_order, to_bytes
from scripts.lib.splat.gaussians import SH_COEFFICIENTS, Array, Gaussians

MAGIC = 0x5053474E  # "NGSP"
ANTIALIASED = 1  # bit of the flags
HEADER = struct.Struct("<IIIBBBB")
HEADER_4 = (
    32  # bytes of the header of version 4: the same, where the table of streams is, and zeros
)
ZSTD_LEVEL = 19  # the slowest that needs no more memory to read
COLOUR_SCALE = 0.15
USUAL_FRACTION_BITS = 12  # the reference encoder's fixed grid of 1/4096 unit
MOST_FRACTION_BITS = 20
FIXED_LIMIT = (1 << 23) - 1
ROTATION_BYTES = {2: 3, 3: 4, 4: 4}
ROTATION_STEPS = 511
SCALE_RANGE = (-10.0, 255 / 16 - 10.0)
SH_RANGE = (-1.0, 127 / 128)
COLOUR_RANGE = (-0.5 / COLOUR_SCALE, 0.5 / COLOUR_SCALE)
# Index of the largest component is stored in x y z w order; ours is w x y z.
XYZW_FROM_WXYZ = np.array([1, 2, 3, 0])
WXYZ_FROM_XYZW = np.array([3, 0, 1, 2])
MOST_POINTS = 1 << 28


def clipped(gaussians: Gaussians) -> tuple[Gaussians, dict[str, int]]:
    """The Gaussians moved into the ranges that SPZ can hold, and how many values that moved."""
    scales = np.clip(gaussians.scales, *SCALE_RANGE)
    sh0 = np.clip(gaussians.sh0, *COLOUR_RANGE)
    shN = np.clip(gaussians.shN, *SH_RANGE)
    moved = {
        "scales": int((scales != gaussians.scales).sum()),
        "sh0": int((sh0 != gaussians.sh0).sum()),
        "shN": int((shN != gaussians.shN).sum()),
    }
    return replace(gaussians, scales=scales, sh0=sh0, shN=shN), moved


def fraction_bits(gaussians: Gaussians) -> int:
    """Bits after the binary point for positions, chosen for this scene.

    The reference encoder's 12 bits (a grid of 1/4096 unit) tear small scenes apart. Here the grid
    is at most a tenth of the small Gaussians' size (the middle axis, 5th percentile), never coarser
    than the usual one unless the scene is so wide that 24 bits would overflow.
    Raises UserError when the scene does not fit at all.
    """
    if len(gaussians) == 0:
        return USUAL_FRACTION_BITS
    reach = float(np.abs(gaussians.means).max())
    return fraction_bits_for(reach, np.median(gaussians.scales, axis=1))


def fraction_bits_for(reach: float, middle_axes: Array) -> int:
    """`fraction_bits` by how far means reach from the origin and the logs of the middle axes (N,)."""
    if reach > FIXED_LIMIT:
        raise UserError(
            f"positions reach {reach:.3g} units from the origin, more than SPZ can hold"
            f" ({FIXED_LIMIT}); crop or rescale the scene, or leave SPZ out"
        )
    size = float(np.exp(np.percentile(middle_axes, 5)))
    wanted = int(np.ceil(np.log2(10 / max(size, 1e-12))))
    bits = int(np.clip(wanted, USUAL_FRACTION_BITS, MOST_FRACTION_BITS))
    while bits > 0 and reach * (1 << bits) > FIXED_LIMIT:
        bits -= 1
    return bits


def encode(
    gaussians: Gaussians, *, version: int = 3, sh1_bits: int = 5, sh_rest_bits: int = 4
) -> Encoded:
    """Encode as SPZ `version` 2 or 3.

    `sh1_bits` and `sh_rest_bits` (1..8) are how many bits of each SH byte are used, for degree 1
    and above; fewer compress better. The defaults are the reference encoder's.
    Raises UserError when positions do not fit.
    """
    if version not in ROTATION_BYTES:
        raise UserError(f"SPZ version {version} cannot be written; choose 2, 3 or 4")
    bits = fraction_bits(gaussians)
    order = morton_order(gaussians.means)
    inside, moved = clipped(gaussians.take(order))
    parts = packed(inside, version, bits, (sh1_bits, sh_rest_bits))
    if version == 4:
        data = with_streams(inside, bits, parts)
        return Encoded(data, order, limits_of(inside, 4, bits, (sh1_bits, sh_rest_bits)), moved)
    header = header_of(len(inside), version, inside.sh_degree, bits, inside.antialiased)
    # A fixed time in the gzip header: the same input gives the same bytes.
    data = gzip.compress(header + b"".join(parts), compresslevel=9, mtime=0)
    return Encoded(data, order, limits_of(inside, version, bits, (sh1_bits, sh_rest_bits)), moved)


def header_of(
    count: int, version: int, degree: int, bits: int, antialiased: bool, streams: int = 0
) -> bytes:
    """What stands before the attributes; `streams`: how many there are in version 4."""
    return HEADER.pack(MAGIC, version, count, degree, bits, ANTIALIASED * antialiased, streams)


def with_streams(inside: Gaussians, bits: int, parts: Sequence[bytes]) -> bytes:
    """A file of version 4: a header of 32 bytes, the sizes of each stream packed and plain, the streams.

    Each attribute is a zstd stream of its own; one without bytes is left out. Raises UserError when
    `zstandard` is not installed.
    """
    try:
        import zstandard
    except ImportError:
        raise UserError(
            "SPZ version 4 needs the package zstandard; run 'pip install zstandard', or write version 3"
        ) from None
    kept = [part for part in parts if part] or list(parts[:1])
    pack = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True).compress
    streams = [pack(part) for part in kept]
    head = header_of(len(inside), 4, inside.sh_degree, bits, inside.antialiased, len(streams))
    table = [struct.pack("<QQ", len(s), len(p)) for s, p in zip(streams, kept, strict=True)]
    whole_head = head + struct.pack("<I", HEADER_4) + bytes(HEADER_4 - HEADER.size - 4)
    return b"".join([whole_head, *table, *streams])


def packed(inside: Gaussians, version: int, bits: int, sh_bits: tuple[int, int]) -> list[bytes]:
    """The six attributes of Gaussians in the format's ranges, in the order of a file, each by itself."""
    fixed = np.rint(inside.means.astype(np.float64) * (1 << bits)).astype("<i4")
    positions = fixed.view(np.uint8).reshape(len(inside), 3, 4)[:, :, :3]
    return [
        positions.tobytes(),
        to_bytes(sigmoid(inside.opacities) * 255).tobytes(),
        to_bytes((inside.sh0.astype(np.float64) * COLOUR_SCALE + 0.5) * 255).tobytes(),
        to_bytes((inside.scales.astype(np.float64) + 10) * 16).tobytes(),
        pack_rotations(inside.quats, version),
        pack_harmonics(inside.shN, *sh_bits).tobytes(),
    ]


def limits_of(inside: Gaussians, version: int, bits: int, sh_bits: tuple[int, int]) -> Limits:
    """The errors that `packed` may make."""
    reach = float(np.abs(inside.means).max()) if len(inside) else 0.0
    widest = 2 ** (8 - min(sh_bits)) / 128
    return Limits(
        mean=0.5 / (1 << bits) * 1.001 + reach * 2e-7,
        angle=0.3 if version >= 3 else 16.0,
        log_scale=0.5 / 16 + 1e-4,
        alpha=0.51 / 255,
        sh0=0.51 / 255 / COLOUR_SCALE,
        shN=widest + 1e-6 if inside.shN.shape[1] else 0.0,
    )


def pack_rotations(quats: Array, version: int) -> bytes:
    """Rotations as SPZ holds them: version 2 three bytes (x y z), version 3 a 2 + 3 x 10 bit word."""
    if version == 2:
        unit = normalised(quats)
        positive = unit * np.where(unit[:, :1] < 0, -1.0, 1.0)
        return to_bytes((positive[:, 1:] + 1) * 127.5).tobytes()
    unit = normalised(quats)
    # The format counts in x y z w, so the smallest three come in that order too.
    largest, three = smallest_three(unit[:, XYZW_FROM_WXYZ])
    size = np.minimum(np.rint(np.abs(three) / HALF_SQRT * ROTATION_STEPS), ROTATION_STEPS)
    word = size.astype(np.uint32) | ((three < 0).astype(np.uint32) << np.uint32(9))
    packed = largest.astype(np.uint32) << np.uint32(30)
    packed |= (word[:, 0] << np.uint32(20)) | (word[:, 1] << np.uint32(10)) | word[:, 2]
    return packed.astype("<u4").tobytes()


def unpack_rotations(data: npt.NDArray[np.uint8], version: int) -> Array:
    """Unit quaternions (N, 4) wxyz from the rotation bytes of a file of `version`."""
    if version == 2:
        xyz = data.reshape(-1, 3).astype(np.float64) / 127.5 - 1
        w = np.sqrt(np.maximum(0.0, 1 - (xyz**2).sum(1)))
        return np.concatenate([w[:, None], xyz], axis=1).astype(np.float32)
    packed = np.ascontiguousarray(data).view("<u4")
    word = np.stack([(packed >> np.uint32(shift)) & np.uint32(1023) for shift in (20, 10, 0)], 1)
    size = (word & np.uint32(511)).astype(np.float64) * (HALF_SQRT / ROTATION_STEPS)
    three = np.where(word >> np.uint32(9), -size, size)
    return from_smallest_three((packed >> np.uint32(30)).astype(np.int64), three)[:, WXYZ_FROM_XYZW]


def pack_harmonics(shN: Array, sh1_bits: int, sh_rest_bits: int) -> npt.NDArray[np.uint8]:
    """SH bytes (N, K, 3), 128 for zero, rounded to the number of bits asked for."""
    steps = np.array([1 << (8 - sh1_bits)] * 3 + [1 << (8 - sh_rest_bits)] * 12)
    step = steps[: shN.shape[1], None]
    # Multiples of the step around 128, so that zero stays exactly zero.
    return to_bytes(np.rint(shN.astype(np.float64) * 128 / step) * step + 128)


def decode(path: Path) -> Gaussians:
    """Read an SPZ file of version 2, 3 or 4. Raises UserError when it is not one or is damaged."""
    return decode_data(Path(path).read_bytes(), path)


def decode_data(whole: bytes, path: Path) -> Gaussians:
    """The Gaussians in an SPZ file's bytes; `path` is for messages. Raises UserError as `decode` does."""
    data, compressed = inflated(whole, path)
    if len(data) < HEADER.size:
        raise UserError(f"{path} is too short to be an SPZ file; export it again")
    magic, version, count, degree, bits, flags, streams = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise UserError(f"{path} is not an SPZ file; give a splat exported as SPZ")
    check_header(path, version, count, degree, bits, compressed)
    lengths = [count * size for size in sizes_of(version, degree)]
    if version == 4:
        parts = read_streams(path, data, streams, lengths, degree)
    else:
        parts = read_parts(path, data, lengths)
    return unpacked(parts, version, degree, bits, bool(flags & ANTIALIASED))


def sizes_of(version: int, degree: int) -> list[int]:
    """Bytes of a Gaussian in each of the six attributes."""
    return [9, 1, 3, 3, ROTATION_BYTES[version], 3 * SH_COEFFICIENTS[degree]]


def unpacked(
    parts: Sequence[npt.NDArray[np.uint8]], version: int, degree: int, bits: int, antialiased: bool
) -> Gaussians:
    """Gaussians of the bytes of their attributes, of all or of some in a row."""
    positions, alphas, colours, scales, rotations, harmonics = parts
    count = len(alphas)
    coefficients = harmonics.reshape(count, SH_COEFFICIENTS[degree], 3)
    wide = np.zeros((count, 3, 4), np.uint8)
    wide[:, :, 1:] = positions.reshape(count, 3, 3)
    fixed = wide.view("<i4").reshape(count, 3) >> 8  # the shift carries the sign down
    return Gaussians(
        means=(fixed / float(1 << bits)).astype(np.float32),
        quats=unpack_rotations(rotations, version),
        scales=(scales.reshape(count, 3) / 16.0 - 10.0).astype(np.float32),
        opacities=logit(alphas / 255.0),
        sh0=((colours.reshape(count, 3) / 255.0 - 0.5) / COLOUR_SCALE).astype(np.float32),
        shN=((coefficients.astype(np.float64) - 128) / 128).astype(np.float32),
        antialiased=antialiased,
    )


def inflated(data: bytes, path: Path) -> tuple[bytes, bool]:
    """A file's bytes without their gzip layer, and whether they had one. Raises UserError on damage."""
    if data[:2] != b"\x1f\x8b":
        return data, False
    try:
        return gzip.decompress(data), True
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"{path} is a damaged SPZ file ({error}); download or export it again"
        ) from None


def check_header(
    path: Path, version: int, count: int, degree: int, bits: int, compressed: bool
) -> None:
    """Raises UserError when the header's values are none that are read."""
    if version not in ROTATION_BYTES:
        raise UserError(f"{path} is SPZ version {version}; only 2, 3 and 4 are read: convert it")
    if degree not in SH_COEFFICIENTS:
        raise UserError(f"{path} has SH degree {degree}, more than the 3 supported; reduce it")
    if bits > 30 or count > MOST_POINTS:
        raise UserError(f"{path} has an impossible header ({count} points, {bits} fraction bits)")
    if version < 4 and not compressed:
        raise UserError(
            f"{path} is an SPZ version {version} without its gzip layer, which no viewer opens;"
            " compress it with gzip or export it again"
        )


def read_parts(path: Path, data: bytes, lengths: list[int]) -> list[npt.NDArray[np.uint8]]:
    """The attributes of a version 2 or 3 file, one after the other. Raises UserError when it is short."""
    if len(data) < HEADER.size + sum(lengths):
        raise UserError(
            f"{path} ends early: {len(data)} of {HEADER.size + sum(lengths)} bytes;"
            " download or export it again"
        )
    ends = np.cumsum([HEADER.size, *lengths])
    return [
        np.frombuffer(data, np.uint8, length, int(start))
        for start, length in zip(ends, lengths, strict=False)
    ]


def read_streams(
    path: Path, data: bytes, streams: int, lengths: list[int], degree: int
) -> list[npt.NDArray[np.uint8]]:
    """The attributes of a version 4 file: a table of sizes, then one zstd stream each.

    Raises UserError when the table does not add up or `zstandard` is not installed.
    """
    try:
        import zstandard
    except ImportError:
        raise UserError(
            f"{path} is SPZ version 4, which needs the package zstandard;"
            " run 'pip install zstandard', or give an SPZ of version 3"
        ) from None
    damaged = UserError(f"{path} is a damaged SPZ version 4 file; download or export it again")
    if len(data) < HEADER_4 or streams != (6 if degree else 5):
        raise damaged
    (table,) = struct.unpack_from("<I", data, 16)
    if table < HEADER_4 or table + 16 * streams > len(data):
        raise damaged
    start = table + 16 * streams
    parts: list[npt.NDArray[np.uint8]] = []
    for index in range(streams):
        packed, size = struct.unpack_from("<QQ", data, table + 16 * index)
        if size != lengths[index] or start + packed > len(data):
            raise damaged
        try:
            stream = zstandard.ZstdDecompressor().decompress(
                data[start : start + packed], max_output_size=size
            )
        except zstandard.ZstdError:
            raise damaged from None
        if len(stream) != size:
            raise damaged
        parts.append(np.frombuffer(stream, np.uint8))
        start += packed
    parts += [np.zeros(0, np.uint8)] * (6 - streams)
    return parts
