"""Cameras of OpenDroneMap's results: odm_report/shots.geojson, with the lenses of cameras.json.

`rotation` is an angle-axis vector from world to camera with axes as OpenCV's, as in OpenSfM; `translation` is
the camera's place, in metres of the UTM zone. Only `focal` of a lens is in the same file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from scripts.lib.photos.opensfm import lens_of
from scripts.lib.photos.placed import BroughtFile, CamerasError, checked


def is_shots(data: bytes) -> bool:
    """Whether a GeoJSON file is OpenDroneMap's list of shots."""
    return all(key in data for key in (b'"features"', b'"rotation"', b'"translation"', b'"camera"'))


def read_shots(data: bytes, cameras: bytes | None = None) -> BroughtFile:
    """Poses and lenses of all shots; `cameras` is cameras.json.

    Raises CamerasError when they cannot be used.
    """
    try:
        lenses: Mapping[str, Any] = json.loads(cameras) if cameras is not None else {}
        found = []
        for feature in json.loads(data)["features"]:
            shot = feature["properties"]
            turn = Rotation.from_rotvec(np.array(shot["rotation"], float)).as_matrix()
            place = np.array(shot["translation"], float).reshape(3)
            told = lenses.get(shot["camera"]) or {
                "projection_type": "perspective",
                **{key: shot[key] for key in ("width", "height", "focal")},
            }
            lens = lens_of(told, str(shot["camera"]))
            found.append(checked(str(shot["filename"]), turn, -turn @ place, lens))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        raise CamerasError("it is damaged or not complete") from None
    return BroughtFile(found, 1.0, "the GPS that OpenDroneMap fitted")
