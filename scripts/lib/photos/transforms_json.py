"""Cameras of a transforms.json, as nerfstudio, instant-ngp, Polycam and Record3D exports have it.

`transform_matrix` is camera to world with OpenGL's camera axes (x right, y up, z backward)
(https://docs.nerf.studio/quickstart/data_conventions.html).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from scripts.lib.photos.placed import (
    Array,
    Brought,
    BroughtFile,
    CamerasError,
    Lens,
    checked,
    opencv_lens,
)

FROM_OPENGL = np.diag([1.0, -1.0, -1.0])
TERMS = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")


def is_transforms(data: bytes) -> bool:
    """Whether a JSON file has the frames of a transforms.json."""
    if b'"transform_matrix"' not in data or b'"frames"' not in data:
        return False
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return True  # what is damaged is told when it is read
    return isinstance(content, dict)


def read_transforms(data: bytes) -> BroughtFile:
    """Poses and lenses of all frames that have a pose. Raises CamerasError when one has wrong numbers.

    Files with depth maps in a stated unit come from phones, whose poses are in metres.
    """
    try:
        content = json.loads(data)
        frames = content["frames"]
        undo = _undone(content)
        posed = [frame for frame in frames if frame.get("transform_matrix") is not None]
        entries = [_entry(frame, content, undo) for frame in posed]
        remarks = []
        if len(posed) < len(frames):
            remarks.append(f"has no pose for {len(frames) - len(posed)} of its frames")
        if any(_in_degrees(place) for place in (content, *posed)):
            remarks.append("has camera_angle_x in degrees instead of radians; it is read so")
        phone = content.get("integer_depth_scale") is not None
        return BroughtFile(
            entries,
            1.0 if phone else None,
            "the depth camera of the phone" if phone else None,
            tuple(remarks),
            points_file=str(content["ply_file_path"]) if content.get("ply_file_path") else None,
            points_from=undo,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        raise CamerasError("it is damaged or not complete") from None
    except np.linalg.LinAlgError:
        raise CamerasError("its applied_transform has no inverse") from None


def _undone(content: Mapping[str, Any]) -> Array:
    """From the file's world back to the one before `applied_transform` (3 x 4) and `applied_scale`."""
    applied = np.eye(4)
    if content.get("applied_transform") is not None:
        rows = np.array(content["applied_transform"], float)
        applied[:3] = rows[:3].reshape(3, 4)
    scale = float(content.get("applied_scale") or 1.0)
    return np.asarray(np.linalg.inv(np.diag([scale, scale, scale, 1.0]) @ applied))


def _entry(frame: Mapping[str, Any], content: Mapping[str, Any], undo: Array) -> Brought:
    name = str(frame["file_path"])
    written = np.array(frame["transform_matrix"], float)
    if written.shape not in ((3, 4), (4, 4)):
        raise CamerasError(f"transform_matrix of {name} is not 4 by 4")
    pose = np.eye(4)
    pose[:3] = written[:3]
    pose = undo @ pose
    size = np.cbrt(abs(np.linalg.det(pose[:3, :3])))
    if not size > 0:
        raise CamerasError(f"transform_matrix of {name} is no pose")
    to_camera = FROM_OPENGL @ (pose[:3, :3] / size).T
    return checked(name, to_camera, -to_camera @ pose[:3, 3], _lens(frame, content, name))


def _in_degrees(place: Mapping[str, Any]) -> bool:
    return not place.get("fl_x") and float(place.get("camera_angle_x") or 0.0) > math.pi


def _lens(frame: Mapping[str, Any], content: Mapping[str, Any], name: str) -> Lens:
    """The frame's own numbers, else those of all."""

    def number(key: str) -> float:
        value = frame.get(key, content.get(key))
        return 0.0 if value is None else float(value)

    width, height = int(number("w")), int(number("h"))
    focal = number("fl_x") or number("fl_y")
    if not (width or height):  # Blender's exports: the photo tells its size
        width, height = round(2 * number("cx")), round(2 * number("cy"))
    if not focal and number("camera_angle_x"):
        angle = number("camera_angle_x")
        if angle > math.pi:  # no lens sees that much; see `_in_degrees`
            angle = math.radians(angle)
        focal = (width or 1) / 2 / math.tan(angle / 2) if 0 < angle < math.pi else 0.0
    if focal and not (width or height or number("fl_x") or number("fl_y")):
        return Lens("PINHOLE", 0, 0, (focal, focal, 0.0, 0.0), by_width=True)
    if not (0 < width < 1 << 20 and 0 < height < 1 << 20):
        raise CamerasError(f"the size (w, h) of {name} is missing")
    if not focal:
        raise CamerasError(f"the focal length (fl_x or camera_angle_x) of {name} is missing")
    across = (focal, number("fl_y") or focal)
    centre = (number("cx") or width / 2, number("cy") or height / 2)
    terms = {key: number(key) for key in TERMS}
    kind = str(frame.get("camera_model", content.get("camera_model")) or "")
    if kind == "OPENCV_FISHEYE" or content.get("is_fisheye"):
        params = (*across, *centre, *(terms[f"k{i}"] for i in range(1, 5)))
        return Lens("OPENCV_FISHEYE", width, height, params)
    return opencv_lens(width, height, across, centre, **terms)
