"""The files of a source: a folder, a .zip or one video, read one by one and never unpacked by name."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scripts.lib.core.console import UserError, printable, say
from scripts.lib.core.faults import is_broken_device, is_fault
from scripts.lib.core.source_files import OWN, hidden, is_below, list_folder, own_results
from scripts.lib.photos.options import Cause, RejectedError
from scripts.lib.photos.panorama import EXPORT

PHOTO_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".tif", ".tiff", ".webp"),
    *(".heic", ".heif", ".hif", ".avif", ".bmp"),
}
VIDEO_SUFFIXES = {
    *(".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".mts", ".m2ts", ".3gp", ".3g2"),
    *(".mpg", ".mpeg", ".mpe", ".m2v", ".vob", ".ts", ".mod", ".tod"),
    *(".wmv", ".asf", ".flv", ".ogv", ".mxf", ".dv"),
}
PANORAMA_SUFFIXES = {".360", ".36p", ".insv", ".insp"}
RAW_SUFFIXES = {".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"}
KINDS = "JPEG, PNG, TIFF, WebP or HEIC photos, or videos"
# A photo is below this; an archive whose members unpack to more is damaged or hostile.
MAX_PHOTO_BYTES = 1 << 30
# No photo compresses a hundredfold: past this ratio a member is a bomb, unless what it unpacks to is
# small: masks in plain TIFF or BMP pack a thousandfold.
MAX_RATIO = 100
MAX_FLAT_BYTES = 256 << 20
# Hidden folders that hold other things than somebody's photos, and how many files of one are told.
WORKING_FOLDERS = {".snakemake", ".git", ".venv", ".cache"}
MOST_HIDDEN = 1000
BLOCK = 1 << 20
# What else Python's zipfile raises for a damaged member.
READ_ERRORS = (EOFError, OSError, ValueError, NotImplementedError, RuntimeError, struct.error)


@dataclass(frozen=True)
class SourceFile:
    """A file of the source: its name there, its size, and how to read it."""

    name: str
    size: int
    read: Callable[[], bytes]
    path: Path | None = None  # where it lies, when it lies on disk by itself
    copy: Callable[[Path], None] | None = None  # writes a member of an archive to a path

    @property
    def suffix(self) -> str:
        """The suffix in small letters, with its dot."""
        return PurePosixPath(self.name).suffix.lower()

    @contextmanager
    def on_disk(self, folder: Path) -> Iterator[Path]:
        """A path with this file's bytes, for readers that seek; copied into `folder` if need be."""
        if self.path is not None:
            yield self.path
            return
        target = folder / f"member{self.suffix}"
        try:
            if self.copy is None:
                target.write_bytes(self.read())
            else:
                self.copy(target)
            yield target
        finally:
            target.unlink(missing_ok=True)


def list_source(source: str, tell: Callable[[str], None] = say) -> list[SourceFile]:
    """Every file of a folder (recursive), .zip or single video, sorted by name.

    `tell` hears what is left out. Raises UserError for a missing or empty source and for what is neither.
    """
    if "://" in source:
        raise UserError(
            f"{source} is not on this machine: put it into the scenes sheet and run the workflow, "
            "which downloads s3:// sources, or give a folder"
        )
    path = Path(source)
    suffix = path.suffix.lower()
    if not path.exists():
        raise UserError(f"{source} does not exist; give a folder or a .zip of photos, or a video")
    if path.is_dir():
        files = _list_folder(path, tell)
    elif suffix == ".zip":
        files = _list_zip(path, tell)
    elif suffix in VIDEO_SUFFIXES:
        files = [SourceFile(path.name, path.stat().st_size, path.read_bytes, path)]
    elif suffix in PANORAMA_SUFFIXES:
        raise UserError(f"{source} is a 360 degree recording; {EXPORT}")
    else:
        raise UserError(f"{source} is one file; give a folder or a .zip of photos, or a video")
    if not files:
        raise UserError(f"{source} is empty; put {KINDS} of one place into it")
    return files


