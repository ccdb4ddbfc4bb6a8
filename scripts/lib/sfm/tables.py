"""A model's sightings and points as arrays.

COLMAP's bindings hand out one sighting at a time, some microseconds each, and a model of 300 photos has a
million. COLMAP's own files have them in rows, and are written and read ten times as fast.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pycolmap

from scripts.lib.core.geo import Array

Rows = npt.NDArray[np.int64]
Shot = tuple[int, Array, pycolmap.Rigid3d]

FEATURE = np.dtype([("xy", "<f8", 2), ("point", "<i8")])
IMAGE_HEAD = 64  # bytes: number, rotation, translation, camera; then the name and a zero
POINT_HEAD, TRACK_STEP = (
    51,
    8,
)  # number, place, colour, error, length of the track; then its sightings


@dataclass(frozen=True)
class Tables:
    """Of the registered photos, by COLMAP's number: rows and pixels (K, 2) of the features that see
    a point, and the points' numbers (K,). Of all points, ascending by number: `points` (P,), `xyz` (P, 3),
    and how many photos see each, `lengths` (P,)."""

    features: dict[int, Rows]
    pixels: dict[int, Array]
    seen: dict[int, Rows]
    points: Rows
    xyz: Array
    lengths: Rows


def tables(model: pycolmap.Reconstruction) -> Tables:
    """Read a model's sightings and points."""
    with tempfile.TemporaryDirectory(prefix="splatmake.") as folder:
        model.write_binary(folder)
        images = (Path(folder) / "images.bin").read_bytes()
        points = (Path(folder) / "points3D.bin").read_bytes()
    features, pixels, seen = _images(images)
    return Tables(features, pixels, seen, *_points(points))


def as_taken(camera: int, pixels: Array, pose: pycolmap.Rigid3d) -> Shot:
    """A photo as it is. See `with_points`."""
    return camera, pixels, pose


def with_points(
    model: pycolmap.Reconstruction,
    found: Tables,
    points: Rows,
    shown: Callable[[int, Array, pycolmap.Rigid3d], Shot] = as_taken,
) -> pycolmap.Reconstruction:
    """A model of the registered photos with the `points` (numbers) alone, and the features that see them.

    A copy would still have every feature of every photo, and each adjustment, copy and file of it goes
    through them all: of 300 photos a million, where trials of lenses need 20 000.

    found: the model's tables. shown: what to make of the camera's number, the features' pixels (K, 2) and the
    pose of each photo. Cameras, photos and points keep their numbers and their order; every camera is
    a rig, and every photo a frame, of its own.
    """
    result = pycolmap.Reconstruction()
    images = sorted(model.reg_image_ids())
    counts = [len(found.seen[number]) for number in images]
    seen = np.concatenate([np.zeros(0, np.int64), *(found.seen[number] for number in images)])
    kept = np.isin(seen, points)
    numbers, photo = seen[kept], np.repeat(images, counts).astype(np.int64)[kept]
    feature = []
    for number, mine in zip(images, np.split(kept, np.cumsum(counts)[:-1]), strict=True):
        image = model.image(number)
        camera, pixels, pose = shown(
            image.camera_id, found.pixels[number][mine], image.cam_from_world()
        )
        if not result.exists_camera(camera):
            made = pycolmap.Camera(model.cameras[camera].todict())
            result.add_camera_with_trivial_rig(made)
        result.add_image_with_trivial_frame(
            pycolmap.Image(image.name, pixels, camera, number), pose
        )
        feature.append(np.arange(len(pixels)))
    order = np.argsort(numbers, kind="stable")
    numbers, begins = np.unique(numbers[order], return_index=True)
    places = np.column_stack([photo, np.concatenate(feature)])[order]
    for number, track in zip(numbers.tolist(), np.split(places, begins[1:]), strict=False):
        elements = [pycolmap.TrackElement(*e) for e in track.tolist()]
        result.add_point3D_with_id(number, _seen_by(model.point3D(number), elements))
    return result


def add_points(result: pycolmap.Reconstruction, model: pycolmap.Reconstruction) -> None:
    """Add the points of `model` to a copy with some of its photos, which have all their features."""
    for number, point in model.points3D.items():
        kept = [e for e in point.track.elements if result.exists_image(e.image_id)]
        result.add_point3D_with_id(number, _seen_by(point, kept))


def _seen_by(
    point: pycolmap.Point3D, elements: Sequence[pycolmap.TrackElement]
) -> pycolmap.Point3D:
    """A copy of the point with another track."""
    copy = pycolmap.Point3D()
    copy.xyz, copy.color, copy.error = point.xyz, point.color, point.error
    copy.track = pycolmap.Track(list(elements))
    return copy


def _images(data: bytes) -> tuple[dict[int, Rows], dict[int, Array], dict[int, Rows]]:
    features, pixels, seen = {}, {}, {}
    at = 8
    for _ in range(struct.unpack_from("<Q", data)[0]):
        (number,) = struct.unpack_from("<I", data, at)
        at = data.index(b"\0", at + IMAGE_HEAD) + 1
        (count,) = struct.unpack_from("<Q", data, at)
        rows = np.frombuffer(data, FEATURE, count, at + 8)
        at += 8 + count * FEATURE.itemsize
        features[number] = np.flatnonzero(rows["point"] >= 0)  # -1: it sees none
        pixels[number] = rows["xy"][features[number]]
        seen[number] = rows["point"][features[number]]
    return features, pixels, seen


def _points(data: bytes) -> tuple[Rows, Array, Rows]:
    (count,) = struct.unpack_from("<Q", data)
    heads, lengths, at = [], [], 8
    length_of = struct.Struct("<Q").unpack_from
    for _ in range(count):
        (length,) = length_of(data, at + POINT_HEAD - 8)
        heads.append(at)
        lengths.append(length)
        at += POINT_HEAD + TRACK_STEP * length
    where = np.array(heads, np.int64)[:, None] + np.arange(32)  # number and place
    rows = np.frombuffer(data, np.uint8)[where].view([("number", "<i8"), ("xyz", "<f8", 3)])[:, 0]
    order = np.argsort(rows["number"])
    return rows["number"][order], rows["xyz"][order], np.array(lengths, np.int64)[order]
