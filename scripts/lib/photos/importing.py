"""The import: every file read, judged against the others, and packed with its mask."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath

from scripts.lib.contracts.photos import Beside, Photo, Photos
from scripts.lib.core.console import Progress, one_line, say
from scripts.lib.core.files import add_to_zip, scratch_folder, write_bytes, writing_zip
from scripts.lib.core.threads import threads as available_threads
from scripts.lib.photos.brought import find_cameras
from scripts.lib.photos.bursts import Shot, repetitions, seconds_of
from scripts.lib.photos.companions import Companion
from scripts.lib.photos.contact import Thumb, contact_sheet
from scripts.lib.photos.cutting import cut_panoramas, sightings_on_faces, with_rigs
from scripts.lib.photos.films import FRAME, read_film
from scripts.lib.photos.gps_tags import choose_positions
from scripts.lib.photos.judge import ImageStats, badly_exposed, blurred, duplicates
from scripts.lib.photos.mask_use import judge_masks, mask_lines, sentences
from scripts.lib.photos.naming import name_items
from scripts.lib.photos.odm_lenses import find_lenses, with_lenses
from scripts.lib.photos.options import Cause, ImportOptions
from scripts.lib.photos.photo_bars import mask_bars
from scripts.lib.photos.posed import with_poses
from scripts.lib.photos.prepare import Context, Item, prepare
from scripts.lib.photos.record import (
    COMPANIONS,
    count_left_out,
    drop,
    left_out,
    left_out_text,
    report,
    require_photos,
)
from scripts.lib.photos.room import Room
from scripts.lib.photos.side_files import SideFiles, read_side_files, told
from scripts.lib.photos.sorting import Parts, sort_files
from scripts.lib.photos.source import SourceFile, list_source
from scripts.lib.photos.telemetry import telemetry_of

SKIPPED_SHOWN = 40


def import_photos(
    source: str,
    options: ImportOptions,
    archive: Path,
    contact: Path | None = None,
    threads: int = 0,
    name: str | None = None,
    memory: int | None = None,
) -> Photos:
    """Write the usable photos of `source` to the stored zip `archive`; return the report (photos.json).

    `name` is what the report and messages call the source, when it is a copy of something elsewhere.
    `memory` is what reading may take in bytes (None: no limit): a picture that needs more is left out.

    The archive holds NAME.jpg for every kept photo and masks/NAME.jpg.png (one bit, black is
    ignored) where a photo has a mask. `contact` receives the contact sheet. Raises UserError when
    fewer than `options.min_photos` are usable; nothing is written then.
    """
    files = list_source(source)
    cameras = find_cameras(files, options.cameras)
    lenses = None if cameras.file or options.cameras == "ignore" else find_lenses(files)
    known = cameras.names | ({lenses.file} if lenses else set())
    files = [file for file in files if file.name not in known]
    archive.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(archive.parent, "import") as folder:
        items, others, side = _read_all(files, options, folder, threads, memory)
        items = name_items(judge(with_rigs(items, options), options))
        items, posed, brought = with_poses(items, cameras, options)
        if lenses:
            items, line = with_lenses(items, lenses, options.focal_length)
            posed = [*posed, line]
        photos = [item.photo for item in items]
        _tell(photos)
        beside, gcps = told(side, items)
        beside += posed
        for line in beside:
            say(one_line(f"{line.file}: {line.note}"))
        require_photos(name or source, photos, options.min_photos)
        if contact is not None:
            write_bytes(contact, _sheet(items))
        if any(item.panorama and item.photo.kept for item in items):
            room = Room(memory, threads or available_threads())
            gcps = sightings_on_faces(gcps, items, options)
            items = cut_panoramas(items, Context(options, folder, {}, threads, room))
            photos = [item.photo for item in items]
        with writing_zip(archive) as out:
            _pack(out, items)
    made = report(name or source, photos, [*beside, *others], gcps)
    return replace(made, brought=brought)


def _tell(photos: Sequence[Photo]) -> None:
    """On the console: each photo that was left out, and a line that sums up all files that were."""
    dropped = [photo for photo in photos if not photo.kept]
    for photo in [photo for photo in dropped if photo.cause not in COMPANIONS][:SKIPPED_SHOWN]:
        say(one_line(f"Skipped {photo.original}: {photo.reason}"))
    if dropped:
        files = "1 file" if len(dropped) == 1 else f"{len(dropped)} files"
        say(f"Left out {files}: {left_out_text(count_left_out(photos))}.")


def judge(items: Sequence[Item], options: ImportOptions) -> list[Item]:
    """Leave out duplicates, badly exposed and blurred photos, each with the numbers that say so."""
    judged = list(items)
    if options.drop_duplicates:
        _drop_copies(judged)
        _drop_bursts(judged)
        _drop_repetitions(judged)
    if options.drop_overexposed:
        _drop_badly_exposed(judged)
    if options.drop_blurred:
        _drop_blurred(judged)
    return judged


def _leave_out(
    items: list[Item], index: int, reason: str, cause: Cause, twin: str | None = None
) -> None:
    items[index] = replace(items[index], photo=drop(items[index].photo, reason, cause, twin))


def _drop_copies(items: list[Item]) -> None:
    """Of equal files the one with the plainest name stays: not "a copy.jpg" or "a (1).jpg"."""
    same_file: dict[str, int] = {}
    for i in sorted(_kept(items), key=lambda i: len(items[i].photo.original)):
        digest = items[i].photo.source_sha256
        first = same_file.setdefault(digest, i) if digest else i
        if first != i:
            name = items[first].photo.original
            _leave_out(items, i, f"the same file as {name}", Cause.COPY, twin=name)


def _drop_bursts(items: list[Item]) -> None:
    """Of the photos of a burst that show the same picture the sharpest stays; rigs take theirs at once."""
    groups: dict[tuple[str | int | None, ...], list[int]] = {}
    for i in _kept(items):
        photo, alone = items[i].photo, items[i].photo.rig is None and not items[i].panorama
        if photo.time and photo.kind == "photo" and alone:
            folder = PurePosixPath(photo.original).parent.as_posix()
            groups.setdefault((folder, photo.camera, photo.body, *photo.size), []).append(i)
    for index in groups.values():
        for a, found in repetitions([_shot(items[i]) for i in index]).items():
            name = items[index[found.kept]].photo.original
            reason = (
                f"in a burst with {name}, which shows the same and is sharper or better exposed: "
                f"{found.seconds:.1f} s apart, moved by {100 * found.moved:.1f} % of the width"
            )
            _leave_out(items, index[a], reason, Cause.BURST, twin=name)


def _shot(item: Item) -> Shot:
    photo, fraction = item.photo, item.traits.fraction
    place = None
    if photo.latitude is not None and photo.longitude is not None:
        place = photo.latitude, photo.longitude
    seconds = seconds_of(photo.time or "", fraction)
    return Shot(seconds, fraction is not None, place, _stats(item))


def _drop_repetitions(items: list[Item]) -> None:
    """Of photos that show the same picture one stays."""
    index = _kept(items)
    better = [_worth(items[i]) for i in index]
    films = [_film(items[i].photo) for i in index]
    for a, b in duplicates([_stats(items[i]) for i in index], better, films).items():
        name = items[index[b]].photo.original
        reason = f"the same picture as {name}, saved again or not moved"
        _leave_out(items, index[a], reason, Cause.COPY, twin=name)


def _drop_badly_exposed(items: list[Item]) -> None:
    index = _kept(items)
    for a, (kind, share, usual) in badly_exposed([_stats(items[i]) for i in index]).items():
        reason = (
            f"{kind}: {100 * share:.0f} % of it has no detail, {100 * usual:.0f} % is usual here"
        )
        _leave_out(items, index[a], reason, Cause.EXPOSURE)


def _drop_blurred(items: list[Item]) -> None:
    for index in _captures(items):
        for a, share in blurred([_stats(items[i]) for i in index]).items():
            percent = f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"
            reason = f"blurred: {percent} of the sharpness of the photos around it"
            _leave_out(items, index[a], reason, Cause.BLURRED)


def _film(photo: Photo) -> str | None:
    """The video that a frame was taken of."""
    return photo.original.rpartition(FRAME)[0] if photo.kind == "frame" else None


def _kept(items: Sequence[Item]) -> list[int]:
    return [i for i, item in enumerate(items) if item.photo.kept]


def _stats(item: Item) -> ImageStats:
    assert item.stats is not None  # every kept item was measured
    return item.stats


def _worth(item: Item) -> float:
    """Of two equal pictures the one with more pixels stays, then the one with EXIF, then more bytes.

    Saving again loses the latter two, and its blocks even look sharper.
    """
    photo = item.photo
    told = 0.25 * (photo.camera is not None) + 0.25 * (photo.latitude is not None)
    pixels = item.stored_size[0] * item.stored_size[1]
    return pixels + told + min((photo.bytes or 0) / 1e9, 0.2)


def _captures(items: Sequence[Item]) -> list[list[int]]:
    """Kept photos by folder and size, each group in the order of the capture."""
    groups: dict[tuple[str | int, ...], list[int]] = {}
    for i in _kept(items):
        photo = items[i].photo
        folder = PurePosixPath(photo.original).parent.as_posix()
        sides = sorted((photo.width or 0, photo.height or 0))
        groups.setdefault((folder, photo.kind, *sides), []).append(i)
    return [
        sorted(group, key=lambda i: (items[i].photo.time or "", i))
        if all(items[i].photo.time for i in group)
        else group
        for group in groups.values()
    ]


def _read_all(
    files: Sequence[SourceFile],
    options: ImportOptions,
    folder: Path,
    threads: int,
    memory: int | None,
) -> tuple[list[Item], list[Beside], SideFiles]:
    """Items of every file in the order of their names, masks and videos, and what lies beside the photos."""
    by_name = {file.name: file for file in files}
    others: list[Beside] = []
    room = Room(memory, threads or available_threads())
    parts = sort_files(files, folder, threads, room)
    notes = [
        f for f in files if f.name in parts.left_out and parts.left_out[f.name].cause == Cause.OTHER
    ]
    side = read_side_files(notes, [file.name for file in parts.photos], options)
    parts = replace(
        parts, left_out={n: c for n, c in parts.left_out.items() if n not in side.names}
    )
    context = Context(options, folder, side.positions.of, threads, room)
    items = judge_masks(_settle(list(_prepare_all(parts.photos, parts.mask_of, context))))
    of_masks = mask_lines(items, parts.mask_of)
    for sentence in sentences(items, of_masks, parts.unused):
        say(one_line(sentence))
    others += of_masks
    items, bars = mask_bars(items)
    if bars is not None:
        say(bars)
    for film in parts.films:
        frames, other = read_film(film, telemetry_of(film, files), context)
        items += frames
        others += other
    items += [Item(photo) for photo in _not_read(parts, by_name)]
    return sorted(items, key=lambda item: item.photo.original), others, side


def _settle(items: Sequence[Item]) -> list[Item]:
    """The items with the positions that count once all photos are known."""
    settled = choose_positions({item.photo.original: item.traits.gps for item in items})
    return [
        replace(item, photo=position.stored_in(item.photo))
        if (position := settled.get(item.photo.original))
        else item
        for item in items
    ]


def _not_read(parts: Parts, by_name: dict[str, SourceFile]) -> list[Photo]:
    """The lines of the files that are no captures."""
    told = {name: Companion(reason, Cause.MASK) for name, reason in parts.unused.items()}
    told |= parts.left_out
    return [
        left_out(name, companion.reason, companion.cause, by_name[name].size)
        for name, companion in told.items()
    ]


def _prepare_all(
    files: Sequence[SourceFile], mask_of: dict[str, SourceFile], context: Context
) -> Iterator[Item]:
    """`prepare` over all files in order, a few ahead in threads, so that memory stays bounded."""
    workers = context.threads or available_threads()
    progress = Progress("Reading photos", len(files))

    def one(file: SourceFile) -> Item:
        return prepare(file, mask_of.get(file.name), context)

    with ThreadPoolExecutor(workers) as pool:
        for begin in range(0, len(files), 4 * workers):
            yield from pool.map(one, files[begin : begin + 4 * workers])
            progress.update(min(begin + 4 * workers, len(files)))


def _pack(out: zipfile.ZipFile, items: Sequence[Item]) -> None:
    kept = [item for item in items if item.photo.kept]
    for item in kept:
        assert item.jpeg is not None
        add_to_zip(out, item.photo.file, item.jpeg.read_bytes())
    for item in kept:
        if item.mask is not None and item.photo.mask is not None:
            add_to_zip(out, item.photo.mask, item.mask)


def _sheet(items: Sequence[Item]) -> bytes:
    return contact_sheet(
        [
            Thumb(item.photo.original, item.photo.reason, item.photo.kept, item.thumb)
            for item in items
            if item.thumb is not None
        ]
    )
