"""Files a stage hands over: written beside their name and renamed, so a reader never sees half a file."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.lib.console import SURROGATES, UserError, printable

# A fixed date in every archive member, so that the same input gives the same bytes.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; on success it is renamed to `path`, on error removed.

    The sibling keeps the suffix, because encoders choose the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