def read_file(file: SourceFile) -> bytes:
    """The bytes of a photo of the source. Raises RejectedError with a reason for photos.json."""
    if file.size > MAX_PHOTO_BYTES:
        raise RejectedError(f"too large for a photo: {file.size / 1e9:.1f} GB", Cause.LARGE)
    try:
        return file.read()
    except RejectedError:
        raise
    except Exception as error:  # zlib.error, BadZipFile, OSError ... of a damaged file or archive
        if is_broken_device(error):
            raise  # a share that went away would leave out all photos that are still to come
        raise RejectedError(f"unreadable ({error})") from None


def _list_folder(folder: Path, tell: Callable[[str], None]) -> list[SourceFile]:
    listing = list_folder(folder)
    for part in listing.left_out:
        tell(f"Left out {part}")
    found = {**listing.files, **_hidden_captures(listing.hidden)}
    return [
        SourceFile(printable(name), path.stat().st_size, path.read_bytes, path)
        for name, path in sorted(found.items())
    ]


def _hidden_captures(hidden: Mapping[str, Path]) -> dict[str, Path]:
    """Photos and films in hidden places: not read, but told, because a deleted photo may be missed."""
    found: dict[str, Path] = {}
    for name, place in hidden.items():
        if name.rpartition("/")[2] in WORKING_FOLDERS:
            continue
        try:
            inside = [place] if place.is_file() else sorted(place.rglob("*"))
            pictures = [path for path in inside if _is_capture(path.name) and path.is_file()]
        except OSError:  # another user's recycle bin
            continue
        for path in pictures[:MOST_HIDDEN]:
            found["/".join((name, *path.relative_to(place).parts))] = path
    return found


def _is_capture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in PHOTO_SUFFIXES | VIDEO_SUFFIXES


def _list_zip(path: Path, tell: Callable[[str], None]) -> list[SourceFile]:
    """Members of a zip. Nothing is ever written to a path that the archive names."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        if is_fault(error):
            raise
        raise UserError(f"{path} is not a readable zip ({error}); create it again") from None
    own = own_results(_inside(info) + "/" * info.is_dir() for info in archive.infolist())
    for folder in own:
        tell(f"Left out {OWN.format(folder)}")
    members = [
        info
        for info in archive.infolist()
        if not info.is_dir()
        and (not hidden(_inside(info)) or _is_capture(_inside(info)))
        and not is_below(_inside(info), own)
    ]
    return sorted((_member(archive, info) for info in members), key=lambda file: file.name)


def _inside(info: zipfile.ZipInfo) -> str:
    """The member's name without steps that lead out of the archive."""
    parts = PurePosixPath(info.filename.replace("\\", "/")).parts
    return "/".join(part for part in parts if part not in ("..", "/", "."))


def _blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """A member's bytes, piece by piece. Raises RejectedError when it is not what it claims to be."""
    if info.flag_bits & 1:
        raise RejectedError("encrypted; make the zip without a password")
    packed = max(info.compress_size, 1024)
    if info.file_size > max(MAX_RATIO * packed, MAX_FLAT_BYTES):
        raise RejectedError("unpacks to more than a hundred times its size: not a photo")
    try:
        with archive.open(info) as member:
            seen = 0
            while block := member.read(BLOCK):
                seen += len(block)
                if seen > info.file_size:
                    raise RejectedError("unpacks to more than it claims: damaged or hostile")
                yield block
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, *READ_ERRORS) as error:
        if is_broken_device(error):
            raise
        raise RejectedError(f"unreadable ({error})") from None


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> SourceFile:
    def copy(target: Path) -> None:
        with target.open("wb") as out:
            for block in _blocks(archive, info):
                out.write(block)

    def read() -> bytes:
        held = io.BytesIO()  # what it hands over is no second copy
        for block in _blocks(archive, info):
            held.write(block)
        return held.getvalue()

    return SourceFile(_inside(info), info.file_size, read, None, copy)
