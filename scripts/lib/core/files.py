"""Files a stage hands over: written beside their name and renamed, so a reader never sees half a file."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from scripts.lib.core.console import SURROGATES, UserError, printable
from scripts.lib.core.faults import RIGHTS, is_fault, naming

# A fixed date in every archive member, so that the same input gives the same bytes.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
LONGEST_STEM = (
    200  # bytes: with what is added, a temporary name stays below the 255 of file systems
)


@contextmanager
def part_file(folder: Path, stem: str, suffix: str = "") -> Iterator[Path]:
    """Yield a new empty file `.STEM.RANDOM.part.SUFFIX` in `folder`, removed at the end unless renamed.

    It is locked meanwhile. One that nobody holds was left by a killed process and is removed first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if len(os.fsencode(stem)) > LONGEST_STEM:
        stem = hashlib.sha256(os.fsencode(stem)).hexdigest()[:16]
    remove_parts(folder, glob.escape(stem), suffix)
    while True:
        path = folder / f".{stem}.{secrets.token_hex(4)}.part{suffix}"
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        try:
            _try_lock(handle)
            # Somebody who found it before it was locked has taken it for one left behind.
            if not path.exists():
                continue
            yield path
            return
        finally:
            _remove_part(path)
            os.close(handle)


@contextmanager
def scratch_folder(folder: Path, stem: str) -> Iterator[Path]:
    """Yield a new folder `.STEM.RANDOM.part` in `folder`, removed at the end; left ones as in `part_file`.

    Raises OSError with the name of `folder` when the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_parts(folder, glob.escape(stem))
    with tempfile.TemporaryDirectory(prefix=f".{stem}.", suffix=".part", dir=folder) as name:
        handle = os.open(name, os.O_RDONLY)
        try:
            _try_lock(handle)
            with _faults_name(folder):
                yield Path(name)
        finally:
            os.close(handle)


@contextmanager
def _faults_name(path: Path) -> Iterator[None]:
    """A fault of the machine in the block is told as one of writing `path`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        told = naming(error, path)
        if told is error:
            raise
        raise told from error


def _try_lock(handle: int) -> bool:
    """Lock an open file or folder; False when another holds it, or there are no locks (some NFS)."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def remove_parts(folder: Path, stem: str, suffix: str = "") -> None:
    """Remove what killed processes left in `folder`: parts and scratch folders that none holds any more.

    `stem` is a pattern of glob.
    """
    for path in folder.glob(f".{stem}.{'[0-9a-z_]' * 8}.part{glob.escape(suffix)}"):
        try:
            handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        except OSError:
            continue  # gone meanwhile, or another user's
        try:
            if _try_lock(handle):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    _remove_part(path)
        finally:
            os.close(handle)


def _remove_part(path: Path) -> None:
    """Remove a temporary file, and what SQLite keeps beside a database that was not closed."""
    for companion in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + companion).unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; on success it is renamed to `path`, on error removed.

    The sibling keeps the suffix, because encoders choose the format by it. Its bytes are on the disk
    before the name is, so that a power failure leaves the old file or the new one, never an empty one.
    Raises OSError with the name of `path` when the disk is full.
    """
    path = Path(path)
    with _faults_name(path), part_file(path.parent, path.stem, path.suffix) as temporary:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)


def _sync(path: Path) -> None:
    """Wait until a file or a folder's names are on the disk, where its file system can tell."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:
        return  # a folder that may be written but not read
    try:
        os.fsync(handle)
    except OSError as error:
        if is_fault(error) and error.errno not in RIGHTS:
            raise  # the disk was full or failed after all, as network file systems only say now
    finally:
        os.close(handle)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. Raises ValueError on NaN or infinity: JSON has none."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A file name that is not UTF-8 is kept as `printable` shows it, its backslash escaped as JSON wants.
    text = SURROGATES.sub(lambda found: json.dumps(printable(found[0]))[1:-1], text)
    write_bytes(path, text.encode())


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises UserError when it is missing or not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the stage that makes it first") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is not valid JSON ({error}); delete it and run its stage again"
        ) from None


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes. Raises UserError when it is missing."""
    try:
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the stage that makes it first") from None


def add_to_zip(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add one stored (uncompressed) member with a fixed date and mode, so archives repeat byte for byte."""
    info = zipfile.ZipInfo(name, ZIP_DATE)
    info.compress_type = zipfile.ZIP_STORED
    info.external_attr = 0o644 << 16
    info.create_system = 3  # Unix, wherever it is written
    archive.writestr(info, data)


@contextmanager
def writing_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Yield a stored zip that appears under `path` only when the block ends without an error."""
    with replacing(Path(path)) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        yield archive


NO_PART = re.compile(r"|\.|\.\.|.*[\x00-\x1f\\].*", re.DOTALL)
DRIVE = re.compile(r"[A-Za-z]:")


def inner_path(name: str, where: object) -> PurePosixPath:
    """The path that the name of an archive's member or of a stored object stands for, below its folder.

    Raises UserError, naming `where` it came from, for one that leads elsewhere on any system: absolute,
    with `..`, a drive letter, a backslash or a control character.
    """
    parts = name.split("/")
    if DRIVE.match(name) or any(NO_PART.fullmatch(part) for part in parts):
        raise UserError(
            f"{where} holds {name!r}, which points outside its folder; create the file again"
        )
    return PurePosixPath(*parts)


def is_link(info: zipfile.ZipInfo) -> bool:
    """Whether a member of an archive is a symbolic link or another special file, not a file's bytes."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    return kind not in (0, stat.S_IFREG)


@contextmanager
def reading_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip made by an earlier stage. Raises UserError when it is missing or damaged."""
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the stage that makes it first") from None
    except zipfile.BadZipFile as error:
        raise UserError(
            f"{path} is not a readable zip ({error}); delete it and run its stage again"
        ) from None
    with archive:
        yield archive
