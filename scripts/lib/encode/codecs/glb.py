"""Binary glTF with KHR_gaussian_splatting, uncompressed: what three.js and PlayCanvas open.

A glTF's axes are right-handed with Y up; `encode` and `decode` write and read the axes as they are, so turn
the Gaussians first (`splat.rotation.Y_UP`). Turned Gaussians rather than a node's matrix, since not every
viewer turns harmonics by it. Scales are linear and opacities between 0 and 1. Format:
https://github.com/KhronosGroup/glTF/tree/main/extensions/2.0/Khronos/KHR_gaussian_splatting (ratified).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.core.activations import logit, sigmoid
from scripts.lib.core.console import UserError
from scripts.lib.encode.codecs.compare import Limits
from scripts.lib.encode.codecs.encoded import Encoded
from scripts.lib.encode.codecs.rotations import normalised
from scripts.lib.encode.codecs.values import morton_order
from scripts.lib.splat.gaussians import SH_C0, SH_COEFFICIENTS, Array, Gaussians

EXTENSION = "KHR_gaussian_splatting"
# A reader of glTF in general, which ignores what it does not know, must not do so with this: whether the
# footprints are dimmed by the blur of the renderer, as `Gaussians.antialiased` says.
ANTIALIASED = "antialiased"
MAGIC, JSON_CHUNK, BIN_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
FLOAT, UNSIGNED_BYTE, POINTS, ARRAY_BUFFER = 5126, 5121, 0, 34962
TYPES = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}
COMPONENTS = {name: count for count, name in TYPES.items()}


def pack(document: Mapping[str, Any], data: bytes) -> bytes:
    """A GLB of a glTF document and its one buffer."""
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    whole = 12 + 8 + len(text) + 8 + len(data)
    head = struct.pack("<III", MAGIC, 2, whole) + struct.pack("<II", len(text), JSON_CHUNK)
    return b"".join([head, text, struct.pack("<II", len(data), BIN_CHUNK), data])


def unpack(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The document and the buffer of a GLB. Raises ValueError when it is none."""
    try:
        magic, version, length = struct.unpack_from("<III", data)
        if magic != MAGIC or version != 2 or length > len(data):
            raise ValueError("it is no GLB of version 2, or ends early")
        size, kind = struct.unpack_from("<II", data, 12)
        if kind != JSON_CHUNK:
            raise ValueError("its first chunk is not JSON")
        document = json.loads(data[20 : 20 + size])
        rest, kind = struct.unpack_from("<II", data, 20 + size)
        start = 28 + size
        if kind != BIN_CHUNK or start + rest > len(data):
            raise ValueError("its second chunk is not its data")
        return document, data[start : start + rest]
    except struct.error as error:
        raise ValueError(f"it ends early ({error})") from None


def harmonic_names(degree: int) -> list[str]:
    """Attributes of the harmonics of degree 1 to `degree`, in the order of `Gaussians.shN`."""
    return [
        f"{EXTENSION}:SH_DEGREE_{band}_COEF_{number}"
        for band in range(1, degree + 1)
        for number in range(2 * band + 1)
    ]


def colours(gaussians: Gaussians) -> Array:
    """Colour and opacity (N, 4) in 0..1, as they look without harmonics."""
    rgb = np.clip(gaussians.sh0 * SH_C0 + 0.5, 0, 1)
    return np.concatenate([rgb, sigmoid(gaussians.opacities)[:, None]], axis=1).astype(np.float32)


