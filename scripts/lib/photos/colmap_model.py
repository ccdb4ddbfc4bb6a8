"""Cameras of a COLMAP model, binary or text (https://colmap.github.io/format.html)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

import numpy as np
from scipy.spatial.transform import Rotation

from scripts.lib.photos.brought_points import model_points
from scripts.lib.photos.placed import PARAMS, BroughtFile, CamerasError, Lens, checked

MODELS = (
    *("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE"),
    *("FULL_OPENCV", "FOV", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "THIN_PRISM_FISHEYE"),
)
OTHERS = ("points3D", "rigs", "frames")
SIGHTING = 24  # bytes of a point seen in a photo: x, y, and the point's number


def model_folders(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Folder -> file without folder -> name, for folders with cameras and images of one kind.

    The best comes first: `sparse/0` before other numbers, and deeper ones later.
    """
    folders: dict[str, dict[str, str]] = {}
    for name in names:
        path = PurePosixPath(name)
        folder = "" if str(path.parent) == "." else str(path.parent)
        folders.setdefault(folder, {})[path.name] = name
    found = {}
    for folder, members in folders.items():
        for suffix in (".bin", ".txt"):
            if f"cameras{suffix}" in members and f"images{suffix}" in members:
                parts = ("cameras", "images", *OTHERS)
                found[folder] = {
                    part + end: members[part + end]
                    for part in parts
                    for end in (".bin", ".txt")
                    if part + end in members
                }
                break
    return dict(sorted(found.items(), key=lambda pair: (pair[0].count("/"), pair[0])))


def read_model(parts: Mapping[str, bytes]) -> BroughtFile:
    """Poses and lenses of a model; `parts` are its files by name.

    Raises CamerasError when they are damaged or have a lens that is not supported.
    """
    try:
        if "cameras.bin" in parts and "images.bin" in parts:
            lenses = _binary_lenses(parts["cameras.bin"])
            rows = _binary_images(parts["images.bin"])
        else:
            lenses = _text_lenses(parts["cameras.txt"].decode("utf-8"))
            rows = _text_images(parts["images.txt"].decode("utf-8"))
        entries = []
        for name, camera, quat, shift in rows:
            w, x, y, z = quat
            turn = Rotation.from_quat([x, y, z, w]).as_matrix()
            entries.append(checked(name, turn, np.array(shift), lenses[camera]))
    except (struct.error, ValueError, IndexError, KeyError, OverflowError):
        raise CamerasError("it is damaged or not complete") from None
    points = model_points(parts)
    return BroughtFile(entries, points=points if len(points) else None)


Row = tuple[str, int, tuple[float, ...], tuple[float, ...]]


def _binary_lenses(data: bytes) -> dict[int, Lens]:
    (count,), at, found = struct.unpack_from("<Q", data), 8, {}
    for _ in range(count):
        number, model, width, height = struct.unpack_from("<iiQQ", data, at)
        if not 0 <= model < len(MODELS) or MODELS[model] not in PARAMS:
            raise CamerasError(f"lens model number {model} is not supported")
        many = PARAMS[MODELS[model]][0]
        params = struct.unpack_from(f"<{many}d", data, at + 24)
        found[number] = _lens(MODELS[model], width, height, params)
        at += 24 + 8 * many
    return found


def _binary_images(data: bytes) -> list[Row]:
    (count,), at, rows = struct.unpack_from("<Q", data), 8, []
    for _ in range(count):
        values = struct.unpack_from("<i7di", data, at)
        at += 64
        end = data.index(b"\0", at)
        name = data[at:end].decode("utf-8")
        (sightings,) = struct.unpack_from("<Q", data, end + 1)
        at = end + 9 + SIGHTING * sightings
        rows.append((name, values[8], values[1:5], values[5:8]))
    return rows


def _text_lenses(text: str) -> dict[int, Lens]:
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            number, model, width, height, *params = line.split()
            if model not in PARAMS:
                raise CamerasError(f"the lens model {model} is not supported")
            values = tuple(map(float, params))
            found[int(number)] = _lens(model, int(width), int(height), values)
    return found


def _text_images(text: str) -> list[Row]:
    """Two lines for each photo: the pose, then its sightings, which may be an empty line."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    rows = []
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        _, *numbers, name = lines[at].split(maxsplit=9)
        pose = tuple(map(float, numbers[:7]))
        rows.append((name.strip(), int(numbers[7]), pose[:4], pose[4:]))
        at += 2
    return rows


def _lens(model: str, width: int, height: int, params: tuple[float, ...]) -> Lens:
    if not (0 < width < 1 << 20 and 0 < height < 1 << 20):
        raise CamerasError("a camera has no size")
    return Lens(model, width, height, params)
