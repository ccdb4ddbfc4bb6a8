"""Matches between the photos of two captures, from the features that both have already."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pycolmap
from scipy.spatial import cKDTree

from scripts.lib.core.console import UserError
from scripts.lib.core.geo import Array
from scripts.lib.sfm.descriptors import comparer
from scripts.lib.sfm.joint.fit import Side
from scripts.lib.sfm.matching import match_pairs, verified_matches, verified_pairs
from scripts.lib.sfm.options import MatchOptions
from scripts.lib.sfm.retrieval import MOST_FEATURES, SCORED, VOTES, coarse_descriptors
from scripts.lib.sfm.rigs import is_exact
from scripts.lib.sfm.tables import Rows, tables

# The database may have other features than the model, which a retry of mapping found: those within so many
# pixels of each other are of the same point.
SAME_PLACE_PX = 1.0
# Features of a photo that vote: comparisons grow with the square of photos times features.
FULL_UP_TO, FEWER = 250, 96

Votes = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Capture:
    """A finished scene: its name, its model in its final frame, and the features of its photos."""

    scene: str
    model: pycolmap.Reconstruction
    database: Path  # features.db

    @cached_property
    def images(self) -> dict[str, int]:
        """COLMAP's number of each registered photo by its name, ascending by name."""
        found = {self.model.image(number).name: number for number in self.model.reg_image_ids()}
        return dict(sorted(found.items()))


@dataclass(frozen=True)
class Common:
    """K matches between two captures: the features in the reference and in the other one.

    photos (K, 2): COLMAP's numbers of the two photos. tried, verified: pairs of photos that were compared,
    and those that a geometry explains. device: where features were compared, cuda or cpu.
    """

    reference: Side
    other: Side
    photos: Rows
    tried: int
    verified: int
    device: str


def match_captures(
    reference: Capture,
    other: Capture,
    scratch: Path,
    options: MatchOptions,
    most_pairs: int,
    neighbours: int,
    threads: int,
) -> Common:
    """Compare photos of two captures with each other, all of them up to `most_pairs`.

    Above that each photo is compared with the `neighbours` photos of the other capture that look most like
    it.
    scratch: an empty folder for a database. Raises UserError when a database lacks photos of its model.
    """
    database = scratch / "both.db"
    names = _write_both(reference, other, database)
    first, second = names
    if len(first) * len(second) <= most_pairs:
        pairs = [(a, b) for a in first for b in second]
    else:
        pairs = alike(cross_votes(reference, other, threads), first, second, neighbours)
    device = match_pairs(database, pairs, options, threads)
    found = verified_matches(database)
    one, two, photos = _sides(reference, other, database, found)
    return Common(one, two, photos, len(pairs), len(verified_pairs(database)), device)


def cross_votes(reference: Capture, other: Capture, threads: int) -> Votes:
    """How much photos look alike: votes (N, M) of each photo of the reference for each of the other capture.

    See `retrieval.count_votes`, which counts within one capture.
    """
    compare = comparer("cpu")
    each = MOST_FEATURES if len(reference.images) + len(other.images) <= FULL_UP_TO else FEWER
    packed = []
    for capture in (reference, other):
        link = pycolmap.Database.open(capture.database)
        ids = _ids(link, capture)
        packed.append(
            [compare.pack(coarse_descriptors(link, ids[name], each)) for name in capture.images]
        )
        link.close()
    first, second = packed

    def row(one: Any) -> list[int]:
        return [len(compare.match(one, two, VOTES)) for two in second]

    workers = threads if compare.concurrent else 1
    with ThreadPoolExecutor(workers) as pool:
        return np.array(list(pool.map(row, first)), np.int32).reshape(len(first), len(second))


def alike(
    votes: Votes, first: Sequence[str], second: Sequence[str], most: int
) -> list[tuple[str, str]]:
    """Of each photo of both captures the `most` photos of the other one with the most votes, above chance."""
    pairs: set[tuple[int, int]] = set()
    for row in range(len(first)):
        best = np.argsort(-votes[row], kind="stable")[:most]
        pairs.update((row, int(column)) for column in best if votes[row, column] >= SCORED)
    for column in range(len(second)):
        best = np.argsort(-votes[:, column], kind="stable")[:most]
        pairs.update((int(row), column) for row in best if votes[row, column] >= SCORED)
    return [(first[row], second[column]) for row, column in sorted(pairs)]


def _ids(link: Any, capture: Capture) -> dict[str, int]:
    """Image numbers in a database by name. Raises UserError when it lacks a photo of the model."""
    ids = {image.name: image.image_id for image in link.read_all_images()}
    missing = [name for name in capture.images if name not in ids]
    if missing:
        raise UserError(
            f"{capture.database} lacks {len(missing)} of the {len(capture.images)} photos of"
            f" {capture.scene}; run extract_features for {capture.scene} again"
        )
    return ids


def _write_both(reference: Capture, other: Capture, database: Path) -> tuple[list[str], list[str]]:
    """A database of the registered photos of both, and their names in it; file names of two captures may
    be the same, so each has a number in front. The lenses are the models' own."""
    link = pycolmap.Database.open(database)
    written: list[list[str]] = []
    with pycolmap.DatabaseTransaction(link):
        for number, capture in enumerate((reference, other)):
            source = pycolmap.Database.open(capture.database)
            ids = _ids(source, capture)
            cameras: dict[int, tuple[int, int]] = {}
            names = []
            for name, image_id in capture.images.items():
                camera_id = capture.model.image(image_id).camera_id
                if camera_id not in cameras:
                    cameras[camera_id] = _write_camera(link, capture.model.cameras[camera_id])
                names.append(f"{number}/{name}")
                _copy_photo(source, ids[name], link, names[-1], cameras[camera_id])
            source.close()
            written.append(names)
    link.close()
    return written[0], written[1]


