"""Cameras of Agisoft Metashape's cameras.xml (File > Export > Export Cameras).

Each camera's transform is camera to chunk with axes as OpenCV's; the chunk's own transform leads to its
world. The lens is that of the manual's appendix: x' = x (1 + k1 r^2 + k2 r^4 + k3 r^6 + k4 r^8) +
p1 (r^2 + 2 x^2) + 2 p2 x y, and u = w / 2 + cx + x' f + x' b1 + y' b2, v = h / 2 + cy + y' f.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

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

NAMES = ("f", "fx", "fy", "cx", "cy", "b1", "b2", "k1", "k2", "k3", "k4", "p1", "p2")
HEAD = 4096


def is_metashape(data: bytes) -> bool:
    """Whether an XML file is an export of Metashape's cameras."""
    return re.search(rb"<document[^>]*>\s*<chunk", data[:HEAD]) is not None


def read_metashape(data: bytes) -> BroughtFile:
    """Poses and lenses of the aligned, enabled cameras. Raises CamerasError when it cannot be used.

    They are in metres where a chunk has a scale, which Metashape finds by references.
    """
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise CamerasError("it has declarations that an export does not have")
    try:
        root = ElementTree.fromstring(data)
        found: list[Brought] = []
        metres: list[float | None] = []
        for chunk in root.iter("chunk"):
            lenses = {
                sensor.get("id", ""): _lens(sensor) for sensor in chunk.findall("sensors/sensor")
            }
            world = _world(chunk)
            metres.append(_metres(chunk))
            for camera in chunk.iter("camera"):
                pose = camera.findtext("transform")
                off = camera.get("enabled", "true").lower() in ("false", "0")
                if pose is None or off:
                    continue
                lens = lenses.get(camera.get("sensor_id", ""))
                name = camera.get("label", "")
                if lens is None:
                    raise CamerasError(f"the sensor of {name} has no calibration")
                found.append(_entry(name, _matrix(pose), world, lens))
    except (ElementTree.ParseError, ValueError, TypeError, AttributeError):
        raise CamerasError("it is damaged or not complete") from None
    unit = metres[0] if metres and len(set(metres)) == 1 else None
    return BroughtFile(found, unit, "the references of Metashape" if unit else None)


def _matrix(text: str) -> Array:
    return np.array([float(word) for word in text.split()]).reshape(4, 4)


def _world(chunk: ElementTree.Element) -> Array:
    """From the chunk to its world: rotation, translation and scale, where it has them."""
    world = np.eye(4)
    place = chunk.find("transform")
    if place is None:
        return world
    if rotation := place.findtext("rotation"):
        scale = float(place.findtext("scale") or 1.0)
        world[:3, :3] = scale * np.array(rotation.split(), float).reshape(3, 3)
    if shift := place.findtext("translation"):
        world[:3, 3] = np.array(shift.split(), float)
    return world


def _metres(chunk: ElementTree.Element) -> float | None:
    """Metres in a unit of the chunk's world; None where it has no scale.

    The transform leads into the reference's units for local systems, and into geocentric metres for others.
    """
    if chunk.findtext("transform/scale") is None:
        return None
    system = chunk.findtext("reference") or ""
    unit = re.search(r'^\s*LOCAL_CS.*UNIT\["[^"]*",\s*([0-9.eE+-]+)', system, re.DOTALL)
    factor = float(unit[1]) if unit else 1.0
    return factor if 0 < factor < 1e4 else None


def _entry(name: str, pose: Array, world: Array, lens: Lens) -> Brought:
    if not (np.isfinite(pose).all() and np.isfinite(world).all()):
        raise CamerasError(f"the numbers of {name} are no camera")
    placed = world @ pose
    size = np.cbrt(abs(np.linalg.det(placed[:3, :3])))
    if not size > 0:
        raise CamerasError(f"the transform of {name} is no pose")
    rotation = (placed[:3, :3] / size).T
    # Positions on the Earth have seven digits before the point: the Sim3 to the frame keeps the rest.
    return checked(name, rotation, -rotation @ placed[:3, 3], lens)


def _lens(sensor: ElementTree.Element) -> Lens | None:
    """The adjusted calibration, else the initial one; None where there is none."""
    every = sensor.findall("calibration")
    adjusted = [each for each in every if each.get("class") == "adjusted"]
    if not every:
        return None
    told = (adjusted or every)[-1]
    size = told.find("resolution")
    size = sensor.find("resolution") if size is None else size
    if size is None:
        return None
    width, height = int(size.get("width", "")), int(size.get("height", ""))
    if not (0 < width < 1 << 20 and 0 < height < 1 << 20):
        raise CamerasError("a sensor has no size")
    v = {name: float(told.findtext(name) or 0.0) for name in NAMES}
    focal = (v["f"] + v["b1"], v["f"])
    centre = (width / 2 + v["cx"], height / 2 + v["cy"])
    if told.find("f") is None and v["fx"]:  # PhotoScan before 1.3: pixels from the corner
        focal, centre = (v["fx"], v["fy"] or v["fx"]), (v["cx"], v["cy"])
    if sensor.get("type", "frame") in ("fisheye", "equidistant_fisheye"):
        params = (*focal, *centre, *(v[f"k{i}"] for i in range(1, 5)))
        return Lens("OPENCV_FISHEYE", width, height, params)
    if sensor.get("type", "frame") != "frame":
        raise CamerasError(
            f"a sensor is {sensor.get('type')}; only frame and fisheye are supported"
        )
    # OpenCV's p1 and p2 stand the other way round. It has no k4 and no skew (b2): both are small, and the
    # adjustment of the lens takes up what they leave.
    radial = {f"k{i}": v[f"k{i}"] for i in range(1, 4)}
    return opencv_lens(width, height, focal, centre, **radial, p1=v["p2"], p2=v["p1"])
