"""Files beside photos that are no captures: what phones, cameras and programs keep for themselves.

Told by names alone, and only where a name cannot mean anything else or the photo it belongs to is there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from scripts.lib.photos.options import Cause
from scripts.lib.photos.source import PHOTO_SUFFIXES, RAW_SUFFIXES, VIDEO_SUFFIXES, SourceFile

# Folders of systems and programs, in lower case.
DELETED = {"$recycle.bin", "recycler", "recycled", "@recycle", "#recycle", ".dtrash"}
PREVIEWS = {"@eadir", ".@__thumb", ".thumbnails", ".thumb", "thmbnl", "avchdtn", "canonthm"}
PHOTOS_LIBRARY = (".photoslibrary", ".photolibrary", ".aplibrary")
LIBRARY_PREVIEWS = {"derivatives", "thumbnails", "previews"}
CAMERA_PREVIEWS = {".thm", ".lrv", ".lrf"}
# Notes that phones, drones and developing programs keep beside a photo.
SIDE_SUFFIXES = {
    *(".aae", ".xmp", ".json", ".srt", ".pp3", ".dop", ".cos", ".on1", ".nksc", ".arp"),
    *(".ini", ".db", ".lrcat", ".lrprev", ".wav", ".m4a", ".ctg", ".sec"),
}
PREVIEW_WORDS = ("thumbnails?", "thumbs?", "previews?", "prox(?:y|ies)")
DEPTH_WORDS = (
    *("z?depths?", "depth[_ -]?maps?", "depth16", "disp", "disparity", "disparities"),
    *("normals?", "normal[_ -]?maps?", "confidence"),
)
MASK_WORDS = (
    *("masks?", "mask[ _-]?images?", "masken?", "masques?", "m[aá]scaras?", "maschere?"),
    *("seg", "segm", "segs", "segmentations?", "mattes?", "alphas?", "silhouettes?", "sam"),
    *("no[_-]?bg", "no[_-]?background", "cut-?outs?", "removebg(?:-preview)?", "rembg"),
)
# What tools add to the name of a Live Photo's film: IMG_1.HEIC with IMG_1_HEVC.MOV or IMG_1.HEIC.MOV.
FILM_ENDINGS = re.compile(r"(?:[._-](?:hevc|live|motion|heic|heif|jpe?g))+$")
MOTION_PHOTO = re.compile(r"\.(?:mp|mv)(?:~\d+)?$")
EDITED = (
    *("edited", "edit", "bearbeitet", "modifié", "editado", "modificato", "enhanced(?:-nr)?"),
    *("masked", "retouched", "denoised", "sharpened", "upscaled", "cropped"),
)
EDIT = re.compile(rf"^(.+?)(?:[ _-]+(?:{'|'.join(EDITED)})| *\((?:{'|'.join(EDITED)})\))$")
APPLE_ORIGINAL = re.compile(r"^(img_)(\d{4,})$")
APPLE_EDIT = re.compile(r"^(img_)e(\d{4,})$")
PORTRAIT = re.compile(r"^(.+)-01((?:\.mp)?)\.cover$")
LONGEST = 255  # letters of a name on any disk; one in a hostile archive must not keep patterns busy


@dataclass(frozen=True)
class Companion:
    """Why a file is no capture, and what it is counted as."""

    reason: str
    cause: Cause


class Pictures:
    """Pictures of a source, found by folder and name in lower case, with or without suffix."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = sorted(names)
        self._beside: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._anywhere: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            path = PurePosixPath(name.lower())
            for key in {path.name, path.stem}:
                self._beside[str(path.parent), key].append(name)
                self._anywhere[key].append(name)

    def beside(self, name: str, key: str) -> str | None:
        """The picture called `key` in the folder of `name`, other than itself."""
        found = self._beside.get((str(PurePosixPath(name.lower()).parent), key), ())
        return next((other for other in found if other != name), None)

    def anywhere(self, key: str, name: str) -> list[str]:
        """Pictures called `key` in any folder, without `name` itself."""
        return [other for other in self._anywhere.get(key, ()) if other != name]


def companions(files: Sequence[SourceFile]) -> dict[str, Companion]:
    """Name -> why it is no capture, for all files of a source that their names tell to be companions."""
    found = {f.name: kept for f in files if (kept := _of_a_system(f.name)) is not None}
    rest = [f for f in files if f.name not in found]
    sizes = {f.name: f.size for f in rest}
    pictures = Pictures(f.name for f in rest if f.suffix in PHOTO_SUFFIXES)
    films = Pictures(f.name for f in rest if f.suffix in VIDEO_SUFFIXES)
    for file in rest:
        told = _edited(file.name, pictures) or _raw(file, pictures)
        told = told or _of_a_film(file, films)
        told = told or _preview(
            file.name, films if file.suffix in VIDEO_SUFFIXES else pictures, sizes
        )
        if told is not None:
            found[file.name] = told
    return found


def still_of(film: str, pictures: Pictures) -> str | None:
    """The still that has the film's name and lies beside it, as Live Photos and Motion Photos are kept."""
    stem = PurePosixPath(film.lower()).stem
    bare = FILM_ENDINGS.sub("", stem)
    original = APPLE_EDIT.sub(r"\1\2", bare)
    edited = APPLE_ORIGINAL.sub(r"\1e\2", bare)
    stills = (pictures.beside(film, key) for key in (stem, bare, original, edited))
    return next((still for still in stills if still is not None), None)