def _write_camera(link: Any, camera: pycolmap.Camera) -> tuple[int, int]:
    """Numbers of a copy of the camera, and of a rig of it alone."""
    copy = pycolmap.Camera(camera.todict())
    copy.camera_id = pycolmap.INVALID_CAMERA_ID
    if is_exact(copy):
        # The views of a panorama would wait for each other; here each is verified alone, as photos are.
        copy.params = [value * (1 + 1e-9) for value in copy.params]
    copy.has_prior_focal_length = True
    copy.camera_id = link.write_camera(copy)
    rig = pycolmap.Rig()
    rig.add_ref_sensor(copy.sensor_id)
    return copy.camera_id, link.write_rig(rig)


def _copy_photo(source: Any, source_id: int, link: Any, name: str, camera: tuple[int, int]) -> None:
    image = pycolmap.Image(name=name, camera_id=camera[0])
    image.image_id = link.write_image(image)
    frame = pycolmap.Frame()
    frame.rig_id = camera[1]
    frame.add_data_id(image.data_id)
    link.write_frame(frame)
    link.write_keypoints(image.image_id, source.read_keypoints(source_id))
    if len(source.read_keypoints(source_id)):
        link.write_descriptors(image.image_id, source.read_descriptors(source_id))


def _sides(
    reference: Capture,
    other: Capture,
    database: Path,
    found: dict[tuple[int, int], npt.NDArray[np.int64]],
) -> tuple[Side, Side, Rows]:
    """The verified matches as rays and points of both models, and the photos (K, 2) of each."""
    link = pycolmap.Database.open(database)
    numbers = {image.image_id: image.name for image in link.read_all_images()}
    ends = (_Ends(reference, link), _Ends(other, link))
    for (a, b), rows in sorted(found.items()):
        # The number in front of a name tells the capture; COLMAP orders a pair by its image numbers.
        columns = {numbers[a][0]: (a, rows[:, 0]), numbers[b][0]: (b, rows[:, 1])}
        for number, end in zip("01", ends, strict=True):
            image, features = columns[number]
            end.add(image, numbers[image][2:], features)
    link.close()
    (one, photos), (two, others) = (end.side() for end in ends)
    return one, two, np.c_[photos, others]


class _Ends:
    """What one capture knows of the features in matches."""

    def __init__(self, capture: Capture, link: Any) -> None:
        self._capture, self._link = capture, link
        self._found = tables(capture.model)
        self._known: dict[int, tuple[Array, Rows]] = {}
        self._features: list[Rows] = []
        self._images: list[int] = []

    def add(self, image: int, name: str, features: Rows) -> None:
        """The `features` (K,) of a photo, which are a match each."""
        number = self._capture.images[name]
        if number not in self._known:
            pixels = np.asarray(self._link.read_keypoints(image), float)[:, :2].reshape(-1, 2)
            self._known[number] = self._rays(number, pixels), self._seen(number, pixels)
        self._images.append(number)
        self._features.append(features)

    def _rays(self, number: int, pixels: Array) -> Array:
        """Unit directions (N, 3) of features (N, 2); zeros where the lens has none."""
        camera = self._capture.model.cameras[self._capture.model.image(number).camera_id]
        plane = np.asarray(camera.cam_from_img(pixels), float).reshape(-1, 2)
        ray = np.c_[plane, np.ones(len(plane))]
        ray /= np.linalg.norm(ray, axis=1, keepdims=True)
        return np.where(np.isfinite(ray).all(axis=1, keepdims=True), ray, 0.0)

    def _seen(self, number: int, pixels: Array) -> Rows:
        """Rows (N,) of the model's points that features (N, 2) see, -1 where it has none."""
        point = np.full(len(pixels), -1, np.int64)
        seen = self._found.pixels[number]
        if len(seen) and len(pixels):
            away, nearest = cKDTree(seen).query(pixels, distance_upper_bound=SAME_PLACE_PX)
            near = np.isfinite(away)
            ids = self._found.seen[number][nearest[near]]
            point[near] = np.searchsorted(self._found.points, ids)
        return point

    def side(self) -> tuple[Side, Rows]:
        """All that was added, and the photo (K,) of each."""
        counts = [len(features) for features in self._features]
        photos = np.repeat(np.array(self._images, np.int64), counts)
        poses = {n: self._capture.model.image(n).cam_from_world() for n in set(self._images)}
        none = np.zeros(0, np.int64)
        pairs = list(zip(self._images, self._features, strict=True))
        point = np.concatenate([none, *(self._known[n][1][rows] for n, rows in pairs)])
        xyz = np.full((len(point), 3), np.nan)
        xyz[point >= 0] = self._found.xyz[point[point >= 0]]
        cameras = {n: self._capture.model.image(n).camera_id for n in poses}
        focal = {n: self._capture.model.cameras[c].mean_focal_length() for n, c in cameras.items()}
        side = Side(
            rotation=np.array([poses[n].rotation.matrix() for n in photos.tolist()]).reshape(
                -1, 3, 3
            ),
            shift=np.array([poses[n].translation for n in photos.tolist()]).reshape(-1, 3),
            ray=np.concatenate([np.zeros((0, 3)), *(self._known[n][0][rows] for n, rows in pairs)]),
            focal=np.array([focal[n] for n in photos.tolist()], float),
            xyz=xyz,
            point=point,
        )
        return side, photos
