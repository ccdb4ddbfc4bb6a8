"""Cameras of phones' scanner apps: Record3D's metadata.json, and Polycam's raw data, a JSON for each photo.

Both pass on what ARKit says: camera to world in metres, axes as OpenGL's (x right, y up, z backward).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np
from scipy.spatial.transform import Rotation

from scripts.lib.photos.placed import Array, Brought, BroughtFile, CamerasError, Lens, checked
from scripts.lib.photos.transforms_json import FROM_OPENGL

ARKIT = "the phone's tracking (ARKit)"
FAULTS = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    RecursionError,
    OverflowError,
)
DAMAGED = "it is damaged or not complete"


def is_record3d(data: bytes) -> bool:
    """Whether a JSON file is Record3D's metadata."""
    return all(key in data for key in (b'"poses"', b'"K"', b'"w"', b'"h"'))


def read_record3d(data: bytes) -> BroughtFile:
    """Poses and lenses of all frames, whose photos are 0.jpg, 1.jpg ... in the folder rgb.

    `poses` are quaternions (x, y, z, w) and positions; `K` stands column by column. Raises CamerasError when
    it cannot be used.
    """
    try:
        content = json.loads(data)
        size = int(content["w"]), int(content["h"])
        k = [float(value) for value in content["K"]]
        lens = (k[0], k[4], k[6], k[7])
        own = content.get("perFrameIntrinsicCoeffs") or []
        entries = []
        for number, pose in enumerate(content["poses"]):
            numbers = [float(value) for value in (own[number] if number < len(own) else lens)]
            turn = Rotation.from_quat(np.array(pose[:4], float)).as_matrix()
            place = np.array(pose[4:7], float).reshape(3)
            entries.append(_entry(f"rgb/{number}.jpg", turn, place, size, numbers))
    except FAULTS:
        raise CamerasError(DAMAGED) from None
    return BroughtFile(entries, 1.0, ARKIT)


def is_polycam(data: bytes) -> bool:
    """Whether a JSON file is the camera of one photo of Polycam."""
    return b'"t_00"' in data and b'"t_23"' in data and b'"fx"' in data


def read_polycam(data: bytes, name: str) -> Brought:
    """The camera of the file called `name` in the source. Raises CamerasError when it cannot be used."""
    try:
        content = json.loads(data)
        pose = np.array([[float(content[f"t_{i}{j}"]) for j in range(4)] for i in range(3)])
        size = int(content["width"]), int(content["height"])
        numbers = [float(content[key]) for key in ("fx", "fy", "cx", "cy")]
        return _entry(photo_of(name), pose[:, :3], pose[:, 3], size, numbers)
    except FAULTS:
        raise CamerasError(DAMAGED) from None


def photo_of(name: str) -> str:
    """The photo of one of Polycam's cameras: keyframes/cameras/1.json is of keyframes/images/1.jpg."""
    path = PurePosixPath(name)
    folder = re.sub("cameras$", "images", path.parent.name)
    return (path.parent.parent / folder / f"{path.stem}.jpg").as_posix()


def best_cameras(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of Polycam's corrected cameras where it has them, which its own optimisation moved."""
    corrected = {
        name: data
        for name, data in files.items()
        if PurePosixPath(name).parent.name.startswith("corrected")
    }
    return corrected or dict(files)


def _entry(
    name: str, turn: Array, place: Array, size: tuple[int, int], numbers: list[float]
) -> Brought:
    width, height = size
    if not (0 < width < 1 << 20 and 0 < height < 1 << 20):
        raise CamerasError(f"the size of {name} is missing")
    to_camera = FROM_OPENGL @ turn.T
    lens = Lens("PINHOLE", width, height, tuple(numbers))
    return checked(name, to_camera, -to_camera @ place, lens)
