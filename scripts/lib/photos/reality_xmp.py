"""Camera poses in XMP files beside photos, as RealityCapture and RealityScan export them.

`xcr:Rotation` is the rotation from world to camera, row by row, with axes as OpenCV's; `xcr:Position` is the
camera's place. `FocalLength35mm` and the principal point count in the longer side: 36 mm, and shares of it
from the picture's middle. Distortion models with the names brown3 and brown4 hold k1 k2 k3 (k4) p1 p2.
"""

from __future__ import annotations

import re

import numpy as np

from scripts.lib.photos.placed import Brought, CamerasError, checked, opencv_lens

NAMES = ("Rotation", "Position", "FocalLength35mm", "DistortionCoeficients", "DistortionModel")
OFFSETS = ("PrincipalPointU", "PrincipalPointV")
FILM = 36.0  # mm, the longer side


def is_reality_xmp(data: bytes) -> bool:
    """Whether an XMP file has a camera's pose."""
    return b"xcr:" in data and b"Rotation" in data and b"Position" in data


def read_reality_xmp(data: bytes, name: str) -> Brought:
    """The camera of the photo `name`. Raises CamerasError when it cannot be used."""
    text = data.decode("utf-8", "replace")
    found = {key: _value(text, key) for key in (*NAMES, *OFFSETS)}
    try:
        rotation = np.array((found["Rotation"] or "").split(), float).reshape(3, 3)
        position = np.array((found["Position"] or "").split(), float).reshape(3)
        focal = float(found["FocalLength35mm"] or "") / FILM
        offset = (float(found["PrincipalPointU"] or 0), float(found["PrincipalPointV"] or 0))
        numbers = [float(word) for word in (found["DistortionCoeficients"] or "").split()]
    except ValueError:
        raise CamerasError("it is damaged or not complete") from None
    if found["DistortionModel"] == "division":
        raise CamerasError("its lens model is division: export with Brown's model")
    numbers = [*numbers, *[0.0] * 6][:6]
    # RealityCapture's k4 has no place in OpenCV's model, and its tangential terms stand the other way round.
    terms = {
        "k1": numbers[0],
        "k2": numbers[1],
        "k3": numbers[2],
        "p1": numbers[5],
        "p2": numbers[4],
    }
    lens = opencv_lens(0, 0, (focal, focal), offset, **terms)
    return checked(name, rotation, -rotation @ position, lens)


def _value(text: str, key: str) -> str | None:
    """An element's text or an attribute's value."""
    for pattern in (rf"<xcr:{key}>([^<]*)</xcr:{key}>", rf'xcr:{key}="([^"]*)"'):
        if match := re.search(pattern, text):
            return match[1].strip()
    return None
