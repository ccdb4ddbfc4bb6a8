"""One file of the source to one picture of the archive, with all that is known of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import NamedTemporaryFile

from PIL import Image
from PIL.ExifTags import IFD

from scripts.lib.contracts.photos import Photo
from scripts.lib.photos import panorama
from scripts.lib.photos.contact import thumbnail
from scripts.lib.photos.decode import Picture, decode, decoding_bytes, encode, guarded
from scripts.lib.photos.exif import read_metadata
from scripts.lib.photos.focal import parse_focal
from scripts.lib.photos.gps_tags import GpsTags, gps_tags
from scripts.lib.photos.judge import ImageStats, measure
from scripts.lib.photos.masks import (
    HIDES_ALL,
    combine,
    encode_mask,
    fit_mask,
    hidden_share,
    read_mask,
)
from scripts.lib.photos.options import Cause, ImportOptions, RejectedError
from scripts.lib.photos.positions import Given
from scripts.lib.photos.record import drop
from scripts.lib.photos.room import Room
from scripts.lib.photos.source import SourceFile, read_file
from scripts.lib.photos.xmp import RigTag, read_flight_data


@dataclass(frozen=True)
class MaskNote:
    """What is unusual about the mask called `name`, and whether it is used all the same."""

    name: str
    text: str
    used: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.text}" if self.used else f"{self.name} was not used: {self.text}"


@dataclass(frozen=True)
class Traits:
    """What a photo tells of itself that photos.json has no place for."""

    gps: GpsTags = GpsTags()  # its positions in EXIF and XMP, if no other file has one
    rig: RigTag | None = None
    fraction: float | None = None  # of the second in which it was taken


@dataclass(frozen=True)
class Item:
    """A line of photos.json with what the archive and the judgement need; paths lie in a temporary folder."""

    photo: Photo
    jpeg: Path | None = None
    mask: bytes | None = None
    stats: ImageStats | None = None
    thumb: bytes | None = None
    film: str | None = None  # the video it is a frame of
    frame: int = 0  # its number there
    panorama: bool = False  # equirectangular: its views take its place in the archive
    stored_size: tuple[int, int] = (0, 0)  # of the file as it came
    turn: int = 1  # its EXIF orientation
    mask_notes: tuple[MaskNote, ...] = ()  # as Photo.mask_note has them
    traits: Traits = Traits()


@dataclass(frozen=True)
class Context:
    """What is the same for every file of one import."""

    options: ImportOptions
    folder: Path
    positions: Mapping[str, Given]  # by the photo's name in the source
    threads: int = 0  # 0: one for each core
    room: Room = field(default_factory=Room)  # memory that the threads may take


def prepare(file: SourceFile, mask: SourceFile | None, context: Context) -> Item:
    """Read, check and convert one photo; a file that cannot be used comes back with the reason."""
    photo = Photo(file=file.name, original=file.name, kept=False, reason="")
    try:
        with context.room.hold(file.size):
            data = read_file(file)
            digest = hashlib.sha256(data).hexdigest()
            photo = replace(photo, bytes=len(data), sha256=digest, source_sha256=digest)
            need = len(data) + decoding_bytes(data, context.options.max_side)
            with context.room.hold(need):
                return _prepared(photo, data, mask, context)
    except RejectedError as rejection:
        return Item(drop(photo, str(rejection), rejection.cause))


def _prepared(photo: Photo, data: bytes, mask: SourceFile | None, context: Context) -> Item:
    """The item of a photo that was read. Raises RejectedError when it cannot be used."""
    picture = decode(data, context.options.min_side, context.options.max_side)
    photo, traits = guarded(lambda: _described(photo, picture, context))
    reason = guarded(lambda: _panorama(picture, photo.camera))
    whole = reason == panorama.PICTURE and context.options.panoramas == "cut"
    if reason and not whole:
        raise RejectedError(reason, Cause.SPHERE)
    if whole and picture.image.size != picture.stored_size:
        picture = _decoded_whole(data, context)
    jpeg = guarded(lambda: _encode(picture, data, context.options))
    hidden, sources, note = _mask(picture, mask, context.room)
    if hidden is not None:
        photo = replace(photo, mask_source=sources, masked=round(hidden_share(hidden), 4))
    reduced = max(picture.image.size) / max(picture.stored_size)
    item = finish(photo, jpeg, picture, hidden, context, reduced)
    return noted(replace(item, traits=traits, panorama=whole), *filter(None, [note]))


def whole_side(options: ImportOptions) -> int:
    """The longest side of a panorama whose views are to have `max_side`; 0: no limit."""
    return math.ceil(options.max_side * math.pi)


def _decoded_whole(data: bytes, context: Context) -> Picture:
    """A panorama that was reduced for its recognition, with the pixels that its views need."""
    most = whole_side(context.options)
    with context.room.hold(decoding_bytes(data, most)):
        return decode(data, context.options.min_side, most)


def noted(item: Item, *notes: MaskNote) -> Item:
    """The item with these notes on its mask after those that it has."""
    every = (*item.mask_notes, *notes)
    text = "; ".join(map(str, every)) or None
    return replace(item, mask_notes=every, photo=replace(item.photo, mask_note=text))


def finish(
    photo: Photo,
    jpeg: bytes,
    picture: Picture,
    hidden: Image.Image | None,
    context: Context,
    reduced: float,
) -> Item:
    """The item of a picture that can be used, its JPEG written to the temporary folder.

    `reduced` is its size as a share of the one that it was taken with.
    Its name in the archive is given at the end, when it is known which pictures stay. Raises
    RejectedError when the picture cannot be looked at.
    """
    stats, thumb = guarded(lambda: (measure(picture.image), thumbnail(picture.image, hidden)))
    with NamedTemporaryFile("wb", suffix=".jpg", dir=context.folder, delete=False) as out:
        out.write(jpeg)
    photo = replace(
        photo,
        kept=True,
        reason="usable",
        bytes=len(jpeg),
        sha256=hashlib.sha256(jpeg).hexdigest(),
        width=picture.image.width,
        height=picture.image.height,
        changed=", ".join(picture.changes) or None,
        sharpness=round(stats.sharpness, 3),
        blur=round(stats.blur, 4),
        clipped=round(stats.clipped, 4),
        dark=round(stats.dark, 4),
    )
    if given := parse_focal(context.options.focal_length):
        photo = replace(photo, **given.facts(*picture.image.size, reduced))
    return Item(
        photo=photo,
        jpeg=Path(out.name),
        mask=encode_mask(hidden) if hidden is not None else None,
        stats=stats,
        thumb=thumb,
        stored_size=picture.stored_size,
        turn=picture.turn,
    )


def _encode(picture: Picture, data: bytes, options: ImportOptions) -> bytes:
    return encode(picture, data, options.jpeg_quality, options.keep_metadata)


def _panorama(picture: Picture, camera: str | None) -> str | None:
    """Why the picture is no flat one; a cut-out on black is not taken for two fisheye circles."""
    if picture.mask is not None:
        return None
    custom = picture.exif.get_ifd(IFD.Exif).get(panorama.CUSTOM_RENDERED)
    return panorama.of_picture(picture.image, picture.xmp, custom, camera)


def _mask(
    picture: Picture, file: SourceFile | None, room: Room
) -> tuple[Image.Image | None, str, MaskNote | None]:
    """The photo's mask from its transparency and its mask file, which of them, and what to tell of it."""
    beside, note = None, None
    if file is not None:
        try:
            with room.hold(file.size):
                data = read_file(file)
                with room.hold(len(data) + decoding_bytes(data, 0)):
                    mask = read_mask(data)
                    beside = guarded(lambda: fit_mask(mask, picture))
            if mask.note:
                note = MaskNote(file.name, mask.note, used=True)
        except RejectedError as rejection:
            note = MaskNote(file.name, str(rejection))
    alpha = picture.mask
    if alpha is not None and beside is not None and hidden_share(alpha) >= HIDES_ALL:
        alpha = None  # a file that is transparent everywhere keeps something else there
    hidden = combine(alpha, beside)
    sources = ["alpha"] * (alpha is not None)
    sources += [file.name] if file is not None and beside is not None else []
    return hidden, " and ".join(sources), note


def _described(photo: Photo, picture: Picture, context: Context) -> tuple[Photo, Traits]:
    """The photo with camera, time and place from EXIF, XMP and the file of positions, which wins."""
    exif = read_metadata(picture.exif, picture.image.width, picture.image.height)
    flight = read_flight_data(picture.xmp)
    photo = replace(
        photo,
        camera=exif.camera,
        body=exif.body,
        focal_px=exif.focal_px,
        focal_mm=exif.focal_mm,
        focal_35mm=exif.focal_35mm,
        focal_source=exif.focal_source,
        time=exif.time,
        relative_altitude=flight.relative_altitude,
        yaw=flight.yaw,
        pitch=flight.pitch,
        roll=flight.roll,
    )
    tags = gps_tags(exif, flight)
    given = context.positions.get(photo.original)
    if given is not None:
        return given.stored_in(photo), Traits(GpsTags(), flight.rig, exif.fraction)
    traits = Traits(tags, flight.rig, exif.fraction)
    return tags.position.stored_in(photo) if tags.position else photo, traits