def words_in(part: str, words: Sequence[str]) -> bool:
    """Whether a folder's name has one of the words (patterns): `depth`, `sparse_depth`, `depth-2`."""
    return re.search(rf"(?<![a-z])(?:{'|'.join(words)})(?![a-z])", part.lower()) is not None


def without_words(stem: str, words: Sequence[str]) -> list[str]:
    """What is left of a file's stem without one of the words at its end or start, longest first.

    `a_mask`, `a.mask`, `a-mask-01` and `mask_a` all leave `a`.
    """
    if len(stem) > LONGEST:
        return []
    any_of = "|".join(words)
    ends = rf"(.+?)[._\- ]+(?:{any_of})(?:[._\- ]?\d{{1,5}})?"
    begins = rf"(?:{any_of})[._\- ]+(.+)"
    matches = (re.fullmatch(pattern, stem, re.DOTALL) for pattern in (ends, begins))
    return [found[1] for found in matches if found]


def _of_a_system(name: str) -> Companion | None:
    """What lies in a folder that belongs to a system or a program, or has a suffix of their own."""
    path = PurePosixPath(name.lower())
    for part in path.parts:
        if part in DELETED or part.startswith((".trash", "$recycle")):
            return Companion("a deleted file, in a recycle bin", Cause.DELETED)
        if part in PREVIEWS or part.endswith((".lrdata", ".lrcat-data")):
            return Companion("a preview that a program or device keeps", Cause.PREVIEW)
        if part.startswith((".", "__macosx")):
            return Companion("a hidden file of the system", Cause.HIDDEN)
    folders = path.parts[:-1]
    if any(part.endswith(PHOTOS_LIBRARY) for part in folders) and LIBRARY_PREVIEWS & set(folders):
        return Companion("a preview that a photo library keeps", Cause.PREVIEW)
    if any(pair == ("m4root", "sub") for pair in zip(folders, folders[1:], strict=False)):
        return Companion("a small copy that the camera keeps of its film", Cause.PREVIEW)
    if path.suffix in CAMERA_PREVIEWS:
        return Companion("a preview that the camera keeps of its film", Cause.PREVIEW)
    if MOTION_PHOTO.search(path.name):
        return Companion("the moving part of a Motion Photo", Cause.LIVE)
    if path.suffix in SIDE_SUFFIXES:
        return Companion("not a picture: notes of a camera or program", Cause.SIDE)
    return None


def _edited(name: str, pictures: Pictures) -> Companion | None:
    """A picture that a phone or program keeps beside the original it was made from."""
    path = PurePosixPath(name.lower())
    if path.suffix not in PHOTO_SUFFIXES or len(path.stem) > LONGEST:
        return None
    originals = [APPLE_EDIT.sub(r"\1\2", path.stem)] if APPLE_EDIT.match(path.stem) else []
    originals += [found[1] for found in [EDIT.match(path.stem)] if found]
    originals += [
        f"{found[1]}-02{found[2]}.original" for found in [PORTRAIT.match(path.stem)] if found
    ]
    for original in originals:
        if (owner := pictures.beside(name, original)) is not None:
            return Companion(f"an edited copy of {owner}", Cause.EDIT)
    return None


def _raw(file: SourceFile, pictures: Pictures) -> Companion | None:
    """Camera raw whose picture in a format that is read lies beside it."""
    if file.suffix not in RAW_SUFFIXES:
        return None
    owner = pictures.beside(file.name, PurePosixPath(file.name.lower()).stem)
    return Companion(f"camera raw; {owner} is used instead", Cause.RAW) if owner else None


def _of_a_film(file: SourceFile, films: Pictures) -> Companion | None:
    """A film of masks or depth beside the film that it belongs to."""
    stem = PurePosixPath(file.name.lower()).stem
    if file.suffix in VIDEO_SUFFIXES:
        for words, what, cause in (
            (MASK_WORDS, "masks of {}: masks are read as pictures only", Cause.MASK),
            (DEPTH_WORDS, "depth of {}", Cause.DEPTH),
        ):
            for key in without_words(stem, words):
                if (owner := films.beside(file.name, key)) is not None:
                    return Companion(what.format(owner), cause)
    return None


def _preview(name: str, same_kind: Pictures, sizes: Mapping[str, int]) -> Companion | None:
    """A smaller file of the same name in a folder `thumbs`, or `X_thumb` beside X."""
    path = PurePosixPath(name.lower())
    owners = [
        owner
        for key in without_words(path.stem, PREVIEW_WORDS)
        if (owner := same_kind.beside(name, key)) is not None
    ]
    if _in_previews(name):
        owners += same_kind.anywhere(path.stem, name)
    larger = [owner for owner in owners if sizes[owner] > sizes[name] and not _in_previews(owner)]
    return Companion(f"a preview of {larger[0]}", Cause.PREVIEW) if larger else None


def _in_previews(name: str) -> bool:
    return any(words_in(part, PREVIEW_WORDS) for part in PurePosixPath(name).parts[:-1])
