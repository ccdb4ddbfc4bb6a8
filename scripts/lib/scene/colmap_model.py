"""COLMAP's binary model (cameras, images, points3D) read from and written to a zip with numpy alone.

Only what a trainer needs is kept: pinhole cameras, poses, and coloured points. The format is COLMAP's
public one (colmap.github.io/format.html); lists of 2D observations are skipped.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from scripts.lib.core.console import UserError

Float = npt.NDArray[np.float64]
OBSERVATION = np.dtype([("x", "<f8"), ("y", "<f8"), ("point", "<i8")])  # -1: of no point
SIMPLE_PINHOLE, PINHOLE = 0, 1  # COLMAP's model numbers; every other model has distortion


@dataclass(frozen=True)
class View:
    """One registered photo: its name, size in pixels, K (3, 3), and world_to_camera (4, 4)."""

    name: str
    width: int
    height: int
    K: Float
    world_to_camera: Float


@dataclass(frozen=True)
class Model:
    """A sparse model: views sorted by name, points (P, 3) in world units, colours (P, 3) uint8."""

    views: tuple[View, ...]
    points: Float
    colours: npt.NDArray[np.uint8]


class _Cursor:
    """Reads little-endian fields one after the other; a short file becomes a UserError."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name, self.at = data, name, 0

    def take(self, layout: str) -> tuple[float, ...]:
        size = struct.calcsize("<" + layout)
        self.need(size)
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += size
        return values

    def text(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise self.damaged()
        value = self.data[self.at : end].decode("utf-8", errors="replace")
        self.at = end + 1
        return value

    def rows(self, layout: np.dtype[np.void], count: int) -> npt.NDArray[np.void]:
        begin = self.at
        self.skip(count * layout.itemsize)
        return np.frombuffer(self.data, layout, count, begin)

    def skip(self, size: int) -> None:
        self.need(size)
        self.at += size

    def need(self, size: int) -> None:
        if self.at + size > len(self.data):
            raise self.damaged()

    def damaged(self) -> UserError:
        return UserError(
            f"{self.name} ends too early; delete the scene zip and run undistort again"
        )


def rotation_from_quat(quat: Sequence[float]) -> Float:
    """Rotation matrix (3, 3) of a quaternion wxyz of any length above zero. Raises ValueError on zero."""
    return np.asarray(Rotation.from_quat(quat, scalar_first=True).as_matrix(), np.float64)


def quat_from_rotation(R: Float) -> Float:
    """Quaternion wxyz of a rotation matrix (3, 3), w >= 0, exact also for half turns."""
    return np.asarray(
        Rotation.from_matrix(R).as_quat(canonical=True, scalar_first=True), np.float64
    )


def _read_cameras(cursor: _Cursor) -> dict[int, tuple[int, int, Float]]:
    cameras: dict[int, tuple[int, int, Float]] = {}
    for _ in range(int(cursor.take("Q")[0])):
        identity, model, width, height = (int(v) for v in cursor.take("IiQQ"))
        if model == PINHOLE:
            fx, fy, cx, cy = cursor.take("4d")
        elif model == SIMPLE_PINHOLE:
            fx, cx, cy = cursor.take("3d")
            fy = fx
        else:
            raise UserError(
                f"{cursor.name}: camera {identity} has COLMAP model {model}, not PINHOLE;"
                " undistort the photos first"
            )
        K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        cameras[identity] = (width, height, K)
    return cameras


def _read_images(cursor: _Cursor, cameras: dict[int, tuple[int, int, Float]]) -> tuple[View, ...]:
    views = []
    for _ in range(int(cursor.take("Q")[0])):
        _, *pose, camera = cursor.take("I7dI")
        name = cursor.text()
        cursor.skip(OBSERVATION.itemsize * int(cursor.take("Q")[0]))
        if int(camera) not in cameras:
            raise UserError(
                f"{cursor.name}: photo {name} names camera {int(camera)}, which is absent"
            )
        if not any(pose[:4]):
            raise UserError(
                f"{cursor.name}: photo {name} has no rotation; delete the scene zip and run undistort again"
            )
        world_to_camera = np.eye(4)
        world_to_camera[:3, :3] = rotation_from_quat(pose[:4])
        world_to_camera[:3, 3] = pose[4:]
        width, height, K = cameras[int(camera)]
        views.append(View(name, width, height, K, world_to_camera))
    return tuple(sorted(views, key=lambda view: view.name))


def read_point_numbers(archive: zipfile.ZipFile, folder: str = "sparse") -> npt.NDArray[np.int64]:
    """By which number (P,) sightings name each point of `read_model`, in its order; raises as it does."""
    cursor = _opened(archive, folder, "points3D")
    numbers = np.zeros(int(cursor.take("Q")[0]), np.int64)
    for row in range(len(numbers)):
        numbers[row], *_, track = cursor.take("Q3d3BdQ")
        cursor.skip(8 * int(track))
    return numbers


def _read_points(cursor: _Cursor) -> tuple[Float, npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Places, colours, and numbers."""
    count = int(cursor.take("Q")[0])
    points, colours = np.zeros((count, 3)), np.zeros((count, 3), np.uint8)
    numbers = np.zeros(count, np.int64)
    for i in range(count):
        numbers[i], x, y, z, r, g, b, _, track = cursor.take("Q3d3BdQ")
        points[i], colours[i] = (x, y, z), (int(r), int(g), int(b))
        cursor.skip(8 * int(track))
    return points, colours, numbers


def read_model(archive: zipfile.ZipFile, folder: str = "sparse") -> Model:
    """Read `folder/{cameras,images,points3D}.bin` of an open zip.

    Raises UserError when a file is missing or cut short, or a camera is not a pinhole.
    """
    cameras = _read_cameras(_opened(archive, folder, "cameras"))
    views = _read_images(_opened(archive, folder, "images"), cameras)
    return Model(views, *_read_points(_opened(archive, folder, "points3D"))[:2])


def read_places(
    archive: zipfile.ZipFile, folder: str = "sparse"
) -> tuple[npt.NDArray[np.int64], Float]:
    """The points' numbers (P,), rising, and places (P, 3); raises UserError as `read_model`."""
    points, _, numbers = _read_points(_opened(archive, folder, "points3D"))
    order = np.argsort(numbers)
    return numbers[order], points[order]


def _opened(archive: zipfile.ZipFile, folder: str, part: str) -> _Cursor:
    member = f"{folder}/{part}.bin"
    try:
        data = archive.read(member)
    except (KeyError, zipfile.BadZipFile):
        raise UserError(
            f"{archive.filename} holds no readable {member}; run undistort again"
        ) from None
    return _Cursor(data, f"{archive.filename}:{member}")


@dataclass(frozen=True)
class Sightings:
    """Where a photo shows the model's points: their numbers (M,), and places (M, 2) as shares of its size."""

    points: npt.NDArray[np.int64]
    places: Float


def read_sightings(archive: zipfile.ZipFile, folder: str = "sparse") -> dict[str, Sightings]:
    """The sightings of every photo of `folder` of an open zip, by name; raises UserError as `read_model`."""
    cameras = _read_cameras(_opened(archive, folder, "cameras"))
    cursor = _opened(archive, folder, "images")
    found = {}
    for _ in range(int(cursor.take("Q")[0])):
        *_, camera = cursor.take("I7dI")
        name = cursor.text()
        seen = cursor.rows(OBSERVATION, int(cursor.take("Q")[0]))
        seen = seen[seen["point"] >= 0]
        width, height, _ = cameras[int(camera)]
        places = np.c_[seen["x"] / width, seen["y"] / height]
        found[name] = Sightings(seen["point"].copy(), places)
    return found


@dataclass(frozen=True)
class Tracks:
    """The model's points with what they rest on: numbers (P,), places (P, 3) in world units, mean
    reprojection errors (P,) in pixels, and how many photos show each (P,)."""

    numbers: npt.NDArray[np.int64]
    places: Float
    errors: Float
    lengths: npt.NDArray[np.int64]


def read_tracks(archive: zipfile.ZipFile, folder: str = "sparse") -> Tracks:
    """The tracks of `folder` of an open zip; raises UserError as `read_model`."""
    cursor = _opened(archive, folder, "points3D")
    count = int(cursor.take("Q")[0])
    numbers, lengths = np.zeros(count, np.int64), np.zeros(count, np.int64)
    places, errors = np.zeros((count, 3)), np.zeros(count)
    for i in range(count):
        number, x, y, z, _, _, _, error, track = cursor.take("Q3d3BdQ")
        numbers[i], places[i], errors[i], lengths[i] = number, (x, y, z), error, track
        cursor.skip(8 * int(track))
    return Tracks(numbers, places, errors, lengths)


def model_members(
    model: Model, folder: str = "sparse", seen: Sequence[tuple[npt.NDArray[np.int64], Float]] = ()
) -> dict[str, bytes]:
    """The three binary files of `model` by member name, one PINHOLE camera per view.

    `seen`, if given, has for each view the rows (M,) of the points that it shows and where, (M, 2) in pixels.
    """
    tracks: list[list[tuple[int, int]]] = [[] for _ in model.points]
    cameras = [struct.pack("<Q", len(model.views))]
    images = [struct.pack("<Q", len(model.views))]
    for number, view in enumerate(model.views, start=1):
        K, pose = view.K, view.world_to_camera
        cameras.append(struct.pack("<IiQQ", number, PINHOLE, view.width, view.height))
        cameras.append(struct.pack("<4d", K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
        quat = quat_from_rotation(pose[:3, :3])
        images.append(struct.pack("<I7dI", number, *quat, *pose[:3, 3], number))
        rows, pixels = seen[number - 1] if seen else (np.zeros(0, np.int64), np.zeros((0, 2)))
        shown = np.zeros(len(rows), OBSERVATION)
        shown["x"], shown["y"], shown["point"] = *pixels.T, rows + 1
        images.append(view.name.encode() + b"\0" + struct.pack("<Q", len(rows)) + shown.tobytes())
        for place, row in enumerate(rows.tolist()):
            tracks[row].append((number, place))
    points = [struct.pack("<Q", len(model.points))]
    for number, (point, colour) in enumerate(zip(model.points, model.colours, strict=True), 1):
        track = np.array(tracks[number - 1], "<u4")
        points.append(struct.pack("<Q3d3Bd", number, *point, *(int(c) for c in colour), 0.0))
        points.append(struct.pack("<Q", len(track)) + track.tobytes())
    parts = {"cameras": cameras, "images": images, "points3D": points}
    return {f"{folder}/{name}.bin": b"".join(chunks) for name, chunks in parts.items()}
