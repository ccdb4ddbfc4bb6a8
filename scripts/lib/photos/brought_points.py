"""Points that came with camera poses: of a COLMAP model, or the PLY file that a transforms.json names.

They are looked at only to check the poses, so that a sample of them is enough.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np

from scripts.lib.core.geo import Array
from scripts.lib.photos.placed import CamerasError

MOST = 400  # that photos.json holds
POINT = struct.Struct("<Q3d3BdQ")  # number, position, colour, error, length of the track
SIGHTING = 8  # bytes: image and keypoint
PLY_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "<i2",
    "ushort": "<u2",
    "int": "<i4",
    "uint": "<u4",
    "int8": "i1",
    "uint8": "u1",
    "int16": "<i2",
    "uint16": "<u2",
    "int32": "<i4",
    "uint32": "<u4",
    "float": "<f4",
    "float32": "<f4",
    "double": "<f8",
    "float64": "<f8",
}
FAULTS = (
    struct.error,
    ValueError,
    IndexError,
    KeyError,
    OverflowError,
    UnicodeDecodeError,
    TypeError,
)


def model_points(parts: Mapping[str, bytes]) -> Array:
    """Points (N, 3) of a COLMAP model by its files; (0, 3) without any. Raises CamerasError when damaged."""
    try:
        if "points3D.bin" in parts:
            return _sample(_binary(parts["points3D.bin"]))
        lines = parts.get("points3D.txt", b"").decode("utf-8").splitlines()
        rows = [line.split()[1:4] for line in lines if line.strip() and not line.startswith("#")]
        return _sample(np.array(rows, float))
    except FAULTS:
        raise CamerasError("its points are damaged or not complete") from None


def ply_points(data: bytes) -> Array:
    """Vertices (N, 3) of a PLY file, text or binary. Raises CamerasError when it cannot be used."""
    try:
        end = data.index(b"end_header") + len(b"end_header")
        end = data.index(b"\n", end) + 1
        header = [line.split() for line in data[:end].decode("ascii").splitlines()]
        kind = next(words[1] for words in header if words[:1] == ["format"])
        elements = [words for words in header if words[:1] in (["element"], ["property"])]
        if elements[0][:2] != ["element", "vertex"]:
            raise CamerasError("its points do not begin with vertices")
        count, names = int(elements[0][2]), []
        for words in elements[1:]:
            if words[0] == "element":
                break
            names.append((words[2], PLY_TYPES[words[1]]))
        places = [[name for name, _ in names].index(axis) for axis in "xyz"]
        if kind == "ascii":
            lines = data[end:].decode("ascii").splitlines()[:count]
            found = np.array([[line.split()[i] for i in places] for line in lines], float)
        elif kind == "binary_little_endian":
            table = np.frombuffer(data, np.dtype(names), count, end)
            with np.errstate(invalid="ignore"):  # what is no number is left out below
                found = np.stack([table[axis].astype(float) for axis in "xyz"], axis=1)
        else:
            raise CamerasError("its points are in big-endian order")
    except (StopIteration, *FAULTS):
        raise CamerasError("its points are damaged or not complete") from None
    return _sample(found)


def _binary(data: bytes) -> Array:
    (count,), at = struct.unpack_from("<Q", data), 8
    found = []
    for _ in range(count):
        values = POINT.unpack_from(data, at)
        found.append(values[1:4])
        at += POINT.size + SIGHTING * values[-1]
    return np.array(found, float)


def _sample(points: Array) -> Array:
    """At most MOST finite points, evenly from all of them."""
    points = points.reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=1)]
    return points[:: max(1, -(-len(points) // MOST))]
