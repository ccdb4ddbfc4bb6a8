"""Camera poses that another program computed: recognised in the source and read.

Every reader returns its entries in one convention: world to camera, axes as OpenCV's (x right, y down,
z forward), lenses as COLMAP's, pixels from the picture's upper left corner. Units and the directions of the
world are those of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath

from scripts.lib.core.console import UserError, one_line, say
from scripts.lib.photos.brought_points import ply_points
from scripts.lib.photos.colmap_model import model_folders, read_model
from scripts.lib.photos.metashape import is_metashape, read_metashape
from scripts.lib.photos.odm_shots import is_shots, read_shots
from scripts.lib.photos.opensfm import is_opensfm, read_opensfm
from scripts.lib.photos.options import RejectedError
from scripts.lib.photos.phone_scans import (
    ARKIT,
    best_cameras,
    is_polycam,
    is_record3d,
    read_polycam,
    read_record3d,
)
from scripts.lib.photos.placed import Brought, BroughtFile, CamerasError
from scripts.lib.photos.reality_csv import is_reality_csv, read_reality_csv
from scripts.lib.photos.reality_xmp import is_reality_xmp, read_reality_xmp
from scripts.lib.photos.source import PHOTO_SUFFIXES, SourceFile, list_source, read_file
from scripts.lib.photos.transforms_json import is_transforms, read_transforms

SPLIT = re.compile(r"transforms_(train|test|val)\.json", re.IGNORECASE)
# What a file of some suffix may be, and how it is read then.
Reader = tuple[Callable[[bytes], bool], Callable[[bytes], BroughtFile]]
READERS: dict[str, tuple[Reader, ...]] = {
    ".json": (
        (is_transforms, read_transforms),
        (is_opensfm, read_opensfm),
        (is_record3d, read_record3d),
    ),
    ".xml": ((is_metashape, read_metashape),),
    ".csv": ((is_reality_csv, read_reality_csv),),
    ".txt": ((is_reality_csv, read_reality_csv),),
}


@dataclass(frozen=True)
class BroughtCameras:
    """The file or folder of poses that is used, what it holds, and all files that hold cameras."""

    file: str = ""
    told: BroughtFile = BroughtFile(())
    names: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class _Candidate:
    file: str
    names: frozenset[str]
    read: Callable[[], BroughtFile]


def find_cameras(files: Sequence[SourceFile], wanted: str) -> BroughtCameras:
    """The cameras that a source brings; `wanted` is `auto`, `ignore`, or the name of a file or folder.

    Files that are ignored are named all the same: they hold no positions. Raises UserError when the file that
    was asked for is not there or no file with cameras, or any that was found cannot be read.
    """
    found = [*_candidates(files), *_nested(files)]
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
        told = chosen.read()
    except (CamerasError, RejectedError) as error:
        raise UserError(
            f"{chosen.file} cannot be read as cameras: {error}; export it again, or set "
            "import_photos.cameras to ignore, and the poses are computed from the photos"
        ) from None
    if not told.entries:
        say(f"{chosen.file} holds no camera poses; they are computed from the photos")
    if told.points_file:
        told, used = _with_points(told, chosen.file, files)
        names |= used
    return BroughtCameras(chosen.file, told, names)


def _with_points(
    told: BroughtFile, file: str, files: Sequence[SourceFile]
) -> tuple[BroughtFile, frozenset[str]]:
    """The cameras with the points of the file that they name, if the source has it and it can be read."""
    folder = PurePosixPath(file).parent
    wanted = (folder / str(told.points_file)).as_posix()
    found = next((f for f in files if f.name == wanted), None)
    if found is None:
        return told, frozenset()
    try:
        points = ply_points(read_file(found))
    except (CamerasError, RejectedError) as error:
        say(one_line(f"{found.name} is not used as points: {error}"))
        return told, frozenset()
    if told.points_from is not None:
        points = points @ told.points_from[:3, :3].T + told.points_from[:3, 3]
    return replace(told, points=points), frozenset({found.name})


def _candidates(files: Sequence[SourceFile]) -> list[_Candidate]:
    by_name = {file.name: file for file in files}
    found: list[_Candidate] = []
    for folder, members in model_folders(by_name).items():
        parts = {part: by_name[name] for part, name in members.items()}

        def model(parts: dict[str, SourceFile] = parts) -> BroughtFile:
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
    return [*_joined(found), *_shots(files), *_sidecars(files), *_scans(files)]


def _nested(files: Sequence[SourceFile]) -> list[_Candidate]:
    """Cameras in zips that lie in a folder of photos; a zip that holds photos too stays what it is."""
    found: list[_Candidate] = []
    for file in files:
        if file.suffix != ".zip" or file.path is None:
            continue
        try:
            members = list_source(str(file.path), tell=lambda _: None)
        except UserError:
            continue  # it is named among the files that cannot be read
        own = frozenset() if any(m.suffix in PHOTO_SUFFIXES for m in members) else {file.name}
        found += [
            _Candidate(f"{file.name}/{inside.file}", frozenset(own), inside.read)
            for inside in _candidates(members)
        ]
    return found


def _sidecars(files: Sequence[SourceFile]) -> list[_Candidate]:
    """The XMP files with poses, all together, each of the photo that has its name."""
    data = _all_of(files, ".xmp", is_reality_xmp)

    def read() -> BroughtFile:
        return BroughtFile(
            [read_reality_xmp(text, name[: -len(".xmp")]) for name, text in data.items()]
        )

    return [_Candidate("XMP files", frozenset(data), read)] if data else []


def _scans(files: Sequence[SourceFile]) -> list[_Candidate]:
    """Polycam's files with the camera of one photo each, all together."""
    data = _all_of(files, ".json", is_polycam)

    def read() -> BroughtFile:
        used = best_cameras(data)
        cameras: list[Brought] = [read_polycam(text, name) for name, text in used.items()]
        return BroughtFile(cameras, 1.0, ARKIT)

    return [_Candidate("Polycam's cameras", frozenset(data), read)] if data else []


