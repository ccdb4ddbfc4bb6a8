"""What each file of a source is: a photo, a film, a mask, or something that is left out, and why."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from scripts.lib.core.threads import threads as available_threads
from scripts.lib.photos.companions import (
    DEPTH_WORDS,
    Companion,
    Pictures,
    companions,
    still_of,
    without_words,
    words_in,
)
from scripts.lib.photos.decode import FORMATS, guarded
from scripts.lib.photos.film_facts import FilmFacts, film_facts
from scripts.lib.photos.levels import Levels, levels_of
from scripts.lib.photos.mask_names import named_as_mask, pair_masks, twins
from scripts.lib.photos.options import Cause, RejectedError
from scripts.lib.photos.panorama import EXPORT
from scripts.lib.photos.room import Room
from scripts.lib.photos.source import (
    KINDS,
    PANORAMA_SUFFIXES,
    PHOTO_SUFFIXES,
    RAW_SUFFIXES,
    VIDEO_SUFFIXES,
    SourceFile,
    read_file,
)

LIVE_SECONDS = 6.0  # Live Photos and Motion Photos last three seconds or less
MANY_LIVE = 3  # so many short films that have a still's name are no films with posters
OTHER_FILMS = {".braw", ".r3d", ".rm", ".rmvb", ".ari", ".crm", ".nev", ".swf"}
DRAWINGS = {".gif", ".svg", ".ico", ".psd", ".xcf", ".ai", ".eps"}


@dataclass(frozen=True)
class Parts:
    """A source's files by what they are, each in the order of the source.

    mask_of: photo -> its mask; unused: mask -> why it is not used; left_out: file -> why it is no capture.
    """

    photos: list[SourceFile]
    films: list[SourceFile]
    mask_of: dict[str, SourceFile]
    unused: dict[str, str]
    left_out: dict[str, Companion]


def sort_files(
    files: Sequence[SourceFile], folder: Path, threads: int = 0, room: Room | None = None
) -> Parts:
    """Tell captures from what lies beside them, by names first and by pixels where names do not decide.

    Members of an archive that have to be looked at are copied into `folder` for that time. `room` is the
    memory that the threads may take.
    """
    room = room or Room()
    left_out = companions(files)
    rest = [file for file in files if file.name not in left_out]
    films = [file for file in rest if file.suffix in VIDEO_SUFFIXES]
    pictures = [file for file in rest if file.suffix in PHOTO_SUFFIXES]
    for file in rest:
        if file.suffix not in VIDEO_SUFFIXES and file.suffix not in PHOTO_SUFFIXES:
            left_out[file.name] = _unread(file)
    left_out |= _live_films(films, pictures, folder, room)
    look = _looker(pictures, threads, room)
    left_out |= _depth_maps(pictures, look)
    pictures = [file for file in pictures if file.name not in left_out]
    mask_of, unused = _masks(pictures, look)
    masks = {mask.name for mask in mask_of.values()} | set(unused)
    return Parts(
        photos=[file for file in pictures if file.name not in masks],
        films=[file for file in films if file.name not in left_out],
        mask_of=mask_of,
        unused=unused,
        left_out=left_out,
    )


def _unread(file: SourceFile) -> Companion:
    """What kind of file is not read at all, with advice where the kind is known."""
    if file.suffix in RAW_SUFFIXES:
        return Companion("camera raw files are not supported; convert them to JPEG", Cause.RAW)
    if file.suffix in PANORAMA_SUFFIXES:
        return Companion(f"a 360 degree recording; {EXPORT}", Cause.SPHERE)
    if file.suffix in OTHER_FILMS:
        reason = "this video format is not supported; convert it to MP4"
        return Companion(reason, Cause.OTHER)
    if file.suffix in DRAWINGS:
        reason = "this picture format is not supported; save photos as JPEG or PNG"
        return Companion(reason, Cause.OTHER)
    return Companion(f"not a picture; {KINDS} are supported", Cause.OTHER)


def _live_films(
    films: Iterable[SourceFile], pictures: Sequence[SourceFile], folder: Path, room: Room
) -> dict[str, Companion]:
    """Short films that phones keep with a still of the same name.

    A film may also lie beside its poster: that is no larger than the film, and seldom are there many.
    """
    stills = Pictures(file.name for file in pictures)
    by_name = {file.name: file for file in pictures}
    marked: dict[str, str] = {}
    short: dict[str, str] = {}
    larger: set[str] = set()
    for film in films:
        still = still_of(film.name, stills)
        facts = None if still is None else _film_facts(film, folder, room)
        if still is None or facts is None:
            continue
        if facts.live:
            marked[film.name] = still
        elif facts.seconds is not None and facts.seconds <= LIVE_SECONDS:
            short[film.name] = still
            size = _stored_size(by_name[still], room)
            if size[0] * size[1] > facts.size[0] * facts.size[1]:
                larger.add(film.name)
    many = len(short) >= MANY_LIVE
    live = marked | {film: still for film, still in short.items() if many or film in larger}
    return {
        film: Companion(f"the moving part of {still} (a Live Photo or Motion Photo)", Cause.LIVE)
        for film, still in live.items()
    }


def _film_facts(film: SourceFile, folder: Path, room: Room) -> FilmFacts | None:
    try:
        with film.on_disk(folder) as path:
            return film_facts(path, room)
    except RejectedError:  # of an archive; reading its frames tells why
        return None


def _stored_size(file: SourceFile, room: Room) -> tuple[int, int]:
    """Width and height in the header of a picture; zeros when it cannot be read."""

    def size() -> tuple[int, int]:
        source = file.path or io.BytesIO(read_file(file))
        with Image.open(source, formats=FORMATS) as image:
            return image.size

    try:
        with room.hold(file.size if file.path is None else 0):
            return guarded(size)
    except RejectedError:
        return 0, 0


Look = Callable[[Iterable[str]], dict[str, Levels | None]]


def _looker(pictures: Sequence[SourceFile], threads: int, room: Room) -> Look:
    """A function that looks at the pixels of named pictures, once each, several at a time."""
    by_name = {file.name: file for file in pictures}
    known: dict[str, Levels | None] = {}

    def look(names: Iterable[str]) -> dict[str, Levels | None]:
        asked = list(names)
        new = [name for name in asked if name not in known]
        with ThreadPoolExecutor(threads or available_threads()) as pool:
            known.update(
                zip(new, pool.map(lambda name: levels_of(by_name[name], room), new), strict=True)
            )
        return {name: known[name] for name in asked}

    return look


def _depth_maps(pictures: Sequence[SourceFile], look: Look) -> dict[str, Companion]:
    """Maps of depth, normals or confidence beside photos, by name and pixels."""
    named = [file.name for file in pictures if _named_as_depth(file.name)]
    if not named:
        return {}
    others = Pictures(file.name for file in pictures if file.name not in set(named))
    found = {}
    for name, levels in look(named).items():
        stem = PurePosixPath(name.lower()).stem
        keys = [stem, *without_words(stem, DEPTH_WORDS)]
        owners = [owner for key in keys for owner in others.anywhere(key, name)]
        if levels is None or levels.camera:
            continue  # what cannot be read is told by the import itself
        if owners:
            found[name] = Companion(f"a depth map or similar of {owners[0]}", Cause.DEPTH)
        elif levels.deep or (levels.grey and others.names):
            found[name] = Companion("a depth map or similar, not a photo", Cause.DEPTH)
    return found


def _named_as_depth(name: str) -> bool:
    path = PurePosixPath(name.lower())
    in_folder = any(words_in(part, DEPTH_WORDS) for part in path.parts[:-1])
    return in_folder or bool(without_words(path.stem, DEPTH_WORDS))


def _masks(
    pictures: Sequence[SourceFile], look: Look
) -> tuple[dict[str, SourceFile], dict[str, str]]:
    """Photo -> its mask, and mask -> why it is not used.

    What a name calls a mask is one unless its pixels are surely a photo's: people photograph masks,
    too. What only has a photo's name is one when its pixels say so.
    """
    by_name = {file.name: file for file in pictures}
    named = look(name for name in by_name if named_as_mask(name))
    masks = [
        name for name, levels in named.items() if levels is None or levels.clear or not levels.photo
    ]
    photos = [name for name in by_name if name not in set(masks)]
    suspects = twins(photos, {file.name: file.size for file in pictures})
    drawn = [
        name
        for name, levels in look(suspects).items()
        if levels is not None and (levels.mask or (levels.clear and suspects[name]))
    ]
    pairs = pair_masks([name for name in photos if name not in set(drawn)], masks + drawn)
    mask_of: dict[str, SourceFile] = {}
    unused = {}
    for mask, photo in pairs.photo.items():
        if photo in mask_of:
            unused[mask] = f"a second mask of {photo}; {mask_of[photo].name} is used"
        else:
            mask_of[photo] = by_name[mask]
    for mask, reason in pairs.why.items():
        levels = named.get(mask)
        # Without a photo of its name a grey picture may itself be one, in black and white.
        if mask in named and (levels is None or levels.drawn):
            unused[mask] = reason
    return mask_of, unused
