"""From a folder or zip to upright, checked JPEGs in one stored zip, and a line for every file."""

from __future__ import annotations

import hashlib
import io
import os
import re
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from scripts.lib.console import Progress, UserError, say
from scripts.lib.exif import ORIENTATION, Metadata, orientation, read_metadata
from scripts.lib.files import add_to_zip, read_json, writing_zip

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png"}
VIDEO_SUFFIXES = {".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".mts", ".360", ".insv"}
HEIF_SUFFIXES = {".heic", ".heif", ".hif", ".avif"}
# 400 megapixels is beyond every camera; a header that claims more is damaged or hostile.
MAX_PIXELS = 400_000_000
# Largest single file read from a zip: a guard against archives that unpack to more than the memory.
MAX_MEMBER_BYTES = 1 << 30
SHARPNESS_SIDE = 1024
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


@dataclass(frozen=True)
class ImportOptions:
    """Config section `import_photos`."""

    max_side: int = 3200  # pixels; larger photos are reduced, 0 keeps every size
    min_side: int = 200  # pixels; smaller ones are thumbnails
    min_photos: int = 3
    jpeg_quality: int = 95


@dataclass(frozen=True)
class Photo:
    """One file of the source as `photos.json` tells it."""

    file: str  # name in photos.zip when kept, else the source's own name
    original: str
    kept: bool
    reason: str
    sha256: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    changed: str | None = None  # what was done to the pixels: rotated, reduced, converted
    camera: str | None = None
    focal_px: float | None = None
    focal_35mm: float | None = None
    time: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None
    sharpness: float | None = None


class RejectedError(Exception):
    """This file cannot be used; the message is the reason for photos.json."""


@dataclass(frozen=True)
class SourceFile:
    """A file of the source: its name there, and how to read it."""

    name: str
    read: Callable[[], bytes]


def list_source(source: str) -> list[SourceFile]:
    """Every file of a folder (recursive) or .zip, sorted by name.

    Raises UserError for a missing or empty source and for kinds that are not supported yet.
    """
    if "://" in source:
        kind = source.split("://")[0]
        raise UserError(
            f"{source}: {kind}:// sources are not supported yet; copy the photos to a folder"
        )
    path = Path(source)
    suffix = path.suffix.lower()
    if not path.exists():
        raise UserError(f"{source} does not exist; give a folder or a .zip of JPEG or PNG photos")
    if path.is_dir():
        files = _list_folder(path)
    elif suffix == ".zip":
        files = _list_zip(path)
    elif suffix in VIDEO_SUFFIXES:
        raise UserError(f"{source}: video is not supported yet; give a folder or a .zip of photos")
    elif suffix in HEIF_SUFFIXES:
        raise UserError(f"{source}: HEIC is not supported yet; convert the photos to JPEG")
    else:
        raise UserError(f"{source} is one file; give a folder or a .zip of JPEG or PNG photos")
    if not files:
        raise UserError(f"{source} is empty; put the JPEG or PNG photos of one place into it")
    return files


def import_photos(
    source: str, options: ImportOptions, archive: Path, threads: int = 0
) -> dict[str, Any]:
    """Write the usable photos of `source` to the stored zip `archive`; return the report (photos.json).

    Raises UserError when fewer than `options.min_photos` are usable.
    """
    files = list_source(source)
    names = _unique_names([file.name for file in files])
    progress = Progress("Reading photos", len(files))
    photos: list[Photo] = []
    first: dict[str, str] = {}
    with writing_zip(archive) as out:
        for done, (photo, data) in enumerate(_prepare_all(files, names, options, threads), 1):
            if photo.kept and photo.sha256 is not None:
                twin = first.setdefault(photo.sha256, photo.original)
                if twin != photo.original:
                    photo = _drop(photo, f"the same picture as {twin}")
                else:
                    add_to_zip(out, photo.file, data)
            photos.append(photo)
            progress.update(done)
        report = _report(source, photos)
        _require(source, photos, options.min_photos)
    for photo in photos:
        if not photo.kept:
            say(f"Skipped {photo.original}: {photo.reason}")
    return report


def read_report(path: Path) -> list[dict[str, Any]]:
    """The kept photos of a photos.json, in the order of photos.zip.

    Raises UserError when the file is not such a report.
    """
    report = read_json(path)
    try:
        return [photo for photo in report["photos"] if photo["kept"]]
    except (KeyError, TypeError):
        raise UserError(f"{path} is not a photo report; run import_photos again") from None


def sharpness(image: Image.Image) -> float:
    """Variance of the Laplacian of the luma, at most 1024 px: comparable within one set of photos."""
    grey = image.convert("L")
    grey.thumbnail((SHARPNESS_SIDE, SHARPNESS_SIDE), Image.Resampling.BOX)
    pixels: NDArray[np.float32] = np.asarray(grey, dtype=np.float32)
    if min(pixels.shape) < 3:
        return 0.0
    centre = pixels[1:-1, 1:-1]
    around = pixels[:-2, 1:-1] + pixels[2:, 1:-1] + pixels[1:-1, :-2] + pixels[1:-1, 2:]
    return float(np.var(around - 4 * centre))


def prepare(data: bytes, options: ImportOptions) -> tuple[bytes, dict[str, Any], Metadata]:
    """Check and, where needed, convert one photo: (JPEG bytes, pixel facts, metadata).

    A JPEG that is upright, RGB and not too large comes back byte for byte. Raises RejectedError.
    """
    image = _decode(data)
    width, height = image.size
    if min(width, height) < options.min_side:
        raise RejectedError(
            f"too small: {width} x {height} pixels, at least {options.min_side} needed"
        )
    exif = image.getexif()
    turn = orientation(exif)
    changes: list[str] = []
    upright = image
    if turn != 1:
        upright = ImageOps.exif_transpose(image)
        changes.append("rotated")
    if upright.mode != "RGB":
        upright = _to_rgb(upright)
        changes.append("converted to 8-bit RGB")
    elif image.format not in ("JPEG", "MPO"):
        changes.append(f"converted from {image.format}")
    if options.max_side and max(upright.size) > options.max_side:
        upright = upright.copy()
        upright.thumbnail((options.max_side, options.max_side), Image.Resampling.LANCZOS)
        changes.append("reduced")
    if changes:
        data = _encode(upright, image, exif, options.jpeg_quality)
    facts = {
        "width": upright.width,
        "height": upright.height,
        "changed": ", ".join(changes) or None,
        "sharpness": round(sharpness(upright), 3),
    }
    return data, facts, read_metadata(exif, upright.width, upright.height)


def _decode(data: bytes) -> Image.Image:
    """The fully decoded picture, or RejectedError with a reason a person understands."""
    if not data:
        raise RejectedError("empty file")
    try:
        with warnings.catch_warnings():
            # Pillow only warns between one and two times the limit; both are refusals here.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
            image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise RejectedError(f"claims more than {MAX_PIXELS // 10**6} megapixels") from None
    except Image.UnidentifiedImageError:
        raise RejectedError("not a JPEG or PNG image") from None
    except MemoryError:
        raise RejectedError("too large for this machine's memory") from None
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ValueError ...
        reason = "truncated" if "truncated" in str(error) else "damaged"
        raise RejectedError(f"{reason} image ({error})") from None
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Eight-bit RGB; 16-bit greys are scaled, transparency goes onto black."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        scale = 257.0 if values.max(initial=0.0) > 255 else 1.0
        return Image.fromarray(np.clip(values / scale, 0, 255).astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer).convert(
            "RGB"
        )
    return image.convert("RGB")


def _encode(upright: Image.Image, source: Image.Image, exif: Image.Exif, quality: int) -> bytes:
    """JPEG of the upright pixels with the source's EXIF (less its orientation) and colour profile."""
    extra: dict[str, Any] = {}
    if source.info.get("icc_profile") and upright.mode == source.mode:
        extra["icc_profile"] = source.info["icc_profile"]
    if isinstance(source.info.get("xmp"), bytes):
        extra["xmp"] = source.info["xmp"]
    exif.pop(ORIENTATION, None)
    buffer = io.BytesIO()
    for attempt in ({**extra, "exif": exif.tobytes}, {}):
        try:
            values = {key: value() if callable(value) else value for key, value in attempt.items()}
            upright.save(buffer, "JPEG", quality=quality, subsampling=0, optimize=True, **values)
            return buffer.getvalue()
        except (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
            buffer = io.BytesIO()  # EXIF that cannot be written again: keep the picture without it
    raise RejectedError("could not be converted to JPEG")


def _prepare_all(
    files: list[SourceFile], names: list[str], options: ImportOptions, threads: int
) -> Iterator[tuple[Photo, bytes]]:
    """`_prepare_one` over all files in order, a few ahead in threads, so memory stays bounded."""
    workers = threads or os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for begin in range(0, len(files), 4 * workers):
            chunk = slice(begin, begin + 4 * workers)
            yield from pool.map(
                lambda pair: _prepare_one(pair[0], pair[1], options),
                zip(files[chunk], names[chunk], strict=True),
            )


def _prepare_one(file: SourceFile, name: str, options: ImportOptions) -> tuple[Photo, bytes]:
    photo = Photo(file=file.name, original=file.name, kept=False, reason="")
    suffix = PurePosixPath(file.name).suffix.lower()
    try:
        if suffix in VIDEO_SUFFIXES:
            raise RejectedError("video is not supported yet")
        if suffix in HEIF_SUFFIXES:
            raise RejectedError("HEIC is not supported yet; convert it to JPEG")
        if suffix not in PHOTO_SUFFIXES:
            raise RejectedError("not a JPEG or PNG file")
        data = _read(file)
        photo = replace(photo, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        data, facts, metadata = prepare(data, options)
    except RejectedError as rejection:
        return replace(photo, reason=str(rejection)), b""
    photo = replace(
        photo,
        file=name,
        kept=True,
        reason="usable",
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        camera=metadata.camera,
        focal_px=metadata.focal_px,
        focal_35mm=metadata.focal_35mm,
        time=metadata.time,
        latitude=metadata.latitude,
        longitude=metadata.longitude,
        altitude=metadata.altitude,
        **facts,
    )
    return photo, data


def _read(file: SourceFile) -> bytes:
    try:
        return file.read()
    except RejectedError:
        raise
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise RejectedError(f"unreadable ({error})") from None
    except Exception as error:  # zlib.error and friends of a damaged archive member
        raise RejectedError(f"unreadable ({error})") from None


def _list_folder(folder: Path) -> list[SourceFile]:
    def reader(path: Path) -> Callable[[], bytes]:
        return path.read_bytes

    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    return [SourceFile(name, reader(folder / name)) for name in names]


def _list_zip(path: Path) -> list[SourceFile]:
    """Members of a zip, read one by one into memory: nothing is ever unpacked to a path it names."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{path} is not a readable zip ({error}); make it again") from None

    def reader(info: zipfile.ZipInfo) -> Callable[[], bytes]:
        def read() -> bytes:
            if info.file_size > MAX_MEMBER_BYTES:
                raise RejectedError("larger than 1 GB")
            return archive.read(info)

        return read

    members = [
        info
        for info in archive.infolist()
        if not info.is_dir()
        and not any(p.startswith((".", "__MACOSX")) for p in PurePosixPath(info.filename).parts)
    ]
    return [SourceFile(m.filename, reader(m)) for m in sorted(members, key=lambda m: m.filename)]


def _unique_names(originals: list[str]) -> list[str]:
    """A flat .jpg name for each file, unique even where case does not count.

    The plain file name where it is unique, else with its folders in front, else numbered. COLMAP's
    text formats separate by spaces, so those and other unusual characters become underscores.
    """
    flat = [_flat(PurePosixPath(name).name) for name in originals]
    counts: dict[str, int] = {}
    for name in flat:
        counts[name.lower()] = counts.get(name.lower(), 0) + 1
    taken: set[str] = set()
    names = []
    for original, short in zip(originals, flat, strict=True):
        stem = short if counts[short.lower()] == 1 else _flat(original.replace("/", "_"))
        name, number = f"{stem}.jpg", 2
        while name.lower() in taken:
            name, number = f"{stem}_{number}.jpg", number + 1
        taken.add(name.lower())
        names.append(name)
    return names


def _flat(name: str) -> str:
    stem = PurePosixPath(unicodedata.normalize("NFC", name)).stem
    return re.sub(r"[^\w.-]+", "_", stem).strip("._-") or "photo"


def _drop(photo: Photo, reason: str) -> Photo:
    return replace(photo, file=photo.original, kept=False, reason=reason)


def _report(source: str, photos: list[Photo]) -> dict[str, Any]:
    kept = sum(photo.kept for photo in photos)
    return {
        "source": source,
        "kept": kept,
        "dropped": len(photos) - kept,
        "photos": [asdict(photo) for photo in photos],
    }


def _require(source: str, photos: list[Photo], needed: int) -> None:
    """Stop with one sentence when too few photos are usable, naming the first reasons."""
    kept = sum(photo.kept for photo in photos)
    if kept >= needed:
        return
    dropped = [photo for photo in photos if not photo.kept]
    why = "; ".join(f"{photo.original}: {photo.reason}" for photo in dropped[:5])
    more = f" and {len(dropped) - 5} more" if len(dropped) > 5 else ""
    skipped = f" (skipped {why}{more})" if dropped else ""
    found = {0: "no usable photo", 1: "only one usable photo"}.get(
        kept, f"only {kept} usable photos"
    )
    raise UserError(
        f"{source} has {found}, at least {needed} are needed: give JPEG or PNG photos of one place, "
        f"better 20 or more{skipped}"
    )
