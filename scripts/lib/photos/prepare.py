"""One file of the source to one picture of the archive, with all that is known of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.lib.exif import read_metadata
from scripts.lib.photos.contact import thumbnail
from scripts.lib.photos.decode import Picture, decode, encode
from scripts.lib.photos.judge import Look, look_at
from scripts.lib.photos.masks import combine, encode_mask, fit_mask, hidden_share
from scripts.lib.photos.options import ImportOptions, RejectedError
from scripts.lib.photos.positions import Position, lookup
from scripts.lib.photos.record import Photo, drop
from scripts.lib.photos.source import (
    KINDS,
    PANORAMA_SUFFIXES,
    PHOTO_SUFFIXES,
    RAW_SUFFIXES,
    SourceFile,
    read_file,
)
from scripts.lib.xmp import read_flight_data


@dataclass(frozen=True)
class Item:
    """A line of photos.json with what the archive and the judgement need; paths lie in a temporary folder."""

    photo: Photo
    jpeg: Path | None = None
    mask: bytes | None = None
    look: Look | None = None
    thumb: bytes | None = None
    stored_size: tuple[int, int] = (0, 0)  # of the file as it came
    turn: int = 1  # its EXIF orientation


@dataclass(frozen=True)
class Context:
    """What is the same for every file of one import."""

    options: ImportOptions
    folder: Path
    positions: Mapping[str, Position]
    positions_file: str | None = None
    threads: int = 0  # 0: one for each core


def prepare(file: SourceFile, name: str, mask: SourceFile | None, context: Context) -> Item:
    """Read, check and convert one photo; a file that cannot be used comes back with the reason."""
    photo = Photo(file=file.name, original=file.name, kept=False, reason="", kind="other")
    try:
        _check_suffix(file)
        photo = replace(photo, kind="photo")
        data = read_file(file)
        digest = hashlib.sha256(data).hexdigest()
        photo = replace(photo, bytes=len(data), sha256=digest, source_sha256=digest)
        picture = decode(data, context.options.min_side, context.options.max_side)
        jpeg = encode(picture, data, context.options.jpeg_quality, context.options.keep_metadata)
    except RejectedError as rejection:
        return Item(drop(photo, str(rejection)))
    hidden, facts = _mask(picture, mask, context.options)
    photo = replace(photo, **facts, **_metadata(picture, file.name, context))
    return finish(photo, name, jpeg, picture, hidden, context)


def finish(
    photo: Photo, name: str, jpeg: bytes, picture: Picture, hidden: Any, context: Context
) -> Item:
    """The item of a picture that can be used, its JPEG written to the temporary folder."""
    target = context.folder / name
    target.write_bytes(jpeg)
    look = look_at(picture.image)
    photo = replace(
        photo,
        file=name,
        kept=True,
        reason="usable",
        bytes=len(jpeg),
        sha256=hashlib.sha256(jpeg).hexdigest(),
        width=picture.image.width,
        height=picture.image.height,
        changed=", ".join(picture.changes) or None,
        mask=f"masks/{name}.png" if hidden is not None else None,
        sharpness=round(look.sharpness, 3),
        blur=round(look.blur, 4),
        clipped=round(look.clipped, 4),
        dark=round(look.dark, 4),
    )
    return Item(
        photo,
        target,
        encode_mask(hidden) if hidden is not None else None,
        look,
        thumbnail(picture.image, hidden),
        picture.stored_size,
        picture.turn,
    )


def _check_suffix(file: SourceFile) -> None:
    """Raises RejectedError for what is no photo, with advice where the kind is known."""
    if file.suffix in RAW_SUFFIXES:
        raise RejectedError("camera raw is not read; develop it to JPEG")
    if file.suffix in PANORAMA_SUFFIXES:
        raise RejectedError("a 360 degree recording; export flat video or photos from it")
    if file.suffix not in PHOTO_SUFFIXES:
        raise RejectedError(f"not a picture; {KINDS} are read")


def _mask(
    picture: Picture, file: SourceFile | None, options: ImportOptions
) -> tuple[Any, dict[str, Any]]:
    """The photo's mask from its transparency and its mask file, and what photos.json tells of it."""
    beside, note, sources = None, None, []
    if picture.mask is not None:
        sources.append("alpha")
    if file is not None:
        try:
            beside = fit_mask(decode(read_file(file), 1, 0), picture)
            sources.append(file.name)
        except RejectedError as rejection:
            note = f"{file.name}: {rejection}"
    hidden = combine(picture.mask, beside)
    facts: dict[str, Any] = {"mask_note": note}
    if hidden is not None:
        facts.update(mask_source=" and ".join(sources), masked=round(hidden_share(hidden), 4))
    return hidden, facts


def _metadata(picture: Picture, name: str, context: Context) -> dict[str, Any]:
    """Camera, time and place from EXIF, XMP and the file of positions, which wins."""
    exif = read_metadata(picture.exif, picture.image.width, picture.image.height)
    flight = read_flight_data(picture.xmp)
    facts: dict[str, Any] = {
        "camera": exif.camera,
        "body": exif.body,
        "focal_px": exif.focal_px,
        "focal_35mm": exif.focal_35mm,
        "focal_source": exif.focal_source,
        "time": exif.time,
        "relative_altitude": flight.relative_altitude,
        "yaw": flight.yaw,
        "pitch": flight.pitch,
        "roll": flight.roll,
    }
    place: tuple[float | None, float | None, float | None, str | None]
    given = lookup(context.positions, name)
    if given is not None:
        place = (given.latitude, given.longitude, given.altitude, context.positions_file)
        accuracy = (given.horizontal, given.vertical)
    elif exif.latitude is not None:
        altitude = exif.altitude if exif.altitude is not None else flight.altitude
        place = (exif.latitude, exif.longitude, altitude, "EXIF")
        accuracy = (
            flight.accuracy_horizontal_m or exif.accuracy_horizontal_m,
            flight.accuracy_vertical_m,
        )
    elif flight.latitude is not None:
        place = (flight.latitude, flight.longitude, flight.altitude, "XMP")
        accuracy = (flight.accuracy_horizontal_m, flight.accuracy_vertical_m)
    else:
        return facts
    keys = ("latitude", "longitude", "altitude", "position_source")
    facts.update(zip(keys, place, strict=True))
    facts.update(accuracy_horizontal_m=accuracy[0], accuracy_vertical_m=accuracy[1])
    return facts