def extension(more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The extension of a primitive. Splats are trained on sRGB pictures as they are."""
    told = {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}
    return {EXTENSION: told | ({"extensions": dict(more)} if more else {})}


def encode(gaussians: Gaussians) -> Encoded:
    """Encode as GLB, all attributes as 32-bit floats, and colours for who shows them as points."""
    order = morton_order(gaussians.means)
    some = gaussians.take(order)
    values: dict[str, Array] = {
        "POSITION": some.means,
        f"{EXTENSION}:ROTATION": normalised(some.quats)[:, [1, 2, 3, 0]].astype(np.float32),
        f"{EXTENSION}:SCALE": np.exp(some.scales),
        f"{EXTENSION}:OPACITY": sigmoid(some.opacities).astype(np.float32)[:, None],
        f"{EXTENSION}:SH_DEGREE_0_COEF_0": some.sh0,
    }
    for index, name in enumerate(harmonic_names(some.sh_degree)):
        values[name] = some.shN[:, index]
    accessors: list[dict[str, Any]] = []
    views: list[dict[str, Any]] = []
    parts: list[bytes] = []
    at = 0

    def add(data: bytes, part: dict[str, Any]) -> int:
        nonlocal at
        views.append(
            {"buffer": 0, "byteOffset": at, "byteLength": len(data), "target": ARRAY_BUFFER}
        )
        accessors.append({"bufferView": len(views) - 1, "count": len(some)} | part)
        parts.append(data)
        at += len(data)
        return len(accessors) - 1

    attributes = {}
    for name, rows in values.items():
        part: dict[str, Any] = {"componentType": FLOAT, "type": TYPES[rows.shape[1]]}
        if name == "POSITION":
            part |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        attributes[name] = add(np.ascontiguousarray(rows, "<f4").tobytes(), part)
    bytes_ = np.rint(colours(some) * 255).astype(np.uint8).tobytes()
    part = {"componentType": UNSIGNED_BYTE, "type": "VEC4", "normalized": True}
    attributes["COLOR_0"] = add(bytes_, part)
    document = scene_of({"attributes": attributes, "mode": POINTS, "extensions": extension()}) | {
        "extensionsUsed": [EXTENSION],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": at}],
    }
    if some.antialiased:
        document["meshes"][0]["extras"] = {ANTIALIASED: True}
    # Opacities next to 0 and 1 lose digits of their logits, not of themselves.
    limits = Limits(mean=0.0, angle=0.05, log_scale=1e-5, alpha=2e-6, sh0=0.0, shN=0.0)
    return Encoded(pack(document, b"".join(parts)), order, limits, {})


def scene_of(primitive: Mapping[str, Any]) -> dict[str, Any]:
    """A glTF document of one mesh of one primitive."""
    return {
        "asset": {"version": "2.0", "generator": "splatmake"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [dict(primitive)]}],
    }


def decode(path: Path) -> Gaussians:
    """Read a GLB with one primitive of uncompressed Gaussians, as floats. Raises UserError on any other."""
    try:
        document, data = unpack(Path(path).read_bytes())
        mesh = document["meshes"][0]
        primitive = mesh["primitives"][0]
        if EXTENSION not in primitive["extensions"]:
            raise KeyError(EXTENSION)
        attributes = primitive["attributes"]

        def rows(name: str) -> Array:
            accessor = document["accessors"][attributes[name]]
            view = document["bufferViews"][accessor["bufferView"]]
            if accessor["componentType"] != FLOAT or view.get("byteStride"):
                raise ValueError(f"{name} is not stored as plain floats")
            columns = COMPONENTS[accessor["type"]]
            start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
            found = np.frombuffer(data, "<f4", accessor["count"] * columns, start)
            return found.reshape(-1, columns).astype(np.float32)

        degree = max(d for d in SH_COEFFICIENTS if set(harmonic_names(d)) <= set(attributes))
        means = rows("POSITION")
        bands = [rows(name) for name in harmonic_names(degree)]
        empty = np.zeros((len(means), 0, 3), np.float32)
        return Gaussians(
            means=means,
            quats=rows(f"{EXTENSION}:ROTATION")[:, [3, 0, 1, 2]],
            scales=np.log(np.maximum(rows(f"{EXTENSION}:SCALE"), 1e-30)),
            opacities=logit(rows(f"{EXTENSION}:OPACITY")[:, 0]),
            sh0=rows(f"{EXTENSION}:SH_DEGREE_0_COEF_0"),
            shN=np.stack(bands, axis=1) if bands else empty,
            antialiased=bool(mesh.get("extras", {}).get(ANTIALIASED)),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{path} is not a GLB of uncompressed Gaussians ({error}); export it again"
        ) from None
