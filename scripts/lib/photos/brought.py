"""Camera poses that another program computed: recognised in the source and given to the photos they mean.

Every reader returns `Brought` entries in one convention: world to camera, axes as OpenCV's (x right, y down,
z forward), lenses as COLMAP's, pixels from the picture's upper left corner. Units and the directions of the
world are those of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from scripts.lib.contracts.photos import Beside, BroughtPose
from scripts.lib.core.console import UserError, one_line, say
from scripts.lib.photos.colmap_model import model_folders, read_model
from scripts.lib.photos.metashape import is_metashape, read_metashape
from scripts.lib.photos.opensfm import is_opensfm, read_opensfm
from scripts.lib.photos.options import RejectedError
from scripts.lib.photos.photo_index import PhotoIndex
from scripts.lib.photos.placed import Brought, CamerasError, Lens
from scripts.lib.photos.prepare import Item
from scripts.lib.photos.reality_xmp import is_reality_xmp, read_reality_xmp
from scripts.lib.photos.source import SourceFile, read_file
from scripts.lib.photos.transforms_json import is_transforms, read_transforms

KIND = "cameras"
NAMED = 5  # photos that a sentence lists
SAME_SHAPE = 0.01  # relative difference of two aspect ratios
TURNED_90 = 5  # EXIF orientations from here on swap width and height
# Clockwise from the stored picture to the upright one, by EXIF orientation; others are mirrored.
QUARTERS = {3: 2, 6: 1, 8: 3}
# What a file of some suffix may be, and how it is read then.
Reader = tuple[Callable[[bytes], bool], Callable[[bytes], list[Brought]]]
READERS: dict[str, tuple[Reader, ...]] = {
    ".json": ((is_transforms, read_transforms), (is_opensfm, read_opensfm)),
    ".xml": ((is_metashape, read_metashape),),
}


@dataclass(frozen=True)
class BroughtCameras:
    """The poses of a source, the file or folder they came from, and all files that belong to it."""

    file: str = ""
    entries: Sequence[Brought] = ()
    names: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class _Candidate:
    file: str
    names: frozenset[str]
    read: Callable[[], list[Brought]]


def find_cameras(files: Sequence[SourceFile], wanted: str) -> BroughtCameras:
    """The cameras that a source brings; `wanted` is `auto`, `ignore`, or the name of a file or folder.

    Files that are ignored are named all the same: they hold no positions. Raises UserError when the file that
    was asked for is not there or no file with cameras, or any that was found cannot be read.
    """
    found = _candidates(files)
    names = frozenset(name for candidate in found for name in candidate.names)
    if wanted == "ignore":
        return BroughtCameras(names=names)
    if wanted != "auto":
        asked = wanted.strip("/")
        found = [c for c in found if asked == c.file.strip("/") or asked in c.names]
        if not found:
            raise UserError(
                f"import_photos.cameras is {wanted}, which the source lacks or which holds no cameras; give "
                "the folder of a COLMAP model, a transforms.json or a Metashape .xml inside the source"
            )
    if not found:
        return BroughtCameras()
    chosen = found[0]
    for other in found[1:]:
        say(one_line(f"Cameras of {other.file} are not used: those of {chosen.file} are"))
    try:
        entries = chosen.read()
    except (CamerasError, RejectedError) as error:
        raise UserError(
            f"{chosen.file} cannot be read as cameras: {error}; export it again, or set "
            "import_photos.cameras to ignore, and the poses are computed from the photos"
        ) from None
    if not entries:
        say(f"{chosen.file} holds no camera poses; they are computed from the photos")
    return BroughtCameras(chosen.file, entries, names)


def _candidates(files: Sequence[SourceFile]) -> list[_Candidate]:
    by_name = {file.name: file for file in files}
    found: list[_Candidate] = []
    for folder, members in model_folders(by_name).items():
        parts = {part: by_name[name] for part, name in members.items()}

        def model(parts: dict[str, SourceFile] = parts) -> list[Brought]:
            return read_model({part: read_file(file) for part, file in parts.items()})

        found.append(_Candidate(folder or "the COLMAP model", frozenset(members.values()), model))
    for file in files:
        readers = READERS.get(file.suffix)
        if readers is None:
            continue
        try:
            data = read_file(file)
        except RejectedError:
            continue
        found += [
            _Candidate(file.name, frozenset({file.name}), partial(read, data))
            for known, read in readers
            if known(data)
        ]
    return found + _sidecars(files)


def _sidecars(files: Sequence[SourceFile]) -> list[_Candidate]:
    """The XMP files with poses, all together, each of the photo that has its name."""
    data: dict[str, bytes] = {}
    for file in files:
        if file.suffix == ".xmp":
            try:
                content = read_file(file)
            except RejectedError:
                continue
            if is_reality_xmp(content):
                data[file.name] = content
    if not data:
        return []

    def read() -> list[Brought]:
        return [read_reality_xmp(text, name[: -len(".xmp")]) for name, text in data.items()]

    return [_Candidate("XMP files", frozenset(data), read)]


def with_poses(items: Sequence[Item], cameras: BroughtCameras) -> tuple[list[Item], list[Beside]]:
    """The items with the poses that `cameras` brings for them, and a line for photos.json.

    Lenses are scaled to the archived picture. Raises UserError when the file means other photos.
    """
    if not cameras.entries:
        return list(items), []
    index = PhotoIndex([item.photo.original for item in items])
    place = {item.photo.original: number for number, item in enumerate(items)}
    given: dict[int, Brought] = {}
    for entry in cameras.entries:
        meant = index.find(entry.name).meant
        if meant and items[place[meant[0]]].photo.kept:
            given.setdefault(place[meant[0]], entry)
    done, note = _given_out(items, given)
    posed = sum(item.photo.brought is not None for item in done)
    if posed < 2:
        example = cameras.entries[0].name
        raise UserError(
            f"{cameras.file} has {len(cameras.entries)} poses (such as of {example}), but only {posed} of"
            " them are of photos of this source: put the photos it was made from beside it, unchanged, or set"
            " import_photos.cameras to ignore"
        )
    missing = len(cameras.entries) - len(given)
    if missing > 0:
        note += f"; {missing} of its photos are not in the source or were left out"
    return done, [Beside(cameras.file, KIND, note)]


def _given_out(items: Sequence[Item], given: Mapping[int, Brought]) -> tuple[list[Item], str]:
    """The items with their poses, and how many have one, in words."""
    done = list(items)
    without: list[str] = []
    turned: list[str] = []
    for number, item in enumerate(items):
        if not item.photo.kept:
            continue
        if number not in given:
            without.append(item.photo.file)
            continue
        pose = _fitted(item, given[number])
        if pose is None:
            turned.append(item.photo.file)
        else:
            done[number] = replace(item, photo=replace(item.photo, brought=pose))
    note = f"poses of {sum(item.photo.brought is not None for item in done)} photos"
    if without:
        note += f"; none for {len(without)}: {_listed(without)}"
    if turned:
        note += f"; of another shape than the photo for {len(turned)}: {_listed(turned)}"
    return done, note


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (" ..." if len(names) > NAMED else "")


def _fitted(item: Item, entry: Brought) -> BroughtPose | None:
    """The pose for the archived picture; None where its lens belongs to a picture of another shape.

    Most programs leave a photo's EXIF orientation aside: then the lens is that of the stored picture, and the
    camera has to be turned as the import turned the picture. Others turn it first; their lens has the shape
    of the upright picture. Where both have one shape, the stored one is meant.
    """
    upright = item.photo.size
    known = bool(entry.lens.width and entry.lens.height)
    stored = item.stored_size if known or item.turn < TURNED_90 else upright
    entry = replace(entry, lens=entry.lens.sized(*stored))
    if known and item.turn != 1 and _same_shape(entry.lens, *item.stored_size):
        if item.turn not in QUARTERS:
            return None  # a mirrored picture has no camera
        for _ in range(QUARTERS[item.turn]):
            entry = entry.turned()
    if not _same_shape(entry.lens, *upright):
        return None
    scaled = entry.lens.scaled(*upright)
    x, y, z, w = Rotation.from_matrix(entry.rotation).as_quat()
    numbers: npt.NDArray[np.float64] = np.array([w, x, y, z, *entry.translation])
    return BroughtPose(tuple(map(float, numbers)), scaled.model, scaled.params)  # type: ignore[arg-type]


def _same_shape(lens: Lens, width: int, height: int) -> bool:
    return abs(lens.width / lens.height / (width / height) - 1) <= SAME_SHAPE
