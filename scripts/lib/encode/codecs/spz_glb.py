"""A tile's content: a GLB whose Gaussians are an SPZ of version 3, as CesiumJS reads it.

KHR_gaussian_splatting with KHR_gaussian_splatting_compression_spz_2. Attributes have accessors without
data: what they hold comes out of the SPZ. Axes are those of glTF, Y up, and are written as they are.
CesiumJS (1.145) needs a `matrix` in the node; here it holds the middle of the tile, so that the SPZ's grid is
fine far from the origin as well. https://github.com/KhronosGroup/glTF/pull/2531 (CesiumJS, cesium-native and
ArcGIS read it).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.lib.core.console import UserError
from scripts.lib.encode.codecs import spz
from scripts.lib.encode.codecs.encoded import Encoded
from scripts.lib.encode.codecs.glb import (
    EXTENSION,
    FLOAT,
    POINTS,
    UNSIGNED_BYTE,
    extension,
    harmonic_names,
    pack,
    scene_of,
    unpack,
)
from scripts.lib.splat.gaussians import Array, Gaussians

COMPRESSION = f"{EXTENSION}_compression_spz_2"
EXTENSIONS = [EXTENSION, COMPRESSION]


def shifted(gaussians: Gaussians, by: npt.NDArray[np.float64]) -> Gaussians:
    """The Gaussians moved by (3,)."""
    means: Array = (gaussians.means + by).astype(np.float32)
    return replace(gaussians, means=means)


def encode(gaussians: Gaussians) -> Encoded:
    """Encode Gaussians whose axes are glTF's. Raises UserError when they reach too far for SPZ."""
    low, high = gaussians.means.min(0), gaussians.means.max(0)
    middle = ((low + high) / 2).astype(np.float32).astype(np.float64)
    near = shifted(gaussians, -middle)
    packed = spz.encode(near)
    count, degree = len(gaussians), gaussians.sh_degree
    whole: dict[str, Any] = {
        "min": near.means.min(0).astype(float).tolist(),
        "max": near.means.max(0).astype(float).tolist(),
    }
    kinds: dict[str, tuple[int, str, dict[str, Any]]] = {
        "POSITION": (FLOAT, "VEC3", whole),
        "COLOR_0": (UNSIGNED_BYTE, "VEC4", {"normalized": True}),
        f"{EXTENSION}:SCALE": (FLOAT, "VEC3", {}),
        f"{EXTENSION}:ROTATION": (FLOAT, "VEC4", {}),
    }
    kinds |= {name: (FLOAT, "VEC3", {}) for name in harmonic_names(degree)}
    accessors = [
        {"componentType": component, "count": count, "type": shape, **more}
        for component, shape, more in kinds.values()
    ]
    primitive = {
        "attributes": {name: index for index, name in enumerate(kinds)},
        "mode": POINTS,
        "extensions": extension({COMPRESSION: {"bufferView": 0}}),
    }
    document = scene_of(primitive) | {
        "extensionsUsed": EXTENSIONS,
        "extensionsRequired": EXTENSIONS,
        "accessors": accessors,
        "bufferViews": [{"buffer": 0, "byteOffset": 0, "byteLength": len(packed.data)}],
        "buffers": [{"byteLength": len(packed.data)}],
    }
    matrix = np.eye(4)
    matrix[:3, 3] = middle
    document["nodes"][0]["matrix"] = matrix.T.ravel().tolist()
    data = pack(document, packed.data)
    return Encoded(data, packed.order, packed.limits, packed.clipped)


def decode(data: bytes, name: Path) -> Gaussians:
    """The Gaussians of a tile, in glTF's axes. Raises UserError when it is damaged or another content."""
    try:
        document, buffer = unpack(data)
        (node,) = document["nodes"]
        (primitive,) = document["meshes"][0]["primitives"]
        packed = primitive["extensions"][EXTENSION]["extensions"][COMPRESSION]
        view = document["bufferViews"][packed["bufferView"]]
        start = view.get("byteOffset", 0)
        matrix = np.array(node["matrix"], np.float64).reshape(4, 4).T
        if not np.array_equal(matrix[:3, :3], np.eye(3)):
            raise ValueError("its node is turned")
        inside = spz.decode_data(buffer[start : start + view["byteLength"]], name)
        counts = {accessor["count"] for accessor in document["accessors"]}
        if counts != {len(inside)}:
            raise ValueError(f"it says {sorted(counts)} Gaussians and holds {len(inside)}")
        return shifted(inside, matrix[:3, 3])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{name} is not a tile of Gaussians ({error}); export it again") from None
