"""Cameras of OpenDroneMap and OpenSfM: reconstruction.json (https://opensfm.org/docs/dataset.html).

A shot's rotation is an angle-axis vector from world to camera, with axes as OpenCV's. Lenses are in
normalised coordinates: the longer side of the picture is 1, and the origin is its middle.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from scripts.lib.photos.placed import BroughtFile, CamerasError, Lens, checked, opencv_lens

PINHOLES = ("perspective", "brown", "simple_radial", "radial")
FISHEYES = ("fisheye", "fisheye_opencv")
MOST_RADIANS = 2 * math.pi + 0.1  # of a turn; beyond it the numbers are degrees


def is_opensfm(data: bytes) -> bool:
    """Whether a JSON file is a reconstruction of OpenSfM."""
    return b'"shots"' in data and b'"cameras"' in data and data.lstrip()[:1] in (b"[", b"{")


def read_opensfm(data: bytes) -> BroughtFile:
    """Poses and lenses of the largest reconstruction. Raises CamerasError when it cannot be used.

    It is in metres where it has a place on the Earth, because its positions then fit GPS.
    """
    try:
        content = json.loads(data)
        parts = content if isinstance(content, list) else [content]
        largest = max(parts, key=lambda part: len(part["shots"]))
        turns = np.array([shot["rotation"] for shot in largest["shots"].values()], float)
        turns = turns.reshape(-1, 3)
        degrees = bool((np.linalg.norm(turns, axis=1) > MOST_RADIANS).any())
        found = []
        for name, shot in largest["shots"].items():
            turn = Rotation.from_rotvec(shot["rotation"], degrees).as_matrix()
            shift = np.array(shot["translation"], float).reshape(3)
            lens = lens_of(largest["cameras"][shot["camera"]], str(shot["camera"]))
            found.append(checked(name, turn, shift, lens))
        place = largest.get("reference_lla") or {}
        placed = any(float(place.get(key) or 0.0) for key in ("latitude", "longitude"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        raise CamerasError("it is damaged or not complete") from None
    remarks = ("has its rotations in degrees instead of radians; they are read so",) * degrees
    return BroughtFile(
        found,
        1.0 if placed else None,
        "the GPS that OpenSfM fitted" if placed else None,
        remarks,
    )


def lens_of(camera: Mapping[str, Any], name: str) -> Lens:
    """The lens of a camera called `name`. Raises CamerasError when it cannot be used."""
    kind = camera.get("projection_type")
    if kind not in PINHOLES + FISHEYES:
        raise CamerasError(
            f"the camera {name} is {kind}; only frame and fisheye lenses are supported"
        )

    def number(*keys: str) -> float:
        return next((float(camera[key]) for key in keys if camera.get(key) is not None), 0.0)

    width, height = int(camera["width"]), int(camera["height"])
    if not (0 < width < 1 << 20 and 0 < height < 1 << 20):
        raise CamerasError(f"the camera {name} has no size")
    side = max(width, height)
    focal = (side * number("focal_x", "focal"), side * number("focal_y", "focal"))
    centre = (width / 2 + side * number("c_x"), height / 2 + side * number("c_y"))
    terms = {key: number(key) for key in ("k1", "k2", "k3", "k4", "p1", "p2")}
    if kind in FISHEYES:
        params = (*focal, *centre, *(terms[f"k{i}"] for i in range(1, 5)))
        return Lens("OPENCV_FISHEYE", width, height, params)
    terms["k4"] = 0.0  # of fisheye lenses alone
    return opencv_lens(width, height, focal, centre, **terms)
