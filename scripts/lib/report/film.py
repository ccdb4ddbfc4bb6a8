"""The film of what training left out: photo by photo, first as it is, then with the left-out parts tinted."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, UnidentifiedImageError

from scripts.lib.core.console import UserError
from scripts.lib.core.faults import is_fault
from scripts.lib.core.files import reading_zip
from scripts.lib.report.pictures import data_uri, uri_of

TINT = (224, 0, 126)  # a colour that hardly anything has
MIXED = 0.55  # share of the tint in what was left out
DIMMED = 0.8  # of the brightness of what was not
PLAIN_MS, TINTED_MS = 800, 1800
LARGEST = 400_000  # bytes of the film
TRIED = (
    (1.0, 72),
    (1.0, 55),
    (1.0, 40),
    (0.75, 40),
    (0.5, 40),
    (0.35, 30),
)  # size, quality of WebP


@dataclass(frozen=True)
class MaskFilm:
    """The film and a still picture of its first photo, as data URIs, and the photos' names in its order."""

    film: str
    still: str
    names: tuple[str, ...]


def mask_film(path: Path) -> MaskFilm | None:
    """The film of a left_out.zip; None where nothing was left out. It has no metadata.

    Raises UserError when the zip is damaged.
    """
    with reading_zip(path) as archive:
        names = [name[len("pictures/") : -len(".jpg")] for name in _members(archive, "pictures/")]
        if not names:
            return None
        frames = []
        for name in names:
            photo = _picture(archive, f"pictures/{name}.jpg").convert("RGB")
            mask = _picture(archive, f"masks/{name}.png").convert("L")
            frames += [photo, tinted(photo, mask)]
    side = tuple(max(frame.size[axis] for frame in frames) for axis in (0, 1))
    frames = [_centred(frame, (side[0], side[1])) for frame in frames]
    still = io.BytesIO()
    frames[1].save(still, "JPEG", quality=90)
    film = encoded(frames)
    shown = tuple(str(PurePosixPath(name)) for name in names)
    return MaskFilm(
        uri_of(film, "image/webp"), data_uri(still.getvalue(), max(side), str(path)), shown
    )


def tinted(photo: Image.Image, mask: Image.Image) -> Image.Image:
    """A photo (RGB) in which what `mask` (L) shows black is tinted and outlined; the rest is dimmed."""
    smooth = mask.resize(photo.size, Image.Resampling.BILINEAR)
    out = smooth.point(lambda value: 255 if value < 128 else 0)
    edge = _mask(out) & ~_mask(out.filter(ImageFilter.MinFilter(3)))
    colours = np.asarray(photo, np.float32)
    grey = colours.mean(axis=2, keepdims=True)
    inside = (1 - MIXED) * grey + MIXED * np.array(TINT, np.float32)
    mixed = np.where(_mask(out)[..., None], inside, DIMMED * colours)
    mixed[edge] = TINT
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))


def _mask(picture: Image.Image) -> npt.NDArray[np.bool_]:
    return np.asarray(picture) > 0


def _centred(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A picture in the middle of a larger black one: photos may be upright and lying."""
    if picture.size == size:
        return picture
    frame = Image.new("RGB", size)
    frame.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    return frame


def encoded(frames: list[Image.Image]) -> bytes:
    """An animated WebP of at most `LARGEST` bytes, with lower quality and smaller if need be."""
    data = b""
    times = [PLAIN_MS, TINTED_MS] * (len(frames) // 2)
    for size, quality in TRIED:
        buffer = io.BytesIO()
        small = [
            frame.resize([max(1, round(size * side)) for side in frame.size]) for frame in frames
        ]
        small[0].save(
            buffer,
            "WEBP",
            save_all=True,
            append_images=small[1:],
            duration=times,
            loop=0,
            quality=quality,
        )
        data = buffer.getvalue()
        if len(data) <= LARGEST:
            break
    return data


def _members(archive: zipfile.ZipFile, folder: str) -> list[str]:
    return [name for name in archive.namelist() if name.startswith(folder)]


def _picture(archive: zipfile.ZipFile, member: str) -> Image.Image:
    try:
        with Image.open(io.BytesIO(archive.read(member))) as opened:
            opened.load()
            return opened.copy()
    except (KeyError, UnidentifiedImageError, OSError, zipfile.BadZipFile) as error:
        if is_fault(error):
            raise
        raise UserError(
            f"{archive.filename} holds no readable {member} ({error}); delete the zip and train again"
        ) from None