def _joined(found: Sequence[_Candidate]) -> list[_Candidate]:
    """The candidates, of which Blender's transforms_train.json, _test and _val of one folder are one."""
    parts: dict[PurePosixPath, list[_Candidate]] = {}
    for one in found:
        if SPLIT.fullmatch(PurePosixPath(one.file).name):
            parts.setdefault(PurePosixPath(one.file).parent, []).append(one)
    joined = list(found)
    for together in parts.values():
        if len(together) < 2:
            continue

        def read(together: Sequence[_Candidate] = tuple(together)) -> BroughtFile:
            told = [one.read() for one in together]
            entries = [entry for part in told for entry in part.entries]
            remarks = tuple(dict.fromkeys(remark for part in told for remark in part.remarks))
            return replace(told[0], entries=entries, remarks=remarks)

        names = frozenset(name for one in together for name in one.names)
        place = joined.index(together[0])
        joined[place] = _Candidate(", ".join(one.file for one in together), names, read)
        joined = [one for one in joined if one not in together]
    return joined


def _shots(files: Sequence[SourceFile]) -> list[_Candidate]:
    """OpenDroneMap's list of shots, with the lenses of the cameras.json that lies nearest."""
    found: list[_Candidate] = []
    for name, data in _all_of(files, ".geojson", is_shots).items():
        project = PurePosixPath(name).parent.parent.as_posix()
        beside = [f for f in files if PurePosixPath(f.name).name == "cameras.json"]
        beside.sort(key=lambda f: PurePosixPath(f.name).parent.as_posix() != project)
        lenses = _all_of(beside[:1], ".json", lambda data: b'"projection_type"' in data)
        cameras = next(iter(lenses.values()), None)
        found.append(_Candidate(name, frozenset({name}), partial(read_shots, data, cameras)))
    return found


def _all_of(
    files: Sequence[SourceFile], suffix: str, known: Callable[[bytes], bool]
) -> dict[str, bytes]:
    """The content of the files with this suffix that are `known`, by their names."""
    data: dict[str, bytes] = {}
    for file in files:
        if file.suffix == suffix:
            try:
                content = read_file(file)
            except RejectedError:
                continue
            if known(content):
                data[file.name] = content
    return data
